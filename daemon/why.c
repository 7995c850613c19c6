/* SPDX-License-Identifier: ISC */
#include "daemon/why.h"

#include <stdio.h>

#include "base/units.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "daemon/needs.h"
#include "daemon/summon.h"
#include "daemon/tiers.h"

/* What a person wants to know of a span: tenths of a second, or whole ones. */
static const char *span(uint64_t ns, char text[DURATION_TEXT])
{
	if (ns < 10 * NS_PER_S)
		snprintf(text, DURATION_TEXT, "%.1f s", (double)ns / 1e9);
	else if (ns < 7200 * NS_PER_S)
		snprintf(text, DURATION_TEXT, "%.0f s", (double)ns / 1e9);
	else
		snprintf(text, DURATION_TEXT, "%.1f h", (double)ns / 3600e9);
	return text;
}

static uint64_t until(uint64_t time, uint64_t now)
{
	return time > now ? time - now : 0;
}

static void of_awake(const struct service *service, uint64_t now, char text[WHY_TEXT])
{
	char used[DURATION_TEXT], left[DURATION_TEXT];
	struct load load = service_load(service);
	struct rest rest = decide_rest(&service->policy->policy, &load, now);
	uint64_t used_at = load.active_at > load.ready_at ? load.active_at : load.ready_at;
	char name[POLICY_VALUE_MAX + 1];
	if (service->retire_later)
		snprintf(text, WHY_TEXT, "is awake until what needs it is gone");
	else if (service->instance->leaving == LEAVING_ORDERED)
		snprintf(text, WHY_TEXT, "is being sent away: %s", service->last_error);
	else if (load.pinned)
		snprintf(text, WHY_TEXT, "is awake: %s keeps it so",
			service_is_pinned(service) ? "a pin" : "its schedule (keep_awake)");
	else if (load.busy)
		snprintf(text, WHY_TEXT, "is awake: the guest says that it is busy");
	else if (needs_hold(service, name))
		snprintf(text, WHY_TEXT, "is awake: %s needs it", name);
	else if (!rest.check_at)
		snprintf(text, WHY_TEXT, "is awake, and nothing in its policy ends that");
	else
		snprintf(text, WHY_TEXT,
			"is awake: last used %s ago; if that is all, it is retired in %s",
			span(until(now, used_at), used), span(until(rest.check_at, now), left));
}

static void of_rest(const struct service *service, uint64_t now, char text[WHY_TEXT])
{
	char left[DURATION_TEXT];
	struct tier tier = tiers_next(service, now);
	const char *where = service->instance->on_disk ? "on disk" : "in memory";
	if (tier.check_at)
		snprintf(text, WHY_TEXT, "rests %s, and goes on from there in %s", where,
			span(until(tier.check_at, now), left));
	else
		snprintf(text, WHY_TEXT, "rests %s", where);
}

static void of_asleep(const struct service *service, uint64_t now, char text[WHY_TEXT])
{
	char left[DURATION_TEXT];
	const struct load *load = &service->load;
	uint64_t retry = decide_retry_at(&service->policy->policy, load);
	uint64_t broken = breaker_open_until(&service->backend->breaker);
	if (service->backend->failure[0])
		snprintf(text, WHY_TEXT, "cannot be started: %s", service->backend->failure);
	else if (service_load(service).closed)
		snprintf(text, WHY_TEXT, "sleeps: its schedule keeps it so (keep_asleep)");
	else if (load->failures > 0)
		snprintf(text, WHY_TEXT, "sleeps: %u starts have failed, tried again %s%s; %.200s",
			load->failures, retry > now ? "in " : "when somebody asks",
			retry > now ? span(until(retry, now), left) : "", service->last_error);
	else if (broken)
		snprintf(text, WHY_TEXT,
			"sleeps: starts of backend %s fail, tried again in %s (limits.breaker)",
			service->backend->ops->name, span(until(broken, now), left));
	else if (service->last_error[0])
		snprintf(text, WHY_TEXT, "sleeps: %s", service->last_error);
	else
		snprintf(text, WHY_TEXT, "sleeps: nobody has asked for it");
}

void why_explain(const struct service *service, char text[WHY_TEXT])
{
	uint64_t now = clock_monotonic();
	if (admission_explain(service, text, WHY_TEXT))
		return;
	if (service->state == STATE_AWAKE)
		of_awake(service, now, text);
	else if (service->summon)
		snprintf(text, WHY_TEXT, "is %s: %s", lifecycle_state_name(service->state),
			service->summon->cause);
	else if (service->state == STATE_ASLEEP)
		of_asleep(service, now, text);
	else if (service->state == STATE_SUSPENDED)
		of_rest(service, now, text);
	else
		snprintf(text, WHY_TEXT, "is %s", lifecycle_state_name(service->state));
}
