/* SPDX-License-Identifier: ISC */
#include "dns/names.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "dns/dnssec.h"
#include "dns/https.h"
#include "dns/wire.h"

const struct rrset *node_find_set(const struct node *node, uint16_t type)
{
	for (uint32_t i = 0; i < node->set_count; i++)
		if (node->sets[i].type == type)
			return &node->sets[i];
	return NULL;
}

static void service_destroy(struct service *service)
{
	if (!service)
		return;
	free(service->block[0]);
	free(service->block[1]);
	free(service->ptr);
	free(service->https);
	free(service->also);
	free(service);
}

CLEANUP_DEFINE(service_destroy, struct service *, service_destroy)

static int compare_numbers(const void *a, const void *b)
{
	uint32_t left = ((const struct service *)a)->number;
	uint32_t right = ((const struct service *)b)->number;
	return (left > right) - (left < right);
}

static struct service *find_service(const struct names *names, uint32_t number)
{
	const struct service key = {.number = number};
	struct service *const *found = tfind(&key, &names->services, compare_numbers);
	return found ? *found : NULL;
}

const struct service *names_find_service(const struct names *names, uint32_t number)
{
	return find_service(names, number);
}

/* An HTTPS record of the zone's own goes before the policy's. */
static void place_service(struct node *node, const struct service *service)
{
	node->service = service;
	node->block[NODE_A] = service->block[0];
	node->block[NODE_AAAA] = service->block[1];
	node->block[NODE_HTTPS] = node_find_set(node, DNS_TYPE_HTTPS) ? NULL : service->https;
}

/* Takes a name away from the service; nothing where it is not the service's. */
static void displace_name(struct names *names, const struct service *service, const uint8_t *wire)
{
	struct name name;
	bool exact;
	name_fold(wire, &name);
	struct node *node = table_closest(&names->table, &name, &exact);
	if (!exact || node->service != service)
		return;
	node->service = NULL;
	node->block[NODE_A] = node->block[NODE_AAAA] = node->block[NODE_HTTPS] = NULL;
	table_prune(&names->table, node);
}

/* Whether a service may have this name: where the zone says something else of it, it may not. */
static int check_free(const struct node *node, const struct name *name, struct error *err)
{
	char text[254], above[NAME_TEXT];
	name_print(name, text);
	if (node->cut)
		return error_set(err, -EEXIST,
			"'%.100s' belongs to '%.100s', which the zone delegates to others", text,
			name_print_wire(node->cut->name, above));
	if (!node->service && (node->block[NODE_A] || node->block[NODE_AAAA]))
		return error_set(err, -EEXIST,
			"'%.100s' has an address in its zone (of a name server, or in the zone "
			"file): a service needs another name",
			text);
	if (node_find_set(node, DNS_TYPE_CNAME))
		return error_set(err, -EEXIST,
			"'%.100s' is a CNAME in its zone's file: a service needs another name",
			text);
	return 0;
}

/* Where one of our zones has the name of the address, and nothing to say there. */
static void place_ptr(
	struct table *table, const struct service *service, const struct ip_address *address)
{
	struct name name;
	bool exact;
	if (!ip_address_is_set(address))
		return;
	name_reverse(address, &name);
	const struct node *closest = table_closest(table, &name, &exact);
	if (!closest->zone || closest->cut ||
		(exact && (closest->block[NODE_PTR] || node_find_set(closest, DNS_TYPE_CNAME))))
		return;
	struct node *node = table_obtain(table, &name);
	/* Without memory, or without this one record, all else goes on. */
	if (node)
		node->block[NODE_PTR] = service->ptr;
}

static void displace_ptr(
	struct table *table, const struct service *service, const struct ip_address *address)
{
	struct name name;
	bool exact;
	if (!ip_address_is_set(address))
		return;
	name_reverse(address, &name);
	struct node *node = table_closest(table, &name, &exact);
	if (!exact || node->block[NODE_PTR] != service->ptr)
		return;
	node->block[NODE_PTR] = NULL;
	table_prune(table, node);
}

/* --- zones --- */

struct placing {
	struct table *table;
	int rc;
	struct error *err;
};

