/* SPDX-License-Identifier: ISC */
#ifndef PLATFORM_PVH_H
#define PLATFORM_PVH_H

#include <stddef.h>
#include <stdint.h>

struct memory_range {
	uintptr_t start, end;
};

/* What the loader told, copied to where it stays. */
struct boot_info {
	char command_line[2048];
	struct memory_range heap; /* the largest free range of the first 3 GiB above the kernel */
	const void *initrd;       /* NULL where there is none */
	size_t initrd_size;
};

/* `start_info` is what ebx held at entry. Returns NULL, or what is wrong with it (constant
 * text). */
const char *pvh_boot_info(uintptr_t start_info, struct boot_info *out);

#endif
