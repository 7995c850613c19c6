/* SPDX-License-Identifier: ISC */
#ifndef KERNEL_CLOCK_H
#define KERNEL_CLOCK_H

#include <stdint.h>

/* Finds the frequency of the time stamp counter, or starts to measure it against the platform's
 * reference: the first reading of the clock then waits until the measure is long enough, which in
 * practice the rest of the start has made it. Requires the platform's init(). */
void clock_init(void);

/* After a guest has been kept: goes on from the last reading, at the frequency that the time stamp
 * counter has now. */
void clock_resume(void);

/* Nanoseconds since the first instruction, without those in which the guest was kept. */
uint64_t clock_now(void);

#endif
