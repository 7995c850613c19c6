/* SPDX-License-Identifier: ISC */
#include "daemon/needs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "daemon/daemon.h"
#include "daemon/idle.h"
#include "daemon/instance.h"
#include "daemon/summon.h"
#include "policies/lists.h"

/* As deep as anybody builds; it bounds the search. */
#define DEPTH_MAX 16

/* --- whether they go round --- */

struct search {
	const struct registry *registry;
	const struct policy *changed; /* counts instead of the registered one of its name */
	const char *start;            /* a service that may not be registered yet */
	/* By number, how far down all that it needs was searched and found right, from 1; there may be many
	 * ways to it, and only a longer one can find more. */
	uint8_t *searched;
	char path[DEPTH_MAX + 1][POLICY_VALUE_MAX + 1];
	unsigned depth;
};

static const struct policy *policy_of(const struct search *search, const char *name)
{
	const struct service *service = service_by_name(search->registry, name);
	if (strcmp(name, search->start) == 0)
		return search->changed;
	if (!service)
		return NULL;
	return strcmp(service->def.policy, search->changed->name) == 0 ? search->changed
								       : &service->policy->policy;
}

static int goes_round(const struct search *search, const char *name, struct error *err)
{
	char way[300] = "";
	size_t used = 0;
	for (unsigned i = 0; i < search->depth && used < sizeof(way); i++)
		used += (size_t)snprintf(
			way + used, sizeof(way) - used, "%s needs ", search->path[i]);
	return error_set(err, -EINVAL, "needs: %s%s: that goes round", way, name);
}

/* NULL for one that is not registered. */
static uint8_t *searched(const struct search *search, const char *name)
{
	const struct service *service = service_by_name(search->registry, name);
	return service ? &search->searched[service->def.id] : NULL;
}

/* Depth first, and each name on the way is in `path`. */
static int search_from(struct search *search, const char *name, struct error *err)
{
	char need[POLICY_VALUE_MAX + 1];
	const struct policy *policy = policy_of(search, name);
	for (unsigned i = 0; i < search->depth; i++)
		if (strcmp(search->path[i], name) == 0)
			return goes_round(search, name, err);
	if (!policy)
		return error_set(err, -EINVAL, "needs: there is no service %s: add it first", name);
	if (search->depth > DEPTH_MAX)
		return error_set(
			err, -EINVAL, "needs: %s is more than %d services away", name, DEPTH_MAX);
	uint8_t *depth = searched(search, name);
	if (depth && *depth > search->depth)
		return 0;
	snprintf(search->path[search->depth++], sizeof(search->path[0]), "%s", name);
	int rc = 0;
	for (const char *at = policy->needs; rc == 0 && list_next(&at, need);)
		rc = search_from(search, need, err);
	if (rc == 0 && depth)
		*depth = (uint8_t)search->depth;
	search->depth--;
	return rc;
}

int needs_check(const struct registry *registry, const char *name, const struct policy *policy,
	struct error *err)
{
	struct search search = {.registry = registry, .changed = policy, .start = name};
	if (!policy->needs[0])
		return 0;
	CLEANUP(free) uint8_t *searched = search.searched = calloc(registry->id_limit + 1u, 1);
	return searched ? search_from(&search, name, err)
			: error_set(err, -ENOMEM, "out of memory");
}

int needs_check_policy(
	const struct registry *registry, const struct policy *policy, struct error *err)
{
	struct search search = {.registry = registry, .changed = policy};
	if (!policy->needs[0])
		return 0;
	CLEANUP(free) uint8_t *searched = search.searched = calloc(registry->id_limit + 1u, 1);
	int rc = searched ? 0 : error_set(err, -ENOMEM, "out of memory");
	const struct policy_entry *entry = policy_by_name(registry, policy->name);
	for (const struct service *user = entry ? entry->users : NULL; rc == 0 && user;
		user = user->user_next) {
		if (user->removed || user->first != user)
			continue;
		search.start = user->def.name;
		rc = search_from(&search, search.start, err);
	}
	return rc;
}

int needs_check_alone(const struct registry *registry, struct error *err)
{
	if (registry->binding == 0)
		return 0;
	return error_set(err, -EBUSY,
		"needs: another change of what services need is on its way: try again");
}

/* --- before it --- */

static struct service *find(const struct service *service, const char *name)
{
	return service_by_name(&service->daemon->registry, name);
}

static bool is_there(const struct service *service)
{
	return service && service->state == STATE_AWAKE &&
	       service->instance->leaving != LEAVING_ORDERED;
}

const char *needs_missing(const struct service *service, char name[POLICY_VALUE_MAX + 1])
{
	for (const char *at = service->policy->policy.needs; list_next(&at, name);)
		if (!is_there(find(service, name)))
			return name;
	return NULL;
}

