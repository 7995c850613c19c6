/* SPDX-License-Identifier: ISC */
#include "policies/decide.h"

/* A time that never comes. Every sum of times that overflows ends here instead of in the past. */
#define NEVER UINT64_MAX

static uint64_t later(uint64_t time, uint64_t span)
{
	uint64_t sum;
	return __builtin_add_overflow(time, span, &sum) ? NEVER : sum;
}

static uint64_t latest(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static bool is_due(uint64_t time, uint64_t now)
{
	return time != NEVER && now >= time;
}

uint64_t decide_backoff(const struct policy *policy, unsigned failures)
{
	uint64_t first = policy->backoff_first, max = policy->backoff_max;
	if (failures == 0 || first == 0)
		return 0;
	unsigned doublings = failures - 1;
	if (doublings >= 64 || first > max >> doublings)
		return max;
	return first << doublings;
}

uint64_t decide_retry_at(const struct policy *policy, const struct load *load)
{
	return load->failures ? later(load->failed_at, decide_backoff(policy, load->failures)) : 0;
}

/* A service that stops is judged as one that sleeps: what was on its way down for a failed start
 * must not be started again without backoff. */
static enum admission admit_down(
	const struct policy *policy, const struct load *load, unsigned wake, uint64_t now)
{
	if (wake == 0)
		return ADMIT_WAKE;
	if (!(policy->wake_on & wake))
		return ADMIT_NO_WAKE;
	if (load->closed)
		return ADMIT_CLOSED;
	return now < decide_retry_at(policy, load) ? ADMIT_BACKOFF : ADMIT_WAKE;
}

struct admit decide_admit(
	const struct policy *policy, const struct load *load, unsigned wake, uint64_t now)
{
	struct admit admit = {.verdict = ADMIT_NO_WAKE};
	switch (load->state) {
	case LOAD_AWAKE:
		admit.verdict = ADMIT_ANSWER;
		break;
	case LOAD_STARTING:
		admit.verdict = ADMIT_JOIN;
		break;
	case LOAD_ASLEEP:
	case LOAD_STOPPING:
		admit.verdict = admit_down(policy, load, wake, now);
		break;
	}
	if (admit.verdict == ADMIT_JOIN || admit.verdict == ADMIT_WAKE)
		admit.hold_until = later(now, policy->hold);
	if (admit.verdict == ADMIT_BACKOFF)
		admit.retry_at = decide_retry_at(policy, load);
	return admit;
}

struct rest decide_rest(const struct policy *policy, const struct load *load, uint64_t now)
{
	struct rest rest = {.reason = REST_NOT, .how = policy->retire};
	if (load->state != LOAD_AWAKE || load->pinned)
		return rest;
	uint64_t used_at = latest(load->active_at, load->ready_at);
	uint64_t earliest = later(load->ready_at, policy->min_life);
	uint64_t idle = NEVER, end = NEVER;
	if (policy->idle_after && !load->busy)
		idle = latest(earliest, later(used_at, policy->idle_after));
	if (policy->max_life)
		end = latest(earliest, later(load->ready_at, policy->max_life));
	/* Where both are true the one that no new use calls off is told. */
	if (is_due(end, now))
		rest.reason = REST_MAX_LIFE;
	else if (load->done && is_due(earliest, now))
		rest.reason = REST_DONE;
	else if (is_due(idle, now))
		rest.reason = REST_IDLE;
	else if (idle != NEVER || end != NEVER)
		rest.check_at = idle < end ? idle : end;
	if (rest.reason == REST_NOT && load->done && (!rest.check_at || earliest < rest.check_at))
		rest.check_at = earliest;
	return rest;
}

struct tier decide_tier(
	const struct policy *policy, const struct load *load, enum depth depth, uint64_t now)
{
	struct tier tier = {.due = false};
	if (depth == DEPTH_NONE || load->pinned || load->rested_at == 0)
		return tier;
	for (unsigned i = 0; i < policy->tiers.count; i++) {
		enum policy_retire how = policy->tiers.list[i].how;
		uint64_t after = policy->tiers.list[i].after;
		uint64_t at =
			later(load->rested_at, after > load->rested ? after - load->rested : 0);
		if (how == POLICY_RETIRE_SNAPSHOT && depth == DEPTH_DISK)
			continue;
		if (!is_due(at, now)) {
			tier.check_at = tier.due ? 0 : at;
			break;
		}
		tier.due = true;
		tier.how = how;
	}
	return tier;
}

enum ahead decide_ahead(const struct policy *policy, const struct load *load, uint64_t now)
{
	if (load->state != LOAD_ASLEEP || load->closed || now < decide_retry_at(policy, load))
		return AHEAD_NOTHING;
	switch (policy->start) {
	case POLICY_START_COLD:
		return AHEAD_NOTHING;
	case POLICY_START_PREPARED:
		return AHEAD_PREPARE;
	case POLICY_START_SUSPENDED:
	case POLICY_START_SNAPSHOT:
		return AHEAD_WARM;
	}
	return AHEAD_NOTHING;
}
