/* SPDX-License-Identifier: ISC */
#ifndef POLICIES_EVICT_H
#define POLICIES_EVICT_H

#include <stdbool.h>
#include <stdint.h>

#include "policies/decide.h"

/*
 * Which guest gives its memory to another: what rests in memory before what is awake, and of each
 * what was used longest ago. Pure functions, as in policies/decide.h.
 */
struct worth {
	bool evictable; /* else it is in use, or kept by an operator's word */
	bool awake;
	uint64_t used_at;
};

/* `in_memory`: it rests, and its memory is there. An awake one has to have been without use for
 * `idle` and to have lived for its min_life; whether connections are open is for the caller to see. */
struct worth evict_worth(const struct policy *policy, const struct load *load, bool in_memory,
	uint64_t idle, uint64_t now);
/* Whether `a` goes before `b`. */
bool evict_before(const struct worth *a, const struct worth *b);
/* What becomes of it: no memory of it may stay, but what it knows may, where the policy has a disk. */
enum policy_retire evict_how(const struct policy *policy, bool awake);

#endif
