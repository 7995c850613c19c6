/* SPDX-License-Identifier: ISC */
#include "tests/fuzz/cost.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"

/* The hook has no argument to pass a context by. */
static struct {
	uint64_t steps;
	struct cost noted;
} state;

#ifdef COUNT_STEPS
/* Called at each basic block of what is compiled with -fsanitize-coverage=trace-pc. */
void __sanitizer_cov_trace_pc(void);

void __sanitizer_cov_trace_pc(void)
{
	state.steps++;
}
#endif

struct cost cost_now(void)
{
	return (struct cost){.steps = state.steps, .ns = clock_monotonic()};
}

void cost_note(struct cost from)
{
	struct cost now = cost_now();
	state.noted = (struct cost){now.steps - from.steps, now.ns - from.ns};
	if (state.noted.steps <= COST_MAX_STEPS)
		return;
	fprintf(stderr, "one packet takes %llu steps, more than %u\n",
		(unsigned long long)state.noted.steps, COST_MAX_STEPS);
	abort();
}

struct cost cost_noted(void)
{
	return state.noted;
}