static int place_name_again(
	struct placing *placing, const struct service *service, const uint8_t *wire)
{
	struct name name;
	name_fold(wire, &name);
	struct node *node = table_obtain(placing->table, &name);
	int rc = node ? check_free(node, &name, placing->err)
		      : error_set(placing->err, -ENOMEM, "out of memory");
	if (rc == 0)
		place_service(node, service);
	return rc;
}

static void place_again(const void *tree_node, VISIT visit, void *closure)
{
	const struct service *service = *(struct service *const *)tree_node;
	struct placing *placing = closure;
	/* Each is visited once on its way in order, or as a leaf. */
	if (placing->rc < 0 || (visit != postorder && visit != leaf))
		return;
	if (!service->nameless)
		placing->rc = place_name_again(placing, service, service->name);
	for (size_t i = 0; placing->rc == 0 && i < service->also_count; i++)
		placing->rc = place_name_again(placing, service, service->also[i]);
	for (int i = 0; placing->rc == 0 && i < ADDRESSES_MAX; i++)
		place_ptr(placing->table, service, &service->address[i]);
}

static const struct zone *find_zone(const struct names *names, const struct name *origin)
{
	for (size_t i = 0; i < names->zone_count; i++)
		if (name_compare(names->zones[i]->origin.bytes, origin->bytes) == 0)
			return names->zones[i];
	return NULL;
}

/* A zone whose records did not change keeps its serial: secondaries have it already. */
static void keep_serials(const struct names *names, struct dns_zones *zones)
{
	for (size_t i = 0; i < zones->count; i++) {
		struct zone *zone = zones->zones[i];
		const struct zone *old = find_zone(names, &zone->origin);
		if (old && old->own_serial && zone->own_serial && zone_same_records(old, zone))
			zone_set_serial(zone, old->serial);
		zone->changed = !old || old->serial != zone->serial;
	}
}

int names_use_zones(struct names *names, struct dns_zones *zones, struct error *err)
{
	struct placing placing = {.table = &zones->table, .err = err};
	twalk_r(names->services, place_again, &placing);
	if (placing.rc == 0) {
		const struct dns_zones old = {names->table, names->zones, names->zone_count};
		keep_serials(names, zones);
		names->table = zones->table;
		names->zones = zones->zones;
		names->zone_count = zones->count;
		*zones = old;
	}
	dns_zones_destroy(zones);
	return placing.rc;
}

int names_set_zones(
	struct names *names, const struct dns_zone_config *configs, size_t count, struct error *err)
{
	struct dns_zones *zones = NULL;
	int rc = dns_zones_create(configs, count, &zones, err);
	return rc < 0 ? rc : names_use_zones(names, zones, err);
}

/* --- services --- */

static struct block *compile_ptr(const struct service *service, uint32_t ttl)
{
	struct block_builder builder;
	block_begin(&builder, NULL, DNS_TYPE_PTR);
	size_t data = block_record(&builder, ttl);
	block_put_name(&builder, service->name);
	block_end_record(&builder, data);
	return block_finish(&builder);
}

/* The set of a family; nothing where it has none. */
static int compile_family(
	struct service *service, int family, struct block **out, uint32_t ttl, struct error *err)
{
	struct ip_address set[ADDRESSES_MAX];
	size_t count = 0;
	for (size_t i = 0; i < ADDRESSES_MAX; i++)
		if (service->address[i].family == family)
			set[count++] = service->address[i];
	if (count > ADDRESSES_OF_FAMILY)
		return error_set(err, -EINVAL, "a service has at most %d addresses of a family",
			ADDRESSES_OF_FAMILY);
	if (count == 0)
		return 0;
	*out = block_of_addresses(set, count, ttl);
	return *out ? 0 : error_set(err, -ENOMEM, "out of memory");
}

static int compile_addresses(struct service *service, const struct ip_address *addresses,
	size_t count, uint32_t ttl, struct error *err)
{
	if (ttl > TTL_MAX)
		return error_set(err, -EINVAL, "a TTL is at most %u seconds", TTL_MAX);
	if (count > ADDRESSES_MAX)
		return error_set(err, -EINVAL, "a service has at most %d addresses", ADDRESSES_MAX);
	if (count > 0)
		memcpy(service->address, addresses, count * sizeof(*addresses));
	int rc = compile_family(service, AF_INET, &service->block[0], ttl, err);
	if (rc == 0)
		rc = compile_family(service, AF_INET6, &service->block[1], ttl, err);
	if (rc < 0)
		return rc;
	service->ptr = compile_ptr(service, ttl);
	return service->ptr ? 0 : error_set(err, -ENOMEM, "out of memory");
}

