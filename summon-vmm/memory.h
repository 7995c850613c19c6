/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_MEMORY_H
#define SUMMON_VMM_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/error.h"

/*
 * The guest's physical memory, from address 0 on, and where in it the monitor's own parts lie:
 * below the image, from which they are kept apart by the guest's page tables.
 */
#define PAGE 4096ull

#define LAYOUT_BOOT      0x10000ull /* struct summon_boot */
#define LAYOUT_CALLS     0x11000ull /* the call page */
#define LAYOUT_SHARED    0x12000ull /* struct summon_shared */
#define LAYOUT_TRANSMIT  0x13000ull /* struct summon_ring */
#define LAYOUT_RECEIVE   0x58000ull /* struct summon_ring */
#define LAYOUT_TABLES    0xb0000ull /* page tables, up to LAYOUT_CPU */
#define LAYOUT_CPU       0xe0000ull /* descriptor tables and exception stubs */
#define LAYOUT_CPU_STACK 0xe1000ull /* where they push what the CPU knew */
#define LAYOUT_AHEAD     0xe4000ull /* page tables that are made ahead, up to the doors */
#define LAYOUT_CALL_DOOR 0xf0000ull /* no memory behind these two: a write leaves the guest */
#define LAYOUT_TRAP_DOOR 0xf1000ull

#define MEMORY_MIN (4ull << 20)
#define MEMORY_MAX (3ull << 30) /* the doors lie above */

#ifndef MADV_POPULATE_WRITE /* Linux 5.14; musl 1.2.3 does not know it */
#define MADV_POPULATE_WRITE 23
#endif

#define MEMORY_PIECES  260
#define MEMORY_PAGEMAP 15 /* the descriptor of memory_watch() */

struct memory {
	uint8_t *bytes;  /* of `start` */
	uint64_t start;  /* the first address that has memory */
	uint64_t size;   /* the first one behind the last that has */
	uint64_t whole;  /* likewise, before memory_limit() */
	uint64_t backed; /* from SUMMON_IMAGE_MIN to here, ahead of time */
	bool is_watched; /* by memory_watch() */
	struct memory_piece {
		uint64_t start, end;
	} mapped[MEMORY_PIECES]; /* by memory_load() */
	unsigned mapped_count;
	bool only_copies;   /* memory_load() maps nothing, */
	uint64_t copy_left; /* and copies no more than that */
};

/* Reserves `size` bytes, a multiple of the page from MEMORY_MIN to MEMORY_MAX, all zero; nothing is
 * backed before it is touched. */
int memory_init(struct memory *memory, uint64_t size, struct error *err);
/* Likewise from LAYOUT_BOOT on, where the guest's addresses are this process's own. */
int memory_init_in_place(struct memory *memory, uint64_t size, struct error *err);
/* Leaves the guest less of it. */
int memory_limit(struct memory *memory, uint64_t size, struct error *err);
/* Whatever the image brought is given back: all of it is there again, zero, and unbacked. Requires that
 * nothing was mapped. */
void memory_clear(struct memory *memory);
/* Backs what every guest touches, ahead of time; and what an image of the usual size takes, where it is
 * not known yet. */
void memory_populate(struct memory *memory);
void memory_populate_image(struct memory *memory);
/* Backs what will be touched at once, where it is not: that takes a third of what touching it does. */
void memory_back(const struct memory *memory, uint64_t address, uint64_t size);
/* Opens what tells memory_look() what is backed (Linux, Documentation/admin-guide/mm/pagemap.rst).
 * Where it cannot, everything is said to be. */
void memory_watch(struct memory *memory);
void memory_finish(struct memory *memory);

/* Has `size` bytes of a file be the memory at `address`, in whole pages: copied where that is quicker,
 * else mapped, and shared with others until they are written to. The file must never change. -E2BIG
 * where it may only be copied, and is too large for that. */
int memory_load(struct memory *memory, uint64_t address, uint64_t size, int file, uint64_t offset);

bool memory_is_mapped(const struct memory *memory, uint64_t address);
bool memory_is_zero(const uint8_t page[PAGE]);

#define MEMORY_LOOK 512u
/* For each of `count` pages from `address` on, at most MEMORY_LOOK: false where it was never used, and
 * is zero. */
void memory_look(const struct memory *memory, uint64_t address, unsigned count, bool *used);

/* The only way from a guest's address to a host's: `size` bytes from `address` on, or NULL where
 * not all of them are the guest's memory. */
void *memory_at(const struct memory *memory, uint64_t address, uint64_t size);

#endif
