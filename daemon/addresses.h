/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_ADDRESSES_H
#define DAEMON_ADDRESSES_H

#include <stdbool.h>
#include <uthash.h>

#include "base/address.h"
#include "db/store.h"

/* Which address belongs to which name, for ever: clients keep answers far beyond their TTL. */
struct address_owner {
	struct ip_address address;
	char name[STORE_NAME_MAX + 1];
	char key[STORE_NAME_MAX + 3]; /* the family's letter and the name */
	bool kept;                    /* it is in the store */
	unsigned claims;              /* puts under way that count on it */
	UT_hash_handle hh, hh_name;
};

struct addresses {
	struct address_owner *owners; /* by address */
	struct address_owner *named;  /* by name and family: the one that was noted last */
	struct ip_prefix pool;
	uint64_t cursor; /* where to look for the next free one */
};

void addresses_init(struct addresses *addresses, const struct ip_prefix *pool);
void addresses_finish(struct addresses *addresses);

/* Whose the address is; NULL: nobody's. */
const char *addresses_owner(const struct addresses *addresses, const struct ip_address *address);

/* Notes that the address is this name's, as the store says. -EEXIST names the owner; -ENOMEM. */
int addresses_reserve(struct addresses *addresses, const struct ip_address *address,
	const char *name, struct error *err);

/* Two claims for a definition on its way to the store. Each ends with addresses_keep() or
 * addresses_release(); until then nobody else gets the address. */

/* Of this address. -EEXIST, -ENOMEM as above. */
int addresses_claim(struct addresses *addresses, const struct ip_address *address, const char *name,
	struct error *err);
/* Of an address of the pool's family that this name has or had, else of a free one of the pool; of none
 * in `but`, and none that the pool reserves. -ENOSPC. */
int addresses_give(struct addresses *addresses, const char *name,
	const struct ip_address but[ADDRESSES_MAX], struct ip_address *out, struct error *err);
/* It is in the store now. */
void addresses_keep(struct addresses *addresses, const struct ip_address *address);
/* It was not stored: free again, unless it was before or others claim it. */
void addresses_release(struct addresses *addresses, const struct ip_address *address);

#endif
