/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_XL_KEYS_H
#define SUMMON_XL_KEYS_H

#include "base/error.h"

struct helper;
struct domain;

/* Keys in xenstore that tell that a guest is ready. */

int keys_open(struct helper *helper, struct error *err);
void keys_close(struct helper *helper);
/* What to poll for input. */
int keys_descriptor(const struct helper *helper);
/* From now on the domain's key is waited for, where it has one. XL_READY follows once. */
int key_watch(struct helper *helper, struct domain *domain, struct error *err);
void key_forget(struct helper *helper, struct domain *domain);
/* Looks at what has changed. */
void keys_take(struct helper *helper);

#endif
