/* SPDX-License-Identifier: ISC */
#ifndef REHEARSE_CLOCK_H
#define REHEARSE_CLOCK_H

#include <stdint.h>

/*
 * The rehearsal's clock stands still until it is told to go on. This program has its own
 * clock_gettime(): the dynamic linker looks for a symbol in the executable before it looks in libc,
 * so libuv's timers, the daemon, the simulated backend and SQLite all live by this clock. Until
 * rehearsal_clock_begin() it is the true one. CPU times are always the true ones.
 */

/* What CLOCK_MONOTONIC is at the beginning: a machine that has been up for a day, for 0 means "not
 * yet" in the daemon. */
#define REHEARSAL_CLOCK_BEGIN (86400 * 1000000000ull)

/* `real`: what CLOCK_REALTIME is at the beginning, ns. */
void rehearsal_clock_begin(uint64_t real);
/* To a time of CLOCK_MONOTONIC that is not earlier than now. */
void rehearsal_clock_set(uint64_t monotonic);

#endif
