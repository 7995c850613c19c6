/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_SNAPSHOT_FILE_H
#define SUMMON_VMM_SNAPSHOT_FILE_H

#include "summon-vmm/image.h"
#include "summon-vmm/include/snapshot.h"

/* Reading and writing of include/snapshot.h's file. What a file says is checked before it counts. */

/* Writes what memory holds, and the head, whose `runs` and all above `started_at` are filled in. On
 * failure the file is of no use, and nothing else has changed. */
int snapshot_write(
	struct snapshot_head *head, const struct memory *memory, int file, struct error *err);

/* Reads the head. -EINVAL says why the guest cannot be gone on with in this memory, or that it is
 * made of something else than `key` says. */
int snapshot_read(struct snapshot_head *head, const struct memory *memory, int file,
	const char *key, struct error *err);

/* Fills the memory, and *image. Requires what snapshot_read() has accepted. */
int snapshot_load(const struct snapshot_head *head, struct memory *memory, struct image *image,
	int file, struct error *err);

#endif
