/* SPDX-License-Identifier: ISC */
#include "db/addresses.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"

/* --- what a service may have --- */

static int check_family(
	const struct ip_address *address, int family, const char *what, struct error *err)
{
	char text[IP_ADDRESS_TEXT];
	if (ip_address_is_set(address) && address->family != family)
		return error_set(err, -EINVAL, "'%s' is not an %s address",
			ip_address_print(address, text), what);
	return 0;
}

static int check_once(const struct ip_address *list, size_t i, struct error *err)
{
	char text[IP_ADDRESS_TEXT];
	for (size_t k = 0; k < i; k++)
		if (ip_address_is_set(&list[i]) && ip_address_equal(&list[k], &list[i]))
			return error_set(err, -EINVAL, "address %s is given twice",
				ip_address_print(&list[i], text));
	return 0;
}

int service_addresses_check(const struct store_service *service, struct error *err)
{
	unsigned count[2] = {0};
	int rc = check_family(&service->ipv4, AF_INET, "IPv4", err);
	if (rc == 0)
		rc = check_family(&service->ipv6, AF_INET6, "IPv6", err);
	for (size_t i = 0; rc == 0 && i < ADDRESSES_MAX; i++) {
		if (ip_address_is_set(&service->addresses[i]))
			count[service->addresses[i].family == AF_INET6]++;
		rc = check_once(service->addresses, i, err);
	}
	if (rc == 0 && (count[0] > ADDRESSES_OF_FAMILY || count[1] > ADDRESSES_OF_FAMILY))
		rc = error_set(err, -EINVAL, "a service has at most %d addresses of a family",
			ADDRESSES_OF_FAMILY);
	return rc;
}

/* --- single steps of a put, inside its transaction --- */

int service_addresses_release(struct store *store, uint32_t id, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	query_begin(&query, store, ADDRESS_RELEASE);
	bind_u64(&query, clock_real());
	bind_u64(&query, id);
	int rc = query_run(&query, err);
	return rc < 0 ? rc : 0;
}

int service_addresses_rename(
	struct store *store, const struct store_service *service, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	query_begin(&query, store, ADDRESS_RENAME);
	bind_text(&query, service->name);
	bind_u64(&query, service->id);
	int rc = query_run(&query, err);
	return rc < 0 ? rc : 0;
}

/* No other service has the address, and no other name ever had it. */
static int check_address_is_free(struct store *store, const struct store_service *service,
	const struct ip_address *address, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	char owner[STORE_NAME_MAX + 1], text[IP_ADDRESS_TEXT];
	query_begin(&query, store, ADDRESS_FIND);
	bind_address(&query, address);
	int rc = query_next(&query, err);
	if (rc <= 0)
		return rc;
	take_text(&query, owner, sizeof(owner));
	uint64_t holder = take_u64(&query, UINT32_MAX);
	rc = query_check(&query, err);
	if (rc < 0)
		return rc;
	ip_address_print(address, text);
	if (holder && holder != service->id)
		return error_set(err, -EEXIST, "address %s is in use by %s", text, owner);
	if (strcmp(owner, service->name) != 0)
		return error_set(err, -EEXIST,
			"address %s was %s's and stays reserved for that name, as clients may "
			"still hold it: choose another",
			text, owner);
	return 0;
}

int service_addresses_put(
	struct store *store, const struct store_service *service, uint32_t id, struct error *err)
{
	for (size_t i = 0; i < ADDRESSES_MAX; i++) {
		const struct ip_address *address = &service->addresses[i];
		if (!ip_address_is_set(address))
			continue;
		int rc = check_address_is_free(store, service, address, err);
		if (rc < 0)
			return rc;
		CLEANUP(query) struct query query = {0};
		query_begin(&query, store, ADDRESS_PUT);
		bind_address(&query, address);
		bind_text(&query, service->name);
		bind_u64(&query, id);
		bind_u64(&query, i);
		rc = query_run(&query, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* --- reading them --- */

void service_addresses_take(struct query *query, struct store_service *service)
{
	uint8_t all[ADDRESSES_MAX * 16];
	size_t more = 2;
	/* First all of 4 bytes, and then all of 16. */
	for (size_t size = 4; size <= 16; size += 12) {
		size_t length = take_hex(query, all, ADDRESSES_OF_FAMILY * size);
		for (size_t at = 0; at + size <= length; at += size) {
			struct ip_address *first = size == 4 ? &service->ipv4 : &service->ipv6;
			struct ip_address *to =
				ip_address_is_set(first) ? &service->addresses[more++] : first;
			to->family = size == 4 ? AF_INET : AF_INET6;
			memcpy(to->bytes, all + at, size);
		}
	}
}

static int take_reservation(struct query *query, char name[STORE_NAME_MAX + 1],
	struct ip_address *address, struct error *err)
{
	take_text(query, name, STORE_NAME_MAX + 1);
	*address = take_address(query);
	return query_check(query, err);
}

int store_each_reserved(struct store *store,
	int (*each)(void *ctx, const char *name, const struct ip_address *address), void *ctx,
	struct error *err)
{
	CLEANUP(query) struct query query = {0};
	query_begin(&query, store, ADDRESS_EACH);
	for (;;) {
		char name[STORE_NAME_MAX + 1];
		struct ip_address address;
		int rc = query_next(&query, err);
		if (rc <= 0)
			return rc;
		rc = take_reservation(&query, name, &address, err);
		if (rc == 0)
			rc = each(ctx, name, &address);
		if (rc < 0)
			return rc;
	}
}
