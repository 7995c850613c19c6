/* SPDX-License-Identifier: ISC */
#ifndef POLICIES_BUDGET_H
#define POLICIES_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Budgets: pure functions of (rate, state, now), as in policies/decide.h. A budget is a token
 * bucket that holds `count` tokens and is filled with as many in each `span`; it is kept as one
 * time, so that nothing has to be filled while nobody looks (the generic cell rate algorithm of
 * ITU-T I.371).
 */
struct budget_rate {
	uint32_t count; /* 0: no limit */
	uint64_t span;  /* ns, not 0 */
};

/* All zero is a full one. */
struct budget {
	uint64_t full_at;
};

/* Whether there is a token now; takes none. */
bool budget_has(const struct budget *budget, const struct budget_rate *rate, uint64_t now);
/* Takes a token where there is one. */
bool budget_take(struct budget *budget, const struct budget_rate *rate, uint64_t now);
/* When there is a token again, or `now`. */
uint64_t budget_next(const struct budget *budget, const struct budget_rate *rate, uint64_t now);

#endif
