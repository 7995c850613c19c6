/* SPDX-License-Identifier: ISC */
#ifndef APPS_TAR_H
#define APPS_TAR_H

#include <stddef.h>
#include <stdint.h>

/*
 * A reader for ustar archives (POSIX.1-2017, pax, "ustar Interchange Format") in memory, which may
 * hold anything at all. Pure: allocates nothing, keeps nothing.
 */
#define TAR_NAME_MAX 257 /* prefix, slash, name, NUL */

struct tar {
	const uint8_t *data;
	size_t size, at;
};

struct tar_entry {
	char name[TAR_NAME_MAX]; /* without leading "./" and "/" */
	const uint8_t *data;
	size_t size;
	uint64_t mtime; /* seconds since 1970 */
};

/* Finds the next regular file; whatever else there is, directories say, is passed over. Returns 1,
 * 0 at the end, or -EINVAL with *why (constant text) where the archive is damaged or not plain
 * ustar. Start with *tar = {data, size, 0}. */
int tar_next(struct tar *tar, struct tar_entry *entry, const char **why);

#endif
