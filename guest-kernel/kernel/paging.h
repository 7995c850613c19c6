/* SPDX-License-Identifier: ISC */
#ifndef KERNEL_PAGING_H
#define KERNEL_PAGING_H

#include <stdint.h>

/* Requires the mapping of kernel/start.S: 4 GiB, one to one. Splits its first 2 MiB into pages:
 * page zero is unmapped, text is read-only, everything but text is not executable, and the pages
 * below both stacks are unmapped, so that an overflow faults. */
void paging_protect(void);

/* Has the CPU cache the 2 MiB page at `address`, of the last GiB, which otherwise is for devices. */
void paging_cache(uintptr_t address);

#endif
