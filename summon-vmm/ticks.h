/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_TICKS_H
#define SUMMON_VMM_TICKS_H

#include <stdint.h>

/* The time stamp counter's frequency, measured against the monotonic clock over whatever time passes
 * anyway between the two calls. */
struct ticks {
	uint64_t count, ns;
};

void ticks_begin(struct ticks *begin);
/* Hz. Where too little time has passed, waits until it has: 0.3 ms, for an error of less than 0.1 per
 * mille. */
uint64_t ticks_hz(const struct ticks *begin);

#endif
