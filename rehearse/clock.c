/* SPDX-License-Identifier: ISC */
#include "rehearse/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"

/* What clock_gettime() reads cannot be handed to it: the one state of this program that is nobody's.
 * Threads of libraries may read it, too. */
static _Atomic uint64_t monotonic_now; /* 0: it has not begun */
static _Atomic uint64_t real_offset;

void rehearsal_clock_begin(uint64_t real)
{
	real_offset = real - REHEARSAL_CLOCK_BEGIN; /* wraps, and back again */
	monotonic_now = REHEARSAL_CLOCK_BEGIN;
}

void rehearsal_clock_set(uint64_t monotonic)
{
	monotonic_now = monotonic;
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
	uint64_t now = monotonic_now;
	bool real = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
	bool monotonic = clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE ||
			 clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_BOOTTIME;
	if (now == 0 || (!real && !monotonic))
		return (int)syscall(SYS_clock_gettime, clock, out);
	now += real ? real_offset : 0;
	*out = (struct timespec){(time_t)(now / NS_PER_S), (long)(now % NS_PER_S)};
	return 0;
}
