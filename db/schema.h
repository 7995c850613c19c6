/* SPDX-License-Identifier: ISC */
#ifndef DB_SCHEMA_H
#define DB_SCHEMA_H

#include "base/error.h"

struct store;

/* Looks at what the freshly opened file is; refuses what is not ours (-EUCLEAN), is damaged
 * (-EUCLEAN), comes from a newer version (-ENOTSUP) or is in use (-EBUSY), all unchanged; then
 * brings it to the present version, each step in one transaction. */
int schema_open(struct store *store, struct error *err);

#endif
