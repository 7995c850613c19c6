/* SPDX-License-Identifier: ISC */
#ifndef KERNEL_SYMBOLS_H
#define KERNEL_SYMBOLS_H

#include <stdint.h>

/* The function that holds `address`, and how far into it; "?" where the image has no name for
 * it. */
const char *symbol_find(uint64_t address, uint64_t *offset);

#endif
