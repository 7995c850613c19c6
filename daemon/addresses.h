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

/* Notes that the address is this name's. -EEXIST names the owner; -ENOMEM. */
int addresses_reserve(struct addresses *addresses, const struct ip_address *address,
	const char *name, struct error *err);
/* The address of the pool's family that this name has or had, else a free one of the pool, which is
 * then reserved. The first and, for IPv4, the last of the pool are left out. -ENOSPC. */
int addresses_give(
	struct addresses *addresses, const char *name, struct ip_address *out, struct error *err);
bool addresses_is_reserved(const struct addresses *addresses, const struct ip_address *address);
/* Takes back a reservation that was never made durable. */
void addresses_release(struct addresses *addresses, const struct ip_address *address);

#endif
