/* SPDX-License-Identifier: ISC */
#include "daemon/admission.h"

#include <inttypes.h>
#include <stdio.h>
#include <utlist.h>

#include "base/units.h"
#include "daemon/daemon.h"
#include "daemon/idle.h"
#include "daemon/instance.h"
#include "daemon/needs.h"
#include "daemon/summon.h"
#include "policies/evict.h"

/* How often the queue is looked at for what has become idle, and for who has waited too long. */
#define LOOK_EVERY (100 * NS_PER_MS)
/* The same, for a tap that is being made. */
#define TAP_LOOK   (2 * NS_PER_MS)
/* How many are sent away in one look: what is freed by them is seen in a later one. */
#define EVICTIONS  16

static void look(struct daemon *daemon);
static void look_after(struct daemon *daemon, uint64_t wait);

/* --- what there is --- */

static uint64_t memory_of(const struct service *service)
{
	return service->def.memory ? service->def.memory : service->daemon->config->guest.memory;
}

static const unsigned starting_states =
	1u << STATE_PREPARING | 1u << STATE_HURRYING | 1u << STATE_WARMING | 1u << STATE_CREATING |
	1u << STATE_UNPAUSING | 1u << STATE_RESUMING | 1u << STATE_BOOTING | 1u << STATE_RECALLED |
	1u << STATE_RESTARTING;

static bool has_memory(const struct service *service)
{
	return service->instance &&
	       !(service->instance->on_disk && service->state != STATE_RESUMING);
}

static void count(struct service *service, bool starting, uint64_t memory)
{
	struct admissions *admission = &service->daemon->admission;
	struct claim *claim = &service->claim;
	admission->starting += (unsigned)starting - (unsigned)claim->starting;
	admission->memory += memory - claim->memory;
	claim->starting = starting;
	claim->memory = memory;
}

void admission_account(struct service *service)
{
	struct admissions *admission = &service->daemon->admission;
	struct claim *claim = &service->claim;
	unsigned starting = admission->starting;
	uint64_t memory = admission->memory;
	if (claim->admitted)
		return; /* what is counted for it is what it will have */
	/* What a guest was started with, whatever its definition says by now. */
	uint64_t its = claim->memory ? claim->memory : memory_of(service);
	count(service, starting_states & (1u << service->state), has_memory(service) ? its : 0);
	if (claim->evicted && service->state == STATE_SUSPENDED && claim->memory) {
		claim->evicted = false;
		claim->no_disk = true;
	}
	if (claim->memory == 0)
		claim->evicted = claim->no_disk = false;
	if (admission->queue && (admission->starting < starting || admission->memory < memory))
		look(service->daemon);
}

void admission_spare(struct service *service)
{
	service->claim.evicted = false;
}

/* --- eviction --- */

static bool worth_of(struct service *service, uint64_t now, struct worth *worth)
{
	bool rests = service->state == STATE_PREPARED || service->state == STATE_SUSPENDED;
	struct load load = service_load(service);
	if (service->claim.evicted || service->claim.memory == 0 || service->summon ||
		service->removed)
		return false;
	*worth = evict_worth(&service->policy->policy, &load, rests,
		service->daemon->config->limits.evict_idle, now);
	return worth->evictable;
}

static struct service *find_victim(struct daemon *daemon, uint64_t now, struct worth *least)
{
	struct service *victim = NULL;
	for (uint32_t id = 0; id < daemon->registry.id_limit; id++) {
		struct service *service = daemon->registry.by_id[id];
		struct worth worth;
		char name[POLICY_VALUE_MAX + 1];
		if (!service || !worth_of(service, now, &worth) ||
			(victim && !evict_before(&worth, least)))
			continue;
		if (worth.awake && (idle_is_connected(service) || needs_hold(service, name))) {
			service->load.active_at = now;
			continue;
		}
		victim = service;
		*least = worth;
	}
	return victim;
}

static void evict(struct service *service, bool awake)
{
	struct admission_counters *counters = &service->daemon->admission.counters;
	enum policy_retire how = evict_how(&service->policy->policy, awake);
	if (how == POLICY_RETIRE_SNAPSHOT &&
		(service->claim.no_disk || service->state == STATE_PREPARED))
		how = POLICY_RETIRE_DESTROY;
	service->claim.evicted = true;
	if (awake) {
		counters->evicted_awake++;
		idle_evict(service, how);
		return;
	}
	counters->evicted_resting++;
	log_line(&service->daemon->log, LOG_INFO, (struct log_about){.service = service->def.name},
		"its memory is needed: %s",
		how == POLICY_RETIRE_SNAPSHOT ? "goes to disk" : "is given up");
	service_set_error(service, "its memory was needed");
	service_retire(service, how);
}

static uint64_t memory_on_its_way(const struct daemon *daemon)
{
	uint64_t memory = 0;
	for (uint32_t id = 0; id < daemon->registry.id_limit; id++) {
		const struct service *service = daemon->registry.by_id[id];
		if (service && (service->claim.evicted || service->state == STATE_STOPPING))
			memory += service->claim.memory;
	}
	return memory;
}