int names_check_service(const struct names *names, const char *text, struct error *err)
{
	struct name name;
	bool exact;
	int rc = name_parse(text, &name, err);
	if (rc < 0)
		return rc;
	const struct node *node = table_closest(&names->table, &name, &exact);
	return exact || node->cut ? check_free(node, &name, err) : 0;
}

static bool has_name(
	uint8_t (*const list)[NAME_MAX_SIZE], size_t count, const uint8_t wire[NAME_MAX_SIZE])
{
	for (size_t i = 0; i < count; i++)
		if (name_compare(list[i], wire) == 0)
			return true;
	return false;
}

/* Displaces those of the list that are not kept. */
static void displace_others(struct names *names, const struct service *service,
	uint8_t (*const list)[NAME_MAX_SIZE], size_t count, uint8_t (*const keep)[NAME_MAX_SIZE],
	size_t keep_count)
{
	for (size_t i = 0; i < count; i++)
		if (!has_name(keep, keep_count, list[i]))
			displace_name(names, service, list[i]);
}

/* The other names of a service stay when it is put again, but for one that is its own name now. */
static void keep_others(struct names *names, struct service *service, struct service *old)
{
	struct name name;
	bool exact;
	service->also = STEAL_POINTER(old->also);
	for (size_t i = 0; i < old->also_count; i++) {
		uint8_t *wire = service->also[i];
		if (name_compare(wire, service->name) == 0)
			continue;
		name_fold(wire, &name);
		place_service(table_closest(&names->table, &name, &exact), service);
		memmove(service->also[service->also_count++], wire, NAME_MAX_SIZE);
	}
}

/* The node for the name, where the service may have it. */
static int claim_node(struct names *names, uint32_t number, const struct name *name,
	struct node **out, struct error *err)
{
	char text[254];
	struct node *node = table_obtain(&names->table, name);
	if (!node)
		return error_set(err, -ENOMEM, "out of memory");
	if (node->service && node->service->number != number)
		return error_set(err, -EEXIST, "'%.100s' is the name of another service",
			name_print(name, text));
	*out = node;
	int rc = check_free(node, name, err);
	if (rc < 0)
		table_prune(&names->table, node);
	return rc;
}

int names_put_service(struct names *names, uint32_t number, const char *text,
	const struct ip_address *addresses, size_t count, uint32_t ttl, struct error *err)
{
	struct name name;
	struct node *node = NULL;
	if (number == 0)
		return error_set(err, -EINVAL, "0 is no number of a service");
	CLEANUP(service_destroy) struct service *service = calloc(1, sizeof(*service));
	if (!service)
		return error_set(err, -ENOMEM, "out of memory");
	int rc = name_parse(text, &name, err);
	if (rc < 0)
		return rc;
	memcpy(service->name, name.bytes, name.size);
	rc = compile_addresses(service, addresses, count, ttl, err);
	if (rc == 0)
		rc = claim_node(names, number, &name, &node, err);
	if (rc < 0)
		return rc;
	service->number = number;
	struct service **place = tsearch(service, &names->services, compare_numbers);
	if (!place) {
		table_prune(&names->table, node);
		return error_set(err, -ENOMEM, "out of memory");
	}
	struct service *old = *place == service ? NULL : *place;
	*place = STEAL_POINTER(service);
	/* The new name first: it may be above the old one, and only be kept by it. */
	place_service(node, *place);
	if (old) {
		keep_others(names, *place, old);
		displace_name(names, old, old->name);
	}
	for (int i = 0; old && i < ADDRESSES_MAX; i++)
		displace_ptr(&names->table, old, &old->address[i]);
	for (int i = 0; i < ADDRESSES_MAX; i++)
		place_ptr(&names->table, *place, &(*place)->address[i]);
	service_destroy(old);
	return 0;
}

