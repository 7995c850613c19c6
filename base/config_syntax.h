/* SPDX-License-Identifier: ISC */
#ifndef BASE_CONFIG_SYNTAX_H
#define BASE_CONFIG_SYNTAX_H

#include <stddef.h>

#include "base/error.h"

/*
 * The text form of configurations and of what `summonctl apply` reads, as a tree that knows its
 * lines. It is the plain part of UCL (and so JSON, too), without macros and variables:
 *
 *   key = value;   key: value   key value     the end of the line ends it as well
 *   section { ... }   section "name" { ... }  the same as section { name { ... } }
 *   list = [a, "b", c]
 *   "text" with JSON's escapes, 'text' without, or a bare word; # and slash-star comments
 *
 * A section that comes twice is one section; a key twice in one file is an error.
 */

enum config_kind { CONFIG_TEXT, CONFIG_LIST, CONFIG_SECTION };

#define CONFIG_FILE_MAX (1u << 20) /* bytes of one file */

struct config_node {
	struct config_node *next;         /* the sibling, in the order of the file */
	struct config_node *first, *last; /* of a list or section */
	enum config_kind kind;
	unsigned line;
	char *file; /* as given to the reader */
	char *key;  /* NULL in a list and at the root */
	char *text; /* CONFIG_TEXT */
};

/* Gives the root, a section, to the caller. -EINVAL: "file:line: what: what would be right". */
int config_syntax_parse(const char *text, size_t length, const char *file, struct config_node **out,
	struct error *err);
/* The same of a file; -E2BIG over CONFIG_FILE_MAX, else errno of opening or reading it. */
int config_syntax_read(const char *path, struct config_node **out, struct error *err);
void config_node_destroy(struct config_node *node);

/* Gives a node without a parent, and with a key unless in a list, to `parent`. */
void config_node_append(struct config_node *parent, struct config_node *child);
/* A child of a section by its key, or NULL. */
struct config_node *config_node_find(const struct config_node *section, const char *key);
/* Moves all of `from` (which is destroyed) into `into`: sections are joined, anything else takes
 * the place of what was there. Both are sections. */
void config_node_merge(struct config_node *into, struct config_node *from);

#endif
