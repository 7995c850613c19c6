/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_TIERS_H
#define DAEMON_TIERS_H

#include <stdint.h>

#include "policies/decide.h"

/*
 * Guests at rest go deeper with time, as their policy's `tiers` say, without being woken for it: from
 * memory to disk, and from there to nothing.
 */
struct service;
struct store;

/* It has come to rest: posts DEEPEN or RETIRE when it is time. */
void tiers_settle(struct service *service);
/* Its policy has changed, wherever it is. */
void tiers_look(struct service *service);
/* What comes next, as of now. */
struct tier tiers_next(const struct service *service, uint64_t now);
/* It could not go deeper. */
void tiers_remain(struct service *service);

/* Before guests of an earlier life are found: since when this one may have rested, out of the
 * journal. Where that does not know, its rest begins when it is found. */
void tiers_remember(struct service *service, struct store *store);

#endif
