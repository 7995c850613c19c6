/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_RIGHTS_H
#define SUMMON_VMM_RIGHTS_H

#include "summon-vmm/image.h"

/* What the guest may do with its memory, page by page: the same whatever runs it. */
enum right { RIGHT_READ = 1, RIGHT_WRITE = 2, RIGHT_EXECUTE = 4 };

/* A mask of rights of the page at `address`, which is below the end of memory; 0 where the guest has
 * nothing there. No page is writable and executable. */
unsigned rights_of(const struct image *image, uint64_t address);

#endif
