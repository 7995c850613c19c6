/* SPDX-License-Identifier: ISC */
#ifndef REHEARSE_SPREAD_H
#define REHEARSE_SPREAD_H

#include <stddef.h>
#include <stdint.h>

/*
 * How a great many times are spread, in bounded memory: each is kept to four decimal digits (105.0
 * ms, 1.234 s), so that there are at most 9000 different ones in each decade. All zero is an empty
 * one.
 */
struct spread_step {
	uint64_t value; /* ns, four digits of it */
	uint64_t count;
};

struct spread {
	struct spread_step *steps; /* ascending */
	size_t count, size;
	uint64_t total; /* values that were added */
	uint64_t max;   /* exact */
};

void spread_finish(struct spread *spread);
/* -ENOMEM. */
int spread_add(struct spread *spread, uint64_t value);
/* The least value that `percent` of all do not exceed (nearest rank); 0 where there is none. */
uint64_t spread_percentile(const struct spread *spread, unsigned percent);

#endif
