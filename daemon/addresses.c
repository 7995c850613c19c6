/* SPDX-License-Identifier: ISC */
#include "daemon/addresses.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void addresses_init(struct addresses *addresses, const struct ip_prefix *pool)
{
	*addresses = (struct addresses){.pool = *pool};
}

void addresses_finish(struct addresses *addresses)
{
	struct address_owner *owner, *next;
	HASH_CLEAR(hh_name, addresses->named);
	HASH_ITER(hh, addresses->owners, owner, next)
	{
		HASH_DEL(addresses->owners, owner);
		free(owner);
	}
}

static void make_key(
	char key[STORE_NAME_MAX + 3], const struct ip_address *address, const char *name)
{
	snprintf(key, STORE_NAME_MAX + 3, "%c %s", address->family == AF_INET ? '4' : '6', name);
}

static struct address_owner *find(
	const struct addresses *addresses, const struct ip_address *address)
{
	struct address_owner *owner;
	HASH_FIND(hh, addresses->owners, address, sizeof(*address), owner);
	return owner;
}

const char *addresses_owner(const struct addresses *addresses, const struct ip_address *address)
{
	const struct address_owner *owner = find(addresses, address);
	return owner ? owner->name : NULL;
}

static void note_name(struct addresses *addresses, struct address_owner *owner)
{
	struct address_owner *before;
	HASH_FIND(hh_name, addresses->named, owner->key, strlen(owner->key), before);
	if (before)
		HASH_DELETE(hh_name, addresses->named, before);
	HASH_ADD_KEYPTR(hh_name, addresses->named, owner->key, strlen(owner->key), owner);
}

static int find_or_add(struct addresses *addresses, const struct ip_address *address,
	const char *name, struct address_owner **out, struct error *err)
{
	char text[IP_ADDRESS_TEXT];
	struct address_owner *owner = find(addresses, address);
	if (owner && strcmp(owner->name, name) != 0)
		return error_set(err, -EEXIST,
			"address %s belongs to %s, and clients may remember it for long: take "
			"another",
			ip_address_print(address, text), owner->name);
	*out = owner;
	if (owner)
		return 0;
	owner = calloc(1, sizeof(*owner));
	if (!owner)
		return error_set(err, -ENOMEM, "out of memory");
	owner->address = *address;
	snprintf(owner->name, sizeof(owner->name), "%s", name);
	make_key(owner->key, address, name);
	HASH_ADD(hh, addresses->owners, address, sizeof(owner->address), owner);
	note_name(addresses, owner);
	*out = owner;
	return 0;
}

int addresses_reserve(struct addresses *addresses, const struct ip_address *address,
	const char *name, struct error *err)
{
	struct address_owner *owner;
	int rc = find_or_add(addresses, address, name, &owner, err);
	if (rc >= 0)
		owner->kept = true;
	return rc;
}

int addresses_claim(struct addresses *addresses, const struct ip_address *address, const char *name,
	struct error *err)
{
	struct address_owner *owner;
	int rc = find_or_add(addresses, address, name, &owner, err);
	if (rc >= 0)
		owner->claims++;
	return rc;
}

/* One that the name has or had and that is not in `but`; NULL: there is none. */
static struct address_owner *find_own(const struct addresses *addresses, const char *name,
	const struct ip_address but[ADDRESSES_MAX])
{
	char key[STORE_NAME_MAX + 3];
	struct address_owner *owner, *next;
	make_key(key, &addresses->pool.address, name);
	HASH_FIND(hh_name, addresses->named, key, strlen(key), owner);
	if (!owner || !ip_address_listed(but, &owner->address))
		return owner;
	HASH_ITER(hh, addresses->owners, owner, next)
	{
		if (strcmp(owner->key, key) == 0 && !ip_address_listed(but, &owner->address))
			return owner;
	}
	return NULL;
}

int addresses_give(struct addresses *addresses, const char *name,
	const struct ip_address but[ADDRESSES_MAX], struct ip_address *out, struct error *err)
{
	char text[IP_PREFIX_TEXT];
	struct address_owner *before = find_own(addresses, name, but);
	if (before) {
		before->claims++;
		*out = before->address;
		return 0;
	}
	for (;; addresses->cursor++) {
		struct ip_address address;
		if (!ip_prefix_nth(&addresses->pool, addresses->cursor, &address))
			return error_set(err, -ENOSPC,
				"no address is left in %s: give one that is free, or make "
				"network.%s larger",
				ip_prefix_print(&addresses->pool, text),
				addresses->pool.address.family == AF_INET6 ? "pool6" : "pool");
		if (ip_prefix_reserves(&addresses->pool, &address) || find(addresses, &address) ||
			ip_address_listed(but, &address))
			continue;
		int rc = addresses_claim(addresses, &address, name, err);
		if (rc >= 0)
			*out = address;
		return rc;
	}
}

void addresses_keep(struct addresses *addresses, const struct ip_address *address)
{
	struct address_owner *owner = find(addresses, address);
	if (!owner)
		return;
	owner->claims--;
	owner->kept = true;
}

/* A name whose last note is gone is known by an earlier one. */
static void forget_name(struct addresses *addresses, struct address_owner *gone)
{
	struct address_owner *named, *owner, *next;
	HASH_FIND(hh_name, addresses->named, gone->key, strlen(gone->key), named);
	if (named != gone)
		return;
	HASH_DELETE(hh_name, addresses->named, gone);
	HASH_ITER(hh, addresses->owners, owner, next)
	{
		if (owner != gone && strcmp(owner->key, gone->key) == 0)
			note_name(addresses, owner);
	}
}

void addresses_release(struct addresses *addresses, const struct ip_address *address)
{
	struct address_owner *owner = find(addresses, address);
	if (!owner || --owner->claims > 0 || owner->kept)
		return;
	forget_name(addresses, owner);
	HASH_DEL(addresses->owners, owner);
	free(owner);
	addresses->cursor = 0;
}
