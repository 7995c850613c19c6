/* SPDX-License-Identifier: ISC */
#include "base/config_syntax.h"

#include <stdlib.h>
#include <string.h>

void config_node_append(struct config_node *parent, struct config_node *child)
{
	child->next = NULL;
	if (parent->last)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
}

void config_node_destroy(struct config_node *node)
{
	if (!node)
		return;
	while (node->first) {
		struct config_node *child = node->first;
		node->first = child->next;
		config_node_destroy(child);
	}
	free(node->file);
	free(node->key);
	free(node->text);
	free(node);
}

struct config_node *config_node_find(const struct config_node *section, const char *key)
{
	struct config_node *child = section ? section->first : NULL;
	while (child && strcmp(child->key, key) != 0)
		child = child->next;
	return child;
}

/* Puts the value of `from` in the place of that of `into`, which gets the old one. */
static void exchange_values(struct config_node *into, struct config_node *from)
{
	struct config_node old = *into;
	*into = *from;
	into->next = old.next;
	struct config_node *next = from->next;
	*from = old;
	from->next = next;
}

void config_node_merge(struct config_node *into, struct config_node *from)
{
	while (from->first) {
		struct config_node *child = from->first;
		from->first = child->next;
		struct config_node *old = config_node_find(into, child->key);
		if (!old) {
			config_node_append(into, child);
		} else if (old->kind == CONFIG_SECTION && child->kind == CONFIG_SECTION) {
			config_node_merge(old, child);
		} else {
			exchange_values(old, child);
			config_node_destroy(child);
		}
	}
	from->last = NULL;
	config_node_destroy(from);
}
