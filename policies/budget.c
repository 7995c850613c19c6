/* SPDX-License-Identifier: ISC */
#include "policies/budget.h"

/* What one token takes to come back; at least a nanosecond, so that the state moves. */
static uint64_t interval(const struct budget_rate *rate)
{
	uint64_t each = rate->span / rate->count;
	return each ? each : 1;
}

/* How long until all tokens are back. A clock that ran backwards leaves no more than all. */
static uint64_t missing(const struct budget *budget, const struct budget_rate *rate, uint64_t now)
{
	uint64_t all = interval(rate) * rate->count;
	if (budget->full_at <= now)
		return 0;
	return budget->full_at - now < all ? budget->full_at - now : all;
}

uint64_t budget_next(const struct budget *budget, const struct budget_rate *rate, uint64_t now)
{
	if (rate->count == 0)
		return now;
	uint64_t gone = missing(budget, rate, now);
	uint64_t bearable = interval(rate) * (rate->count - 1);
	return gone > bearable ? now + (gone - bearable) : now;
}

bool budget_has(const struct budget *budget, const struct budget_rate *rate, uint64_t now)
{
	return budget_next(budget, rate, now) == now;
}

bool budget_take(struct budget *budget, const struct budget_rate *rate, uint64_t now)
{
	if (!budget_has(budget, rate, now))
		return false;
	if (rate->count > 0)
		budget->full_at = now + missing(budget, rate, now) + interval(rate);
	return true;
}
