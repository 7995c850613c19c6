/* SPDX-License-Identifier: ISC */
#include "policies/breaker.h"

uint64_t breaker_admit(struct breaker *breaker, const struct breaker_rule *rule, uint64_t now)
{
	if (rule->failures == 0 || breaker->open_until == 0)
		return 0;
	if (now < breaker->open_until)
		return breaker->open_until;
	if (breaker->tried_at && now - breaker->tried_at < rule->span)
		return breaker->tried_at + rule->span;
	breaker->tried_at = now;
	return 0;
}

uint64_t breaker_open_until(const struct breaker *breaker)
{
	return breaker->open_until;
}

bool breaker_fail(
	struct breaker *breaker, const struct breaker_rule *rule, uint32_t whose, uint64_t now)
{
	bool was_open = breaker->open_until != 0;
	if (rule->failures == 0)
		return false;
	/* One service that fails again and again has a backoff of its own. */
	if (!was_open && breaker->failures > 0 && breaker->last == whose)
		return false;
	breaker->last = whose;
	if (breaker->failures < rule->failures)
		breaker->failures++;
	if (breaker->failures < rule->failures)
		return false;
	breaker->open_until = now + rule->span;
	breaker->tried_at = 0;
	return !was_open;
}

void breaker_succeed(struct breaker *breaker)
{
	*breaker = (struct breaker){0};
}
