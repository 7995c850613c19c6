/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_SCHEDULE_H
#define DAEMON_SCHEDULE_H

#include <stdint.h>

#include "base/error.h"
#include "policies/decide.h"
#include "policies/hours.h"
#include "policies/policy.h"

/*
 * Hours in which policies keep services awake or asleep. What holds now is looked up, minute by
 * minute, and services are brought to it: so nothing is lost of an edge that passed while the daemon
 * did not run, or the clock was set.
 */
struct daemon;
struct policy_entry;
struct service;
struct timer;

struct schedule {
	struct timer *timer;
	/* "TZ=:Europe/Berlin" for the C library, which only looks there: in the environment from the
	 * first use on, and changed in place, so that threads that read the environment at that
	 * moment find it whole. */
	char variable[sizeof("TZ=:") + POLICY_ZONE_MAX];
	bool is_set;
};

/* What a clock and a calendar on the wall show there at that time (seconds since 1970). */
void schedule_clock(
	struct schedule *schedule, const char *zone, int64_t at, struct hours_time *out);
/* Whether the C library has the zone. */
int schedule_check_zone(const char *zone, struct error *err);

/* A policy is new or has changed: what holds now is known when this returns, and acted on soon. */
void schedule_put(struct daemon *daemon, struct policy_entry *entry);
/* A service is brought to what holds now, as after its pin has ended. */
void schedule_act(struct service *service);
void schedule_finish(struct daemon *daemon);

#endif
