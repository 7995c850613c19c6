/* SPDX-License-Identifier: ISC */
#ifndef DB_NAMES_H
#define DB_NAMES_H

#include "db/store.h"

/* The names of services within the store: what they may be, and that each is one service's only.
 * Private to db/. */

/* Whether its own name and its other ones are domain names as store.h has them. -EINVAL. */
int service_names_check(const struct store_service *service, struct error *err);

/* Inside the transaction of a put. */

/* -EEXIST where another service has one of its names, as its own or as another one. */
int service_names_are_free(
	struct store *store, const struct store_service *service, struct error *err);
/* Makes its other names those of the service with this id, and no more than those. */
int service_names_put(
	struct store *store, const struct store_service *service, uint32_t id, struct error *err);

#endif
