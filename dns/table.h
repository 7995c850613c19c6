/* SPDX-License-Identifier: ISC */
#ifndef DNS_TABLE_H
#define DNS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/name.h"

struct block;
struct rrset;
struct service;
struct zone;

/* The types that a name can have records of without a zone file, and that are asked for most. */
enum node_slot { NODE_A, NODE_AAAA, NODE_PTR, NODE_HTTPS, NODE_SLOTS };

/*
 * A name that exists. Every ancestor of a name that exists exists too, up to the root: without
 * records it is an empty non-terminal (RFC 8020), and the first ancestor found of a name that is
 * not there tells its zone.
 */
struct node {
	struct node *next; /* in its bucket */
	struct node *parent;
	uint64_t hash;
	const struct zone *zone;       /* the closest one above or here; NULL: none */
	const struct service *service; /* whose name this is; NULL: nobody's */
	const struct block *block[NODE_SLOTS];
	const struct rrset *sets;    /* all static records, of the zone's own; set_count of them */
	const struct rrset *ds;      /* of an apex: what the zone above has; or NULL */
	const struct node *cut;      /* the delegation at or above, within the zone; or NULL */
	const struct node *wildcard; /* the child "*" (RFC 4592); or NULL */
	uint32_t set_count;
	uint32_t children;
	bool apex;
	bool fixed; /* part of a zone's configuration: stays without records and children */
	uint8_t size;
	uint8_t name[]; /* wire format, lower case */
};

struct table {
	struct node **buckets;
	size_t bucket_count; /* a power of two */
	size_t node_count;
	unsigned deepest; /* labels of the longest chain so far */
	struct node *root;
};

int table_init(struct table *table); /* 0 or -ENOMEM */
void table_finish(struct table *table);

/* The node of the name, or of its closest ancestor that exists; the root always does. */
struct node *table_closest(const struct table *table, const struct name *name, bool *exact);
/* The node of the name, made with all its ancestors where missing. The zone is inherited, so that
 * zones and delegations must be placed from the top down. NULL without memory: then nothing has changed. */
struct node *table_obtain(struct table *table, const struct name *name);
/* Removes the node, and then its ancestors, as far as nothing is left in them. */
void table_prune(struct table *table, struct node *node);

#endif
