/* SPDX-License-Identifier: ISC */
#ifndef PLATFORM_BOOT_INFO_H
#define PLATFORM_BOOT_INFO_H

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

#endif
