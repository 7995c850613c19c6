/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_IMAGE_H
#define SUMMON_VMM_IMAGE_H

#include <stdbool.h>

#include "guest-kernel/include/summon_abi.h"
#include "summon-vmm/memory.h"

/* An ELF executable with the note of summon_abi.h (the System V ABI's gABI, chapters 4 and 5). All
 * that a file says is checked before it counts. */

#define IMAGE_SEGMENTS 16

struct image_segment {
	uint64_t start, end; /* addresses, in whole pages; do not overlap */
	bool write, execute; /* never both */
};

struct image {
	struct image_segment segments[IMAGE_SEGMENTS];
	unsigned count;
	uint64_t end; /* the first page behind all segments */
	struct summon_note note;
};

/* Reads the executable into the guest's memory. -EINVAL says what of it cannot be right; `path` is
 * for the message. */
int image_load(struct image *image, const struct memory *memory, int file, const char *path,
	struct error *err);

#endif
