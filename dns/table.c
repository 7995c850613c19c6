/* SPDX-License-Identifier: ISC */
#include "dns/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 64

static struct node **bucket_of(struct node **buckets, size_t count, uint64_t hash)
{
	return &buckets[(hash ^ hash >> 32) & (count - 1)];
}

/* The suffix of `name` that begins at `label`. */
static struct node *find(const struct table *table, const struct name *name, unsigned label)
{
	uint64_t hash = name->hash[label];
	size_t size = name->size - (size_t)name->offset[label];
	const uint8_t *bytes = name->bytes + name->offset[label];
	struct node *node = *bucket_of(table->buckets, table->bucket_count, hash);
	while (node &&
		(node->hash != hash || node->size != size || memcmp(node->name, bytes, size) != 0))
		node = node->next;
	return node;
}

/* Without memory for more buckets the chains grow longer, and all goes on. */
static void grow(struct table *table)
{
	size_t count = table->bucket_count * 2;
	struct node **buckets = calloc(count, sizeof(struct node *));
	if (!buckets)
		return;
	for (size_t i = 0; i < table->bucket_count; i++) {
		for (struct node *node = table->buckets[i], *next; node; node = next) {
			struct node **bucket = bucket_of(buckets, count, node->hash);
			next = node->next;
			node->next = *bucket;
			*bucket = node;
		}
	}
	free(table->buckets);
	table->buckets = buckets;
	table->bucket_count = count;
}

static bool is_wildcard(const struct node *node)
{
	return node->name[0] == 1 && node->name[1] == '*';
}

static struct node *create(
	struct table *table, struct node *parent, const struct name *name, unsigned label)
{
	size_t size = name->size - (size_t)name->offset[label];
	struct node *node = calloc(1, sizeof(*node) + size);
	if (!node)
		return NULL;
	if (table->node_count >= table->bucket_count)
		grow(table);
	node->hash = name->hash[label];
	node->size = (uint8_t)size;
	memcpy(node->name, name->bytes + name->offset[label], size);
	node->parent = parent;
	if (parent) {
		node->zone = parent->zone;
		node->cut = parent->cut;
		parent->children++;
		if (is_wildcard(node))
			parent->wildcard = node;
	}
	struct node **bucket = bucket_of(table->buckets, table->bucket_count, node->hash);
	node->next = *bucket;
	*bucket = node;
	table->node_count++;
	if (name->labels - label > table->deepest)
		table->deepest = name->labels - label;
	return node;
}

int table_init(struct table *table)
{
	static const uint8_t root[] = {0};
	struct name name;
	*table = (struct table){
		.buckets = calloc(FIRST_BUCKETS, sizeof(struct node *)),
		.bucket_count = FIRST_BUCKETS,
	};
	if (!table->buckets)
		return -ENOMEM;
	name_fold(root, &name);
	table->root = create(table, NULL, &name, 0);
	if (!table->root) {
		table_finish(table);
		return -ENOMEM;
	}
	return 0;
}

void table_finish(struct table *table)
{
	for (size_t i = 0; table->buckets && i < table->bucket_count; i++) {
		for (struct node *node = table->buckets[i], *next; node; node = next) {
			next = node->next;
			free(node);
		}
	}
	free(table->buckets);
	*table = (struct table){0};
}

struct node *table_closest(const struct table *table, const struct name *name, bool *exact)
{
	/* Nothing that deep exists: a query of a hundred labels costs no hundred look-ups. */
	unsigned label = name->labels > table->deepest ? name->labels - table->deepest : 0;
	struct node *node = NULL;
	for (; label < name->labels; label++) {
		node = find(table, name, label);
		if (node)
			break;
	}
	*exact = label == 0;
	return node ? node : table->root;
}

struct node *table_obtain(struct table *table, const struct name *name)
{
	struct node *node = table->root;
	for (unsigned label = name->labels; label-- > 0;) {
		struct node *child = find(table, name, label);
		if (!child)
			child = create(table, node, name, label);
		if (!child) {
			table_prune(table, node);
			return NULL;
		}
		node = child;
	}
	return node;
}

static bool is_empty(const struct node *node)
{
	for (int slot = 0; slot < NODE_SLOTS; slot++)
		if (node->block[slot])
			return false;
	return node->children == 0 && !node->service && !node->fixed;
}

void table_prune(struct table *table, struct node *node)
{
	while (node != table->root && is_empty(node)) {
		struct node *parent = node->parent;
		struct node **at = bucket_of(table->buckets, table->bucket_count, node->hash);
		while (*at != node)
			at = &(*at)->next;
		*at = node->next;
		if (parent->wildcard == node)
			parent->wildcard = NULL;
		free(node);
		table->node_count--;
		parent->children--;
		node = parent;
	}
}