int names_put_instance(struct names *names, uint32_t number, uint32_t of,
	const struct ip_address *addresses, size_t count, uint32_t ttl, struct error *err)
{
	const struct service *first = find_service(names, of);
	if (!first || number == 0 || number == of)
		return error_set(err, -ENOENT, "there is no service of number %u", of);
	CLEANUP(service_destroy) struct service *service = calloc(1, sizeof(*service));
	if (!service)
		return error_set(err, -ENOMEM, "out of memory");
	service->number = number;
	service->nameless = true;
	memcpy(service->name, first->name, sizeof(service->name));
	int rc = compile_addresses(service, addresses, count, ttl, err);
	if (rc < 0)
		return rc;
	names_remove_service(names, number);
	struct service **place = tsearch(service, &names->services, compare_numbers);
	if (!place)
		return error_set(err, -ENOMEM, "out of memory");
	*place = STEAL_POINTER(service);
	for (int i = 0; i < ADDRESSES_MAX; i++)
		place_ptr(&names->table, *place, &(*place)->address[i]);
	return 0;
}

static int claim_other(struct names *names, const struct service *service, const char *text,
	uint8_t wire[NAME_MAX_SIZE], struct error *err)
{
	struct name name;
	struct node *node;
	int rc = name_parse(text, &name, err);
	if (rc < 0)
		return rc;
	if (name_compare(name.bytes, service->name) == 0)
		return error_set(err, -EEXIST, "'%.100s' is its own name already", text);
	rc = claim_node(names, service->number, &name, &node, err);
	if (rc < 0)
		return rc;
	place_service(node, service);
	memcpy(wire, name.bytes, name.size);
	return 0;
}

int names_set_service_names(struct names *names, uint32_t number, const char *const *texts,
	size_t count, struct error *err)
{
	struct service *service = find_service(names, number);
	if (!service)
		return error_set(err, -ENOENT, "there is no service of number %u", number);
	uint8_t(*also)[NAME_MAX_SIZE] = calloc(count + 1, sizeof(*also));
	if (!also)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		int rc = claim_other(names, service, texts[i], also[i], err);
		if (rc == 0)
			continue;
		displace_others(names, service, also, i, service->also, service->also_count);
		free(also);
		return rc;
	}
	displace_others(names, service, service->also, service->also_count, also, count);
	free(service->also);
	service->also = also;
	service->also_count = count;
	return 0;
}

static void place_again_at(struct names *names, const struct service *service, const uint8_t *wire)
{
	struct name name;
	bool exact;
	name_fold(wire, &name);
	struct node *node = table_closest(&names->table, &name, &exact);
	if (exact && node->service == service)
		place_service(node, service);
}

int names_set_service_https(struct names *names, uint32_t number, const char *parameters,
	uint32_t ttl, struct error *err)
{
	struct block *made = NULL;
	struct service *service = find_service(names, number);
	if (!service)
		return error_set(err, -ENOENT, "there is no service of number %u", number);
	int rc = strcmp(parameters, DNS_HTTPS_NONE) == 0
			 ? 0
			 : https_compile(parameters, ttl, &made, err);
	if (rc < 0)
		return rc;
	free(service->https);
	service->https = made;
	place_again_at(names, service, service->name);
	for (size_t i = 0; i < service->also_count; i++)
		place_again_at(names, service, service->also[i]);
	return 0;
}

void names_remove_service(struct names *names, uint32_t number)
{
	struct service *service = find_service(names, number);
	if (!service)
		return;
	displace_name(names, service, service->name);
	displace_others(names, service, service->also, service->also_count, NULL, 0);
	for (int i = 0; i < ADDRESSES_MAX; i++)
		displace_ptr(&names->table, service, &service->address[i]);
	tdelete(service, &names->services, compare_numbers);
	service_destroy(service);
}

int names_init(struct names *names)
{
	*names = (struct names){.signatures = signatures_create()};
	return names->signatures ? table_init(&names->table) : -ENOMEM;
}

static void destroy_service(void *service)
{
	service_destroy(service);
}

void names_finish(struct names *names)
{
	table_finish(&names->table);
	for (size_t i = 0; i < names->zone_count; i++)
		zone_destroy(names->zones[i]);
	free(names->zones);
	tdestroy(names->services, destroy_service);
	signatures_destroy(names->signatures);
	tsig_keys_finish(&names->tsig_keys);
	*names = (struct names){0};
}
