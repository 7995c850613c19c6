/* SPDX-License-Identifier: ISC */
#include "policies/evict.h"

static bool passed(uint64_t since, uint64_t span, uint64_t now)
{
	return now >= since && now - since >= span;
}

static bool may_go(const struct policy *policy, const struct load *load, uint64_t used_at,
	uint64_t idle, uint64_t now)
{
	return !load->busy && passed(used_at, idle, now) &&
	       passed(load->ready_at, policy->min_life, now);
}

struct worth evict_worth(const struct policy *policy, const struct load *load, bool in_memory,
	uint64_t idle, uint64_t now)
{
	bool awake = load->state == LOAD_AWAKE;
	uint64_t used_at = load->active_at;
	if (awake && load->ready_at > used_at)
		used_at = load->ready_at;
	struct worth worth = {.awake = awake, .used_at = used_at};
	if (!load->pinned)
		worth.evictable = awake ? may_go(policy, load, used_at, idle, now)
					: load->state == LOAD_ASLEEP && in_memory;
	return worth;
}

bool evict_before(const struct worth *a, const struct worth *b)
{
	if (a->evictable != b->evictable)
		return a->evictable;
	if (a->awake != b->awake)
		return b->awake;
	return a->used_at < b->used_at;
}

enum policy_retire evict_how(const struct policy *policy, bool awake)
{
	for (unsigned i = 0; i < policy->tiers.count; i++)
		if (policy->tiers.list[i].how == POLICY_RETIRE_SNAPSHOT)
			return POLICY_RETIRE_SNAPSHOT;
	if (!awake || policy->retire == POLICY_RETIRE_SUSPEND)
		return POLICY_RETIRE_DESTROY;
	return policy->retire;
}
