/* SPDX-License-Identifier: ISC */
#include "daemon/tiers.h"

#include <errno.h>
#include <string.h>

#include "base/units.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"

/* A disk that is full now may have room later. */
#define TRY_AGAIN_AFTER (60 * NS_PER_S)

/* Timers count milliseconds in few bits; and whoever sets the clock is noticed in time. */
#define LOOK_MAX (3600 * NS_PER_S)

static void on_time(void *ctx);

static void look_after(struct service *service, uint64_t wait)
{
	timer_start(&service->daemon->loop, &service->instance->tier,
		wait < LOOK_MAX ? wait : LOOK_MAX, on_time, service);
}

static void go(struct service *service, enum policy_retire how)
{
	const struct log_about about = {
		.service = service->def.name, .generation = service->instance->id.generation};
	log_line(&service->daemon->log, LOG_INFO, about, "has rested long enough: %s",
		how == POLICY_RETIRE_SNAPSHOT ? "goes to disk" : "is given up");
	service_set_error(service, "its rest was over (tiers)");
	service_retire(service, how);
}

struct tier tiers_next(const struct service *service, uint64_t now)
{
	struct load load = service_load(service);
	enum depth depth = service->state != STATE_SUSPENDED ? DEPTH_NONE
			   : service->instance->on_disk      ? DEPTH_DISK
							     : DEPTH_MEMORY;
	return decide_tier(&service->policy->policy, &load, depth, now);
}

static void on_time(void *ctx)
{
	struct service *service = ctx;
	uint64_t now = clock_monotonic();
	struct tier tier = tiers_next(service, now);
	if (tier.due)
		go(service, tier.how);
	else if (tier.check_at)
		look_after(service, tier.check_at - now);
}

void tiers_settle(struct service *service)
{
	service->instance->on_disk = service->rest_where == LAUNCHER_REST_DISK;
	/* In a turn of its own: time may be over already. */
	look_after(service, 0);
}

void tiers_look(struct service *service)
{
	if (service->state == STATE_SUSPENDED && service->instance)
		look_after(service, 0);
}

void tiers_remain(struct service *service)
{
	look_after(service, TRY_AGAIN_AFTER);
}

/* --- over a restart --- */

/* The newest first: what comes before the beginning of the rest was in it. */
static int find_beginning(void *ctx, const struct history_entry *entry)
{
	uint64_t *began = ctx;
	if (strcmp(entry->to, lifecycle_state_name(STATE_SUSPENDING)) != 0)
		return 0;
	*began = entry->at;
	return -ECANCELED;
}

void tiers_remember(struct service *service, struct store *store)
{
	/* To disk, to an end that failed, found by some lives of ours. */
	enum { ENTRIES = 16 };
	uint64_t began = 0, now = clock_real();
	if (service->policy->policy.tiers.count == 0)
		return;
	history_each_transition(store, service->def.id, ENTRIES, find_beginning, &began, NULL);
	service->load.rested = began > 0 && began < now ? now - began : 0;
}