/* Has so much freed, where it can be. */
static void make_room(struct daemon *daemon, uint64_t needed, uint64_t now)
{
	uint64_t limit = daemon->config->limits.memory;
	uint64_t coming = memory_on_its_way(daemon);
	for (unsigned i = 0; i < EVICTIONS; i++) {
		uint64_t used = daemon->admission.memory;
		used -= coming < used ? coming : used;
		if (used + needed <= limit)
			return;
		struct worth worth;
		struct service *victim = find_victim(daemon, now, &worth);
		if (!victim)
			return;
		coming += victim->claim.memory;
		evict(victim, worth.awake);
	}
}

/* --- the queue --- */

/* What is being taken from it, it has no more. */
static bool needs_memory(const struct service *service)
{
	return service->claim.memory == 0 || service->claim.evicted;
}

/* One that stops would have the same memory again, which is about to be free. */
static bool takes_memory(const struct service *service)
{
	return needs_memory(service) || service->state == STATE_STOPPING;
}

static bool memory_is_short(const struct service *service)
{
	const struct daemon *daemon = service->daemon;
	uint64_t limit = daemon->config->limits.memory;
	return limit && needs_memory(service) &&
	       daemon->admission.memory + memory_of(service) > limit;
}

static bool starts_are_many(const struct service *service)
{
	const struct daemon *daemon = service->daemon;
	return !service->claim.starting &&
	       daemon->admission.starting >= daemon->config->limits.starts;
}

/* In a storm taps are used faster than they are made, beside the loop. */
static bool awaits_tap(const struct service *service)
{
	const struct launcher_ops *ops = service->backend->ops;
	const struct link *link = service->daemon->link;
	return link && !service->instance && ops->tap != LAUNCHER_TAP_MADE &&
	       link_tap_awaited(link, instance_tap_use(ops));
}

/* Nothing but its turn is missing. */
static bool can_begin(const struct service *service)
{
	return !starts_are_many(service) && !memory_is_short(service) && needs_are_met(service) &&
	       !awaits_tap(service);
}

static void leave_queue(struct service *service)
{
	struct admissions *admission = &service->daemon->admission;
	if (!service->claim.queued)
		return;
	DL_DELETE2(admission->queue, service, claim.prev, claim.next);
	admission->queued--;
	service->claim.queued = false;
}

/* One in each turn of the loop: a start takes a millisecond of it, and those who ask for names that are
 * awake do not wait for a crowd of them. */
static void admit(struct service *service)
{
	struct admissions *admission = &service->daemon->admission;
	leave_queue(service);
	service->claim.admitted = true;
	admission->has_begun = true;
	look_after(service->daemon, 0);
	count(service, true, service->claim.memory ? service->claim.memory : memory_of(service));
	service_post(service, EVENT_DEMAND);
}

/* One that waits for memory is passed by those that have enough for themselves: it may need what never
 * comes. Not for ever: in the second half of the time that its clients have, what becomes free is
 * kept for it; and then no longer, so that it holds nobody up either. */
static bool lets_nobody_by(const struct service *service, uint64_t now)
{
	uint64_t hold = service->policy->policy.hold, waited = now - service->claim.queued_at;
	return waited >= hold / 2 && waited < hold;
}

/* The first that can begin. */
static struct service *find_next(struct daemon *daemon, struct service **waits, uint64_t now)
{
	struct service *service;
	bool kept = false;
	*waits = NULL;
	DL_FOREACH2(daemon->admission.queue, service, claim.next)
	{
		if (can_begin(service) && !(kept && takes_memory(service)))
			return service;
		if (awaits_tap(service)) {
			look_after(daemon, TAP_LOOK);
			continue;
		}
		if (*waits || starts_are_many(service) || !needs_are_met(service))
			continue;
		*waits = service;
		kept = lets_nobody_by(service, now);
	}
	return NULL;
}

/* Admits what can be; again, where that has changed what can be. */
static void look(struct daemon *daemon)
{
	struct admissions *admission = &daemon->admission;
	struct service *service, *waits;
	if (admission->looking || daemon->ending) {
		admission->again = true;
		return;
	}
	admission->looking = true;
	do {
		uint64_t now = clock_monotonic();
		admission->again = false;
		service = find_next(daemon, &waits, now);
		if (service && !admission->has_begun)
			admit(service);
		else if (waits)
			make_room(daemon, memory_of(waits), now);
	} while (admission->again);
	admission->looking = false;
}

static void expire(struct service *service)
{
	char reason[160];
	service->daemon->admission.counters.expired++;
	admission_explain(service, reason, sizeof(reason));
	leave_queue(service);
	service_set_error(service, "given up: it %s", reason);
	summon_fail(service, service->last_error);
	door_refuse(service);
	needs_moved(service);
	/* Where it is to be awake all the same, the next try is spaced as one after a failure. */
	service->unasked++;
	service->unasked_at = clock_monotonic();
	service_consider(service);
}

/* Where those who waited have been told, nobody may come for it any more; a packet or a pin has
 * nobody to be told. */
