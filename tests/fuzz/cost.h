/* SPDX-License-Identifier: ISC */
#ifndef TESTS_FUZZ_COST_H
#define TESTS_FUZZ_COST_H

#include <stdint.h>

/*
 * What one input costs. Steps are basic blocks of our own code, counted by the compiler's coverage
 * hook: the same on every machine at every time, so that a limit on them cannot flake, unlike one
 * on the clock. At the worst a block takes some nanoseconds. Only the replay counts them; the
 * libFuzzer programs need the hook themselves.
 */
struct cost {
	uint64_t steps, ns;
};

/* The most that one packet may take: at 20 ns for each, not half a millisecond. */
#define COST_MAX_STEPS 20000

/* What was spent so far, for differences. */
struct cost cost_now(void);
/* Notes what the present input has cost since `from`, and ends the program where that is too
 * much. */
void cost_note(struct cost from);
/* Of the input noted last. */
struct cost cost_noted(void);

#endif
