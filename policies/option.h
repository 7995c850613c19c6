/* SPDX-License-Identifier: ISC */
#ifndef POLICIES_OPTION_H
#define POLICIES_OPTION_H

#include "policies/policy.h"

/* What options.c says of an option beyond policy.h, for policy.c alone. */

/* `detail` of KIND_WORD and KIND_FLAGS: the words and their values, ended by a NULL word. In a set
 * of flags, a word of value 0 stands for the empty set. */
struct word {
	const char *word;
	unsigned value;
};

/* `detail` of KIND_DURATION and KIND_NUMBER. */
struct range {
	uint64_t min, max;
	uint64_t step; /* the value is a multiple of it */
};

enum {
	KIND_WORD,
	KIND_FLAGS,
	KIND_DURATION,
	KIND_NUMBER,
	KIND_TEXT,
	KIND_PORTS,
	KIND_PREFIXES,
	KIND_RATE,
	KIND_TIERS,
	KIND_HOURS,
	KIND_ZONE,
	KIND_NAMES,
	KIND_INSTANCES,
};

#endif
