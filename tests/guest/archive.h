/* SPDX-License-Identifier: ISC */
#ifndef TESTS_GUEST_ARCHIVE_H
#define TESTS_GUEST_ARCHIVE_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ARCHIVE_BLOCK 512

/* Archives made by hand, to be damaged by hand. */
struct archive {
	uint8_t data[16 * ARCHIVE_BLOCK];
	size_t size;
};

static inline void archive_sign(uint8_t *header)
{
	unsigned sum = 0;
	memset(header + 148, ' ', 8);
	for (size_t i = 0; i < ARCHIVE_BLOCK; i++)
		sum += header[i];
	snprintf((char *)header + 148, 8, "%06o", sum);
}

/* Returns the header, for changes to be made before archive_sign(). */
static inline uint8_t *archive_add(
	struct archive *archive, const char *name, char type, const char *text)
{
	uint8_t *header = archive->data + archive->size;
	size_t size = strlen(text);
	strncpy((char *)header, name, 99);
	snprintf((char *)header + 124, 12, "%011zo", size);
	snprintf((char *)header + 136, 12, "%011o", 1000000000u);
	header[156] = (uint8_t)type;
	memcpy(header + 257, "ustar\00000", 8);
	memcpy(header + ARCHIVE_BLOCK, text, size);
	archive->size += ARCHIVE_BLOCK + (size + ARCHIVE_BLOCK - 1) / ARCHIVE_BLOCK * ARCHIVE_BLOCK;
	archive_sign(header);
	return header;
}

#endif
