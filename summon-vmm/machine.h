/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_MACHINE_H
#define SUMMON_VMM_MACHINE_H

#include "summon-vmm/image.h"

/*
 * Everything that the CPU finds in memory when it starts: page tables, descriptor tables, exception
 * stubs, the call page (Intel SDM volume 3, chapters 3 to 7). Written once, before the guest runs;
 * the guest has no mapping of the page tables, and none that lets it write the rest.
 *
 * Exceptions come to a stub at CPL 0 which pushes what it knows onto LAYOUT_CPU_STACK and writes to
 * LAYOUT_TRAP_DOOR; nothing else ever runs at CPL 0.
 */

/* What the stubs leave on their stack, at rsp. */
struct machine_trap {
	uint64_t vector, code, rip, cs, rflags, rsp, ss;
};

enum machine_selector {
	MACHINE_CODE0 = 0x08,
	MACHINE_DATA0 = 0x10,
	MACHINE_DATA3 = 0x18 | 3,
	MACHINE_CODE3 = 0x20 | 3,
	MACHINE_TASK = 0x28,
};

/* Page tables are made in one of two places, and only once in each: what KVM has made of them stays
 * right, though it is not told of changes. */
enum machine_tables {
	MACHINE_TABLES,
	MACHINE_TABLES_AHEAD, /* for smaller images */
	MACHINE_TABLES_COUNT
};

/* Where the CPU's tables are. */
#define MACHINE_GDT      (LAYOUT_CPU)
#define MACHINE_GDT_SIZE 56
#define MACHINE_TSS      (LAYOUT_CPU + 0x100)
#define MACHINE_TSS_SIZE 104
#define MACHINE_IDT      (LAYOUT_CPU + 0x200)
#define MACHINE_IDT_SIZE 512

/* What does not depend on the image, and is all that a call needs. */
void machine_prepare(const struct memory *memory);
/* The rest; machine_prepare() is included. -EINVAL where the image is too large for the page tables. */
int machine_build(const struct memory *memory, const struct image *image, enum machine_tables where,
	struct error *err);
uint64_t machine_page_table(enum machine_tables where);
/* Adds to the call page what reads a byte of each page from rdi to rsi, and then calls KICK: returns its
 * address. machine_prepare() takes it away again. */
uint64_t machine_add_toucher(const struct memory *memory);

#endif
