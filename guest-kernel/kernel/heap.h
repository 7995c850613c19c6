/* SPDX-License-Identifier: ISC */
#ifndef KERNEL_HEAP_H
#define KERNEL_HEAP_H

#include <stddef.h>
#include <stdint.h>

/* Gives malloc() and its family (stdlib.h) the memory from start to end. Nothing is touched until
 * it is handed out. */
void heap_init(uintptr_t start, uintptr_t end);

#endif
