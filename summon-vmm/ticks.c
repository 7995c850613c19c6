/* SPDX-License-Identifier: ISC */
#include "summon-vmm/ticks.h"

#include <x86intrin.h>

#include "base/units.h"

#define LEAST_NS (300 * NS_PER_US)
#define TRIES    3

/* Both at the same moment, as far as that can be: the try that took least counts. */
static struct ticks look(void)
{
	struct ticks best = {0};
	uint64_t shortest = UINT64_MAX;
	for (int i = 0; i < TRIES; i++) {
		uint64_t before = __rdtsc(), ns = clock_monotonic(), took = __rdtsc() - before;
		if (took >= shortest)
			continue;
		shortest = took;
		best = (struct ticks){before + took / 2, ns};
	}
	return best;
}

void ticks_begin(struct ticks *begin)
{
	*begin = look();
}

uint64_t ticks_hz(const struct ticks *begin)
{
	struct ticks now = look();
	while (now.ns - begin->ns < LEAST_NS)
		now = look();
	return (uint64_t)((unsigned __int128)(now.count - begin->count) * NS_PER_S /
			  (now.ns - begin->ns));
}
