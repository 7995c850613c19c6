/* SPDX-License-Identifier: ISC */
#ifndef APPS_SITE_H
#define APPS_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The files of a web site, found by path in an archive in memory. */
struct site_file {
	const char *name;
	const uint8_t *data;
	size_t size;
	uint64_t mtime;
};

struct site {
	struct site_file *files; /* sorted by name */
	size_t count, room;
};

enum site_found { SITE_FILE, SITE_DIRECTORY, SITE_NOTHING };

/* Reads the table of contents of a ustar archive, which must outlive the site. Of files of one name
 * the last counts, as in unpacking. Returns 0, -EINVAL or -ENOMEM with *why (constant text). */
int site_init(struct site *site, const void *archive, size_t size, const char **why);
void site_finish(struct site *site);

/* `path` starts with a slash. SITE_FILE: *file is the file, or the index.html of the directory
 * whose path ends in a slash. SITE_DIRECTORY: the path names a directory with an index.html, but
 * lacks the slash. */
enum site_found site_find(const struct site *site, const char *path, const struct site_file **file);

#endif
