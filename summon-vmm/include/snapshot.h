/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_SNAPSHOT_H
#define SUMMON_VMM_SNAPSHOT_H

/*
 * The file in which a guest is kept: what its memory holds from SUMMON_IMAGE_MIN on, and a head that
 * says where. No state of the CPU is in it, nor what the monitor makes itself (page tables, the boot
 * page, rings): a guest is gone on with where its note says (guest-kernel/include/summon_abi.h).
 *
 * Byte n of the guest's memory is byte SNAPSHOT_DATA + n of the file, which is sparse. All is little
 * endian, and as the compiler lays it out; a file of another version is refused.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "summon-vmm/include/protocol.h"

#define SNAPSHOT_MAGIC    "summsnap"
#define SNAPSHOT_VERSION  1u /* raised with every change to this file */
#define SNAPSHOT_DATA     0x4000u
#define SNAPSHOT_SEGMENTS 16
#define SNAPSHOT_RUNS     256

struct snapshot_segment {
	uint64_t start, end;
	uint32_t write, execute;
};

struct snapshot_run {
	uint64_t start, end; /* addresses, in whole pages; ascending; with something between runs */
};

struct snapshot_head {
	char magic[8];
	uint32_t version, abi;
	uint64_t checksum;   /* of all that follows */
	uint64_t file_size;  /* a file that was cut is seen by it */
	uint64_t started_at; /* nanoseconds of real time */
	uint64_t image_end;
	uint64_t initrd, initrd_size, free_start, free_end;
	uint64_t resume_entry, exception_entry, thread, guards[2]; /* of the note */
	uint32_t segment_count, run_count;
	struct snapshot_segment segment[SNAPSHOT_SEGMENTS];
	struct snapshot_run run[SNAPSHOT_RUNS]; /* what is in no run is zero */
	/* What was asked for when the guest was booted: the text of BOOT. */
	uint32_t boot_size, reserved;
	char boot[CONTROL_TEXT_MAX];
};

_Static_assert(sizeof(struct snapshot_head) <= SNAPSHOT_DATA, "it lies before the data");
_Static_assert(sizeof(struct snapshot_head) % 8 == 0, "it is added up in words");

/* FNV-1a over words instead of bytes: whoever could write the file could compute it as well. */
static inline uint64_t snapshot_checksum(const struct snapshot_head *head)
{
	uint64_t sum = 0xcbf29ce484222325u, word;
	for (size_t at = offsetof(struct snapshot_head, file_size); at < sizeof(*head);
		at += sizeof(word)) {
		memcpy(&word, (const char *)head + at, sizeof(word));
		sum = (sum ^ word) * 0x100000001b3u;
	}
	return sum;
}

/* NULL, or what is wrong with the head of a file of `size` bytes, of which `got` were read (constant
 * text). What it says of the guest's memory is the monitor's to check. */
static inline const char *snapshot_refuse(
	const struct snapshot_head *head, size_t got, uint64_t size)
{
	if (got < sizeof(*head) || memcmp(head->magic, SNAPSHOT_MAGIC, sizeof(head->magic)) != 0)
		return "this is no guest that was kept, or not all of one";
	if (head->version != SNAPSHOT_VERSION)
		return "it was kept by another version of summon-vmm";
	if (head->checksum != snapshot_checksum(head))
		return "it is damaged: its checksum is wrong";
	if (head->file_size != size)
		return "it is damaged: the file was cut, or has grown";
	if (head->boot_size < sizeof(struct control_boot) || head->boot_size > sizeof(head->boot))
		return "it is damaged: it does not say what was booted";
	return NULL;
}

/* Text number n of what was booted (protocol.h: the service's name, the tap's, the command line, the
 * key), or NULL where it is not there. Requires a head that is not refused. */
static inline const char *snapshot_text(const struct snapshot_head *head, unsigned n)
{
	const char *at = head->boot + sizeof(struct control_boot);
	const char *end = head->boot + head->boot_size;
	while (at < end) {
		const char *stop = (const char *)memchr(at, '\0', (size_t)(end - at));
		if (!stop)
			return NULL;
		if (n-- == 0)
			return at;
		at = stop + 1;
	}
	return NULL;
}

#endif
