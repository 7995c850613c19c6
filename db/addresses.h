/* SPDX-License-Identifier: ISC */
#ifndef DB_ADDRESSES_H
#define DB_ADDRESSES_H

#include "db/sql.h"
#include "db/store.h"

/* The addresses of services within the store: each is one service's, and one name's for ever.
 * Private to db/. */

/* Whether it has each once, and no more than it may have. -EINVAL. */
int service_addresses_check(const struct store_service *service, struct error *err);

/* Inside the transaction of a put or remove. */

/* It has none from now on; they stay its name's. */
int service_addresses_release(struct store *store, uint32_t id, struct error *err);
/* A renamed service takes its addresses along; what it had given up before stays the old name's. */
int service_addresses_rename(
	struct store *store, const struct store_service *service, struct error *err);
/* Gives a service that has none its addresses. -EEXIST where one is another's. */
int service_addresses_put(
	struct store *store, const struct store_service *service, uint32_t id, struct error *err);

/* The next two columns, in which they are of each family in order, into those of `service`, which has
 * none yet. */
void service_addresses_take(struct query *query, struct store_service *service);

#endif
