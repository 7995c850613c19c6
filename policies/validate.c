/* SPDX-License-Identifier: ISC */
#include "policies/policy.h"

#include <errno.h>
#include <string.h>

#include "policies/hours.h"

/* Whether the options of a policy fit together, and what it asks of a backend. */

static bool ttl_outlives_idle(const struct policy *p)
{
	return p->ttl && p->idle_after && p->ttl >= p->idle_after;
}

static bool hold_outlives_start(const struct policy *p)
{
	return p->hold > p->ready_timeout;
}

static bool delay_outlives_start(const struct policy *p)
{
	return p->ready == POLICY_READY_DELAY && p->ready_delay >= p->ready_timeout;
}

static bool settling_outlives_start(const struct policy *p)
{
	return p->ready_settle >= p->ready_timeout;
}

/* What xenstore takes as a path that does not begin at its root. */
static bool key_is_no_path(const struct policy *p)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_/@";
	const char *key = p->ready_key;
	size_t length = strlen(key);
	return p->ready == POLICY_READY_KEY &&
	       (length == 0 || strspn(key, allowed) != length || key[0] == '/' ||
		       key[length - 1] == '/' || strstr(key, "//"));
}

static bool backoff_starts_above_max(const struct policy *p)
{
	return p->backoff_first > p->backoff_max;
}

static bool min_life_above_max(const struct policy *p)
{
	return p->max_life && p->min_life > p->max_life;
}

static bool tcp_without_port(const struct policy *p)
{
	return p->ready == POLICY_READY_TCP && p->ready_port == 0;
}

static bool console_without_line(const struct policy *p)
{
	return (p->ready == POLICY_READY_CONSOLE || p->ready == POLICY_READY_GUEST) &&
	       p->ready_line[0] == '\0';
}

static bool idle_without_activity(const struct policy *p)
{
	return p->idle_after && p->activity == 0;
}

static bool rests(const struct policy *p)
{
	return p->retire == POLICY_RETIRE_SUSPEND || p->retire == POLICY_RETIRE_SNAPSHOT ||
	       p->start == POLICY_START_SUSPENDED || p->start == POLICY_START_SNAPSHOT;
}

static bool has_tier(const struct policy *p, enum policy_retire how)
{
	bool found = false;
	for (unsigned i = 0; i < p->tiers.count; i++)
		found |= p->tiers.list[i].how == how;
	return found;
}

static bool tiers_without_rest(const struct policy *p)
{
	return p->tiers.count > 0 && !rests(p);
}

static bool tier_of_disk_on_disk(const struct policy *p)
{
	return has_tier(p, POLICY_RETIRE_SNAPSHOT) && p->retire == POLICY_RETIRE_SNAPSHOT;
}

static bool gone_and_made_again(const struct policy *p)
{
	return has_tier(p, POLICY_RETIRE_DESTROY) &&
	       (p->start == POLICY_START_PREPARED || p->start == POLICY_START_SUSPENDED);
}

static bool awake_and_asleep(const struct policy *p)
{
	return hours_overlap(&p->keep_awake, &p->keep_asleep);
}

