/* SPDX-License-Identifier: ISC */
#include "rehearse/spread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void spread_finish(struct spread *spread)
{
	free(spread->steps);
	*spread = (struct spread){0};
}

/* To four digits, the nearest ones. */
static uint64_t digits_of(uint64_t value)
{
	uint64_t unit = 1;
	while (value / unit >= 10000)
		unit *= 10;
	uint64_t rest = value % unit;
	return value - rest + (unit > 1 && rest >= unit / 2 ? unit : 0);
}

/* Where the value is, or belongs. */
static size_t find(const struct spread *spread, uint64_t value)
{
	size_t low = 0, high = spread->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (spread->steps[middle].value < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int insert(struct spread *spread, size_t at, uint64_t value)
{
	if (spread->count == spread->size) {
		size_t size = spread->size ? spread->size * 2 : 4;
		struct spread_step *more = reallocarray(spread->steps, size, sizeof(*more));
		if (!more)
			return -ENOMEM;
		spread->steps = more;
		spread->size = size;
	}
	memmove(spread->steps + at + 1, spread->steps + at,
		(spread->count - at) * sizeof(*spread->steps));
	spread->steps[at] = (struct spread_step){.value = value};
	spread->count++;
	return 0;
}

int spread_add(struct spread *spread, uint64_t value)
{
	uint64_t rounded = digits_of(value);
	size_t at = find(spread, rounded);
	if ((at == spread->count || spread->steps[at].value != rounded) &&
		insert(spread, at, rounded) < 0)
		return -ENOMEM;
	spread->steps[at].count++;
	spread->total++;
	if (value > spread->max)
		spread->max = value;
	return 0;
}

uint64_t spread_percentile(const struct spread *spread, unsigned percent)
{
	/* Rank = the percentage of all, rounded up; the first is 1. */
	uint64_t whole = spread->total / 100 * percent, rest = spread->total % 100 * percent;
	uint64_t rank = whole + (rest + 99) / 100, seen = 0;
	for (size_t i = 0; i < spread->count; i++) {
		seen += spread->steps[i].count;
		if (seen >= rank)
			return spread->steps[i].value;
	}
	return 0;
}
