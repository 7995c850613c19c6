/* SPDX-License-Identifier: ISC */
#ifndef KERNEL_RANDOM_H
#define KERNEL_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Mixes the platform's random bytes into the state of the generator; before random_init(). Both
 * again in a guest that was kept: nothing that is drawn then depends on the old state alone. */
void random_add(const uint8_t *bytes, size_t size);

/* Seeds the generator from what random_add() was given, or else from the CPU's own (where it has one)
 * and the jitter of the time stamp counter; and from the word seed=HEX of the command line (NULL where
 * it has none). */
void random_init(const char *seed);

/* Numbers for ports, sequence numbers and identifiers. */
uint32_t random_u32(void);

#endif