static bool has_waited_too_long(const struct service *service, uint64_t now)
{
	const struct policy *policy = &service->policy->policy;
	uint64_t waited = now - service->claim.queued_at;
	if (waited >= policy->ready_timeout)
		return true;
	return waited >= policy->hold && service->summon->answered > 0 &&
	       service->summon->waiter_count == 0 && !service->door.lot.first &&
	       !can_begin(service);
}

static void on_time(void *ctx);

/* A look that is nearer is not put off. */
static void look_after(struct daemon *daemon, uint64_t wait)
{
	struct admissions *admission = &daemon->admission;
	uint64_t at = clock_monotonic() + wait;
	if (admission->timer && admission->look_at <= at)
		return;
	admission->look_at = at;
	timer_start(&daemon->loop, &admission->timer, wait, on_time, daemon);
}

static struct service *find_expired(struct daemon *daemon, uint64_t now)
{
	struct service *service;
	char why[160];
	DL_FOREACH2(daemon->admission.queue, service, claim.next)
	if (has_waited_too_long(service, now) || needs_have_failed(service, why, sizeof(why)))
		return service;
	return NULL;
}

static void on_time(void *ctx)
{
	struct daemon *daemon = ctx;
	struct admissions *admission = &daemon->admission;
	uint64_t now = clock_monotonic();
	struct service *service;
	admission->has_begun = false;
	/* What becomes of one may end others' wait, too, and have one enter again; admitted is what
	 * is left. */
	admission->looking = true;
	for (unsigned left = admission->queued; left > 0; left--) {
		service = find_expired(daemon, now);
		if (!service)
			break;
		expire(service);
	}
	admission->looking = false;
	look(daemon);
	if (daemon->admission.queue)
		look_after(daemon, LOOK_EVERY);
}

void admission_enter(struct service *service)
{
	struct admissions *admission = &service->daemon->admission;
	struct claim *claim = &service->claim;
	if (claim->queued || claim->admitted || service->removed)
		return;
	/* What is under way is joined; an awake guest that is sent away is followed by its next life. */
	bool met = needs_are_met(service);
	if ((claim->starting && met) || service->state == STATE_AWAKE) {
		service_post(service, EVENT_DEMAND);
		return;
	}
	bool can = can_begin(service);
	if (can && !admission->has_begun && !(admission->queue && takes_memory(service))) {
		admit(service);
		return;
	}
	claim->queued = true;
	claim->queued_at = clock_monotonic();
	DL_APPEND2(admission->queue, service, claim.prev, claim.next);
	admission->queued++;
	admission->counters.waited += !can;
	if (!met)
		needs_wake(service);
	/* In a turn of its own: this may be a callback of the DNS server. */
	bool soon = can || admission->queued == 1;
	look_after(service->daemon, soon && !admission->has_begun ? 0 : LOOK_EVERY);
}

void admission_leave(struct service *service)
{
	leave_queue(service);
}

bool admission_has_room(const struct service *service)
{
	return !service->daemon->admission.queue && !starts_are_many(service) &&
	       !memory_is_short(service);
}

bool admission_explain(const struct service *service, char *text, size_t size)
{
	const struct admissions *admission = &service->daemon->admission;
	const struct config *config = service->daemon->config;
	char used[SIZE_TEXT], limit[SIZE_TEXT], needed[SIZE_TEXT];
	char name[POLICY_VALUE_MAX + 1];
	if (!service->claim.queued)
		return false;
	if (needs_have_failed(service, text, size))
		return true;
	if (needs_missing(service, name))
		snprintf(text, size, "waits for %s, which it needs", name);
	else if (memory_is_short(service))
		snprintf(text, size,
			"waits for memory: guests have %s of %s (limits.memory), and it needs %s",
			size_print(admission->memory, used),
			size_print(config->limits.memory, limit),
			size_print(memory_of(service), needed));
	else
		snprintf(text, size,
			"waits for its turn: %u of %u starts are under way (limits.starts), and "
			"%u wait",
			admission->starting, config->limits.starts, admission->queued);
	return true;
}

void admission_finish(struct daemon *daemon)
{
	timer_cancel(&daemon->admission.timer);
}

/* --- the breaker of a backend --- */

static struct breaker_rule rule_of(const struct service *service)
{
	const struct config *config = service->daemon->config;
	return (struct breaker_rule){config->limits.breaker, config->limits.breaker_for};
}

uint64_t admission_breaker(struct service *service, uint64_t now)
{
	const struct breaker_rule rule = rule_of(service);
	uint64_t again = breaker_admit(&service->backend->breaker, &rule, now);
	service->daemon->admission.counters.broken += again > 0;
	return again;
}

void admission_note(struct service *service, bool failed)
{
	const struct breaker_rule rule = rule_of(service);
	struct breaker *breaker = &service->backend->breaker;
	char span[DURATION_TEXT];
	if (!failed)
		breaker_succeed(breaker);
	else if (breaker_fail(breaker, &rule, service->def.id, clock_monotonic()))
		log_line(&service->daemon->log, LOG_ERROR, LOG_ABOUT_NOTHING,
			"backend %s: the last %u starts have failed, of several services: none "
			"for %s",
			service->backend->ops->name, rule.failures,
			duration_print(rule.span, span));
}
