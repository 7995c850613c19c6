/* SPDX-License-Identifier: ISC */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <stdint.h>

#include "base/error.h"

/* Times are uint64_t nanoseconds everywhere in this program; sizes are uint64_t bytes. */
#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

#define DURATION_TEXT 32
#define SIZE_TEXT     32

/* "250us", "1.2s", "90s", "10min", "2h", "7d", "0". A unit is required but for 0. */
int duration_parse(const char *text, uint64_t *ns, struct error *err);
/* The shortest exact text that duration_parse reads back. */
const char *duration_print(uint64_t ns, char text[DURATION_TEXT]);

/* "64KiB", "32MiB", "1GiB", "4096B" (and "32M", which means MiB). A unit is required but for 0. */
int size_parse(const char *text, uint64_t *bytes, struct error *err);
const char *size_print(uint64_t bytes, char text[SIZE_TEXT]);

/* A whole decimal number from min to max and nothing else. */
int number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *out, struct error *err);

/* CLOCK_MONOTONIC and CLOCK_REALTIME in nanoseconds. Monotonic times are for stages and decisions,
 * real times for what a person reads and what outlives a restart. */
uint64_t clock_monotonic(void);
uint64_t clock_real(void);

#endif