static const struct rule {
	bool (*broken)(const struct policy *policy);
	const char *options[2];
	const char *right;
} rules[] = {
	{ttl_outlives_idle, {"ttl", "idle_after"},
		"keep ttl below idle_after, or clients still hold the address of a guest that was "
		"retired as idle"},
	{hold_outlives_start, {"hold", "ready_timeout"},
		"hold may not be longer than ready_timeout, when a start has failed and there is "
		"nothing left to wait for"},
	{delay_outlives_start, {"ready_delay", "ready_timeout"},
		"keep ready_delay below ready_timeout, or every start fails"},
	{settling_outlives_start, {"ready_settle", "ready_timeout"},
		"keep ready_settle below ready_timeout, or every start fails"},
	{key_is_no_path, {"ready", "ready_key"},
		"write a key relative to /local/domain/N/ of letters, digits, - _ and /, as in "
		"data/status"},
	{backoff_starts_above_max, {"backoff_first", "backoff_max"},
		"backoff_first may not be longer than backoff_max"},
	{min_life_above_max, {"min_life", "max_life"},
		"min_life may not be longer than max_life (0 is no maximum)"},
	{tcp_without_port, {"ready", "ready_port"},
		"give ready_port the TCP port that the guest listens on"},
	{console_without_line, {"ready", "ready_line"},
		"give ready_line the words that the guest prints when it is ready"},
	{idle_without_activity, {"idle_after", "activity"},
		"say in activity what counts as use (queries, traffic, connections), or set "
		"idle_after 0"},
	{awake_and_asleep, {"keep_awake", "keep_asleep"},
		"they have hours in common: take those out of one"},
	{tiers_without_rest, {"retire", "tiers"},
		"tiers are for guests at rest: set retire to suspend or snapshot, or tiers to "
		"none"},
	{tier_of_disk_on_disk, {"retire", "tiers"},
		"it is on disk from the beginning: set retire to suspend, or leave snapshot out of "
		"tiers"},
	{gone_and_made_again, {"start", "tiers"},
		"what is destroyed would be made ready again at once: set start to cold, or leave "
		"destroy out of tiers"},
};

/* A field that its own option's text cannot give was not set by policy_set: out of range. */
static int check_fields(const struct policy *policy, struct error *err)
{
	struct policy scratch = *policy;
	for (size_t i = 0; i < policy_option_count; i++) {
		char value[POLICY_VALUE_MAX + 1];
		int rc = policy_get(policy, policy_options[i].name, value, err);
		if (rc == 0)
			rc = policy_set(&scratch, policy_options[i].name, value, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int policy_validate(const struct policy *policy, struct error *err)
{
	int rc = policy_check_name(policy->name, err);
	if (rc == 0)
		rc = check_fields(policy, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct rule *rule = &rules[i];
		char values[2][POLICY_VALUE_MAX + 1];
		if (!rule->broken(policy))
			continue;
		for (size_t k = 0; k < 2; k++)
			policy_get(policy, rule->options[k], values[k], NULL);
		return error_set(err, -EINVAL, "%s '%.40s' and %s '%.40s' do not fit together: %s",
			rule->options[0], values[0], rule->options[1], values[1], rule->right);
	}
	return 0;
}

unsigned policy_needs(const struct policy *policy)
{
	unsigned needs = 0;
	if (policy->start == POLICY_START_PREPARED)
		needs |= POLICY_NEEDS_PREPARE;
	if (policy->start == POLICY_START_SUSPENDED || policy->retire == POLICY_RETIRE_SUSPEND)
		needs |= POLICY_NEEDS_SUSPEND;
	if (policy->start == POLICY_START_SNAPSHOT || policy->retire == POLICY_RETIRE_SNAPSHOT ||
		has_tier(policy, POLICY_RETIRE_SNAPSHOT))
		needs |= POLICY_NEEDS_SNAPSHOT;
	if (policy->retire == POLICY_RETIRE_SHUTDOWN)
		needs |= POLICY_NEEDS_SHUTDOWN;
	if (policy->ready == POLICY_READY_CONSOLE || policy->ready == POLICY_READY_GUEST)
		needs |= POLICY_NEEDS_CONSOLE;
	if (policy->ready == POLICY_READY_KEY)
		needs |= POLICY_NEEDS_KEY;
	return needs;
}

const char *policy_need_reason(enum policy_need need)
{
	switch (need) {
	case POLICY_NEEDS_PREPARE:
		return "start prepared";
	case POLICY_NEEDS_SUSPEND:
		return "start suspended or retire suspend";
	case POLICY_NEEDS_SHUTDOWN:
		return "retire shutdown";
	case POLICY_NEEDS_SNAPSHOT:
		return "start snapshot, retire snapshot or tiers snapshot";
	case POLICY_NEEDS_CONSOLE:
		return "ready guest or console";
	case POLICY_NEEDS_KEY:
		return "ready key";
	}
	return "an unknown option";
}
