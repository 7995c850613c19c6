/* SPDX-License-Identifier: ISC */
#include "dns/zones.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "dns/wire.h"

CLEANUP_DEFINE(dns_zones_destroy, struct dns_zones *, dns_zones_destroy)

void dns_zones_destroy(struct dns_zones *zones)
{
	if (!zones)
		return;
	table_finish(&zones->table);
	for (size_t i = 0; i < zones->count; i++)
		zone_destroy(zones->zones[i]);
	free(zones->zones);
	free(zones);
}

static int compare_depth(const void *a, const void *b)
{
	const struct zone *const *left = a, *const *right = b;
	return (*left)->origin.labels - (*right)->origin.labels;
}

/* Also puts the zones above before those beneath, as table_obtain wants them. */
static int create_zones(struct dns_zones *zones, const struct dns_zone_config *configs,
	size_t count, struct error *err)
{
	zones->zones = calloc(count + 1, sizeof(struct zone *));
	if (!zones->zones)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		int rc = zone_create(&configs[i], &zones->zones[i], err);
		if (rc < 0)
			return rc;
		zones->count++;
	}
	qsort(zones->zones, count, sizeof(struct zone *), compare_depth);
	return 0;
}

static int place_apex(struct dns_zones *zones, const struct zone *zone, struct error *err)
{
	char text[254];
	struct node *node = table_obtain(&zones->table, &zone->origin);
	if (!node)
		return error_set(err, -ENOMEM, "out of memory");
	if (node->apex)
		return error_set(err, -EINVAL, "zone '%.100s' is given twice",
			name_print(&zone->origin, text));
	node->apex = node->fixed = true;
	node->zone = zone;
	node->cut = NULL;
	return 0;
}

static bool same_block(const struct block *a, const struct block *b)
{
	return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

static enum node_slot slot_of(uint16_t type)
{
	switch (type) {
	case DNS_TYPE_A:
		return NODE_A;
	case DNS_TYPE_AAAA:
		return NODE_AAAA;
	case DNS_TYPE_PTR:
		return NODE_PTR;
	default:
		return NODE_SLOTS;
	}
}

/* A set of a zone at a name of one beneath it, which is ours, too. That one knows best what it has,
 * but for its DS, and for addresses of name servers that only the configuration above gives. */
static bool is_heard(const struct node *closest, bool exact, const struct rrset *set)
{
	enum node_slot slot = slot_of(set->type);
	if (set->type == DNS_TYPE_DS)
		return exact && closest->apex;
	return (slot == NODE_A || slot == NODE_AAAA) && set->records[0]->line == 0;
}

static int place_foreign(struct node *node, const struct rrset *set, struct error *err)
{
	char text[NAME_TEXT];
	enum node_slot slot = slot_of(set->type);
	if (set->type == DNS_TYPE_DS)
		node->ds = set;
	else if (!node->block[slot])
		node->block[slot] = set->block;
	else if (!same_block(node->block[slot], set->block))
		return error_set(err, -EINVAL,
			"name server '%.100s' has another address or TTL in another zone",
			name_print_wire(set->records[0]->bytes, text));
	return 0;
}

static void place_own(struct node *node, const struct rrset *set)
{
	enum node_slot slot = slot_of(set->type);
	if (node->set_count++ == 0)
		node->sets = set;
	if (slot != NODE_SLOTS)
		node->block[slot] = set->block;
	if (set->type == DNS_TYPE_NS && !node->apex && !node->cut)
		node->cut = node;
}

static int place_set(struct dns_zones *zones, const struct zone *zone, const struct rrset *set,
	struct error *err)
{
	struct name owner;
	bool exact;
	name_fold(set->records[0]->bytes, &owner);
	const struct node *closest = table_closest(&zones->table, &owner, &exact);
	if (closest->zone != zone && !is_heard(closest, exact, set))
		return 0;
	struct node *node = table_obtain(&zones->table, &owner);
	if (!node)
		return error_set(err, -ENOMEM, "out of memory");
	node->fixed = true;
	if (node->zone != zone)
		return place_foreign(node, set, err);
	place_own(node, set);
	return 0;
}

/* The sets are in canonical order: a delegation comes before what is beneath it. */
static int place_sets(struct dns_zones *zones, const struct zone *zone, struct error *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < zone->set_count; i++)
		rc = place_set(zones, zone, &zone->sets[i], err);
	return rc;
}

int dns_zones_create(const struct dns_zone_config *configs, size_t count, struct dns_zones **out,
	struct error *err)
{
	CLEANUP(dns_zones_destroy) struct dns_zones *zones = calloc(1, sizeof(*zones));
	if (!zones || table_init(&zones->table) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	int rc = create_zones(zones, configs, count, err);
	for (size_t i = 0; rc == 0 && i < zones->count; i++)
		rc = place_apex(zones, zones->zones[i], err);
	/* From the bottom up: what a zone beneath says is there before the zone above is heard. */
	for (size_t i = zones->count; rc == 0 && i-- > 0;)
		rc = place_sets(zones, zones->zones[i], err);
	if (rc < 0)
		return rc;
	*out = STEAL_POINTER(zones);
	return 0;
}