bool needs_are_met(const struct service *service)
{
	char name[POLICY_VALUE_MAX + 1];
	return !service->policy->policy.needs[0] || !needs_missing(service, name);
}

/* Its last starts have failed: who needs it does not have it started any sooner than clients do. */
static bool backs_off(const struct service *service)
{
	return clock_monotonic() < decide_retry_at(&service->policy->policy, &service->load);
}

void needs_wake(struct service *service)
{
	char name[POLICY_VALUE_MAX + 1], cause[SUMMON_CAUSE_MAX + 1];
	snprintf(cause, sizeof(cause), "needed by %.80s", service->def.name);
	for (const char *at = service->policy->policy.needs; list_next(&at, name);) {
		struct service *needed = find(service, name);
		if (needed && !is_there(needed) && !backs_off(needed))
			service_demand(needed, cause, clock_monotonic());
	}
}

bool needs_have_failed(const struct service *service, char *why, size_t size)
{
	char name[POLICY_VALUE_MAX + 1];
	for (const char *at = service->policy->policy.needs; list_next(&at, name);) {
		const struct service *needed = find(service, name);
		if (needed && (needed->summon || is_there(needed)))
			continue;
		snprintf(why, size, "needs %s, which %s%.100s", name,
			needed ? "was not woken: " : "is not there",
			needed ? needed->last_error : "");
		return true;
	}
	return false;
}

/* --- after it --- */

/* Not merely at rest, or being made ready for later. */
static const unsigned absent = 1u << STATE_ASLEEP | 1u << STATE_PREPARING | 1u << STATE_PREPARED |
			       1u << STATE_WARMING | 1u << STATE_SUSPENDED | 1u << STATE_DEEPENING;

static bool names_it(const struct policy *policy, const struct service *service)
{
	char name[POLICY_VALUE_MAX + 1];
	for (const char *at = policy->needs; list_next(&at, name);)
		if (strcmp(name, service->def.name) == 0)
			return true;
	return false;
}

static bool is_needy(const struct service *other, const struct service *service)
{
	bool there = other->summon || !(absent & (1u << other->state));
	return there && !other->removed && other != service;
}

/* By policy: few name what they need, and of those few name this one. */
static struct service *find_needy(const struct service *service)
{
	const struct registry *registry = &service->daemon->registry;
	for (struct policy_entry *entry = registry->policies; entry; entry = entry->hh.next) {
		if (!entry->policy.needs[0] || !names_it(&entry->policy, service))
			continue;
		for (struct service *other = entry->users; other; other = other->user_next)
			if (is_needy(other, service))
				return other;
	}
	return NULL;
}

bool needs_hold(const struct service *service, char name[POLICY_VALUE_MAX + 1])
{
	const struct service *other = find_needy(service);
	if (other)
		snprintf(name, POLICY_VALUE_MAX + 1, "%s", other->def.name);
	return other;
}

bool needs_retire_first(struct service *service, enum policy_retire how, const char *why)
{
	struct registry *registry = &service->daemon->registry;
	char reason[300];
	/* Known before the first is ordered away: with the last of them it may go, too. */
	service->retire_later = find_needy(service);
	service->retire_later_how = how;
	if (!service->retire_later)
		return false;
	snprintf(reason, sizeof(reason), "it needs %s, of which: %s", service->def.name, why);
	/* By number: whoever goes may leave its policy's list. Not who waits for its own already, which
	 * would have this one sent away again where they go round. */
	for (uint32_t id = 0; id < registry->id_limit; id++) {
		struct service *other = registry->by_id[id];
		if (other && is_needy(other, service) && !other->retire_later &&
			names_it(&other->policy->policy, service) && other->state == STATE_AWAKE &&
			other->instance->leaving != LEAVING_ORDERED)
			idle_order(other, other->policy->policy.retire, reason);
	}
	return true;
}

void needs_moved(struct service *service)
{
	char name[POLICY_VALUE_MAX + 1], other[POLICY_VALUE_MAX + 1];
	bool gone = absent & (1u << service->state);
	if (!service->policy->policy.needs[0] || !(gone || service->state == STATE_AWAKE))
		return;
	for (const char *at = service->policy->policy.needs; list_next(&at, name);) {
		struct service *needed = find(service, name);
		if (!needed || needed->state != STATE_AWAKE)
			continue;
		if (!gone && needed->retire_later) { /* it was on its way when that was said */
			idle_order(service, service->policy->policy.retire, "what it needs goes");
			return;
		}
		if (!gone || needs_hold(needed, other))
			continue;
		/* It was of use until now. */
		needed->load.active_at = clock_monotonic();
		if (needed->retire_later)
			idle_order(needed, needed->retire_later_how, "what needed it is gone");
	}
}
