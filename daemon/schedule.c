/* SPDX-License-Identifier: ISC */
#include "daemon/schedule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "daemon/daemon.h"
#include "daemon/idle.h"
#include "daemon/instance.h"

#define ZONES  "/usr/share/zoneinfo"
#define MINUTE (60 * NS_PER_S)

int schedule_check_zone(const char *zone, struct error *err)
{
	char path[sizeof(ZONES) + POLICY_ZONE_MAX + 1];
	snprintf(path, sizeof(path), "%s/%s", ZONES, zone);
	/* The C library takes it for UTC where there is no such file. */
	if (strcmp(zone, "UTC") == 0 || access(path, R_OK) == 0)
		return 0;
	return error_set(err, -EINVAL,
		"time_zone: there is no %s: write a zone such as Europe/Berlin, or install "
		"tzdata",
		path);
}

static struct hours_day day_of(const struct tm *time)
{
	return (struct hours_day){.day = (unsigned)(time->tm_wday + 6) % 7,
		.month = (unsigned)time->tm_mon,
		.date = (unsigned)time->tm_mday};
}

/* By the calendar alone: there may be no such time in the zone. */
static struct hours_day day_before(const struct tm *time)
{
	struct tm before = {
		.tm_year = time->tm_year, .tm_mon = time->tm_mon, .tm_mday = time->tm_mday - 1};
	timegm(&before);
	return day_of(&before);
}

void schedule_clock(struct schedule *schedule, const char *zone, int64_t at, struct hours_time *out)
{
	time_t seconds = at;
	struct tm now;
	snprintf(schedule->variable, sizeof(schedule->variable), "TZ=:%s", zone);
	if (!schedule->is_set)
		putenv(schedule->variable);
	schedule->is_set = true;
	tzset();
	localtime_r(&seconds, &now);
	out->today = day_of(&now);
	out->yesterday = day_before(&now);
	out->minute = (unsigned)(now.tm_hour * 60 + now.tm_min);
}

static bool has_hours(const struct policy *policy)
{
	return policy->keep_awake.count > 0 || policy->keep_asleep.count > 0;
}

static void look_up(struct daemon *daemon, struct policy_entry *entry)
{
	const struct policy *policy = &entry->policy;
	struct hours_time now;
	entry->hours = HOURS_FREE;
	if (!has_hours(policy))
		return;
	schedule_clock(
		&daemon->schedule, policy->time_zone, (int64_t)(clock_real() / NS_PER_S), &now);
	if (hours_contain(&policy->keep_awake, &now))
		entry->hours = HOURS_AWAKE;
	else if (hours_contain(&policy->keep_asleep, &now))
		entry->hours = HOURS_ASLEEP;
}

/* --- services are brought to it --- */

static void wake(struct service *service)
{
	struct load load = service_load(service);
	if (service->state == STATE_ASLEEP)
		service_consider(service); /* which spaces what fails */
	else if (load.state == LOAD_ASLEEP)
		service_demand(service, "schedule", clock_monotonic());
}

static void put_to_sleep(struct service *service)
{
	static const char why[] = "its schedule keeps it asleep";
	if (service->state == STATE_AWAKE && !service->held && !service_is_pinned(service) &&
		service->instance->leaving != LEAVING_ORDERED)
		idle_order(service, service->policy->policy.retire, why);
}

void schedule_act(struct service *service)
{
	if (service->removed || !service->daemon->serving)
		return;
	if (service->policy->hours == HOURS_AWAKE)
		wake(service);
	else if (service->policy->hours == HOURS_ASLEEP)
		put_to_sleep(service);
	else if (service->state == STATE_ASLEEP)
		service_consider(service); /* nothing was made ready while it was kept asleep */
}

static void on_time(void *ctx);

/* At the next full minute; a little more than that where timers are early. */
static void look_at_next(struct daemon *daemon)
{
	uint64_t into = clock_real() % MINUTE;
	timer_start(
		&daemon->loop, &daemon->schedule.timer, MINUTE - into + NS_PER_MS, on_time, daemon);
}

static void on_time(void *ctx)
{
	struct daemon *daemon = ctx;
	bool any = false;
	struct policy_entry *entry, *next;
	HASH_ITER(hh, daemon->registry.policies, entry, next)
	{
		look_up(daemon, entry);
		any |= has_hours(&entry->policy);
	}
	if (!any)
		return;
	if (!daemon->serving) { /* guests of an earlier life are not known yet */
		timer_start(
			&daemon->loop, &daemon->schedule.timer, 100 * NS_PER_MS, on_time, daemon);
		return;
	}
	for (uint32_t id = 0; id < daemon->registry.id_limit; id++) {
		struct service *service = daemon->registry.by_id[id];
		if (service)
			schedule_act(service);
	}
	look_at_next(daemon);
}

void schedule_put(struct daemon *daemon, struct policy_entry *entry)
{
	look_up(daemon, entry);
	if (has_hours(&entry->policy))
		timer_start(&daemon->loop, &daemon->schedule.timer, 0, on_time, daemon);
}

void schedule_finish(struct daemon *daemon)
{
	timer_cancel(&daemon->schedule.timer);
	if (daemon->schedule.is_set)
		unsetenv("TZ");
	daemon->schedule.is_set = false;
}
