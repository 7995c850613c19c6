/* SPDX-License-Identifier: ISC */
#include "daemon/service.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/units.h"
#include "daemon/console.h"
#include "daemon/control.h"
#include "daemon/daemon.h"
#include "daemon/definition.h"
#include "daemon/effects.h"
#include "daemon/family.h"
#include "daemon/idle.h"
#include "daemon/instance.h"
#include "daemon/names.h"
#include "daemon/needs.h"
#include "daemon/shells.h"
#include "daemon/summon.h"
#include "daemon/tiers.h"

static void on_later(uv_idle_t *idle);

int registry_init(struct registry *registry, struct daemon *daemon, struct error *err)
{
	(void)err;
	*registry = (struct registry){.daemon = daemon};
	uv_idle_init(&daemon->loop, &registry->later);
	registry->later.data = registry;
	return 0;
}

static void service_free(struct service *service)
{
	names_forget(service);
	family_leave(service);
	timer_cancel(&service->consider);
	timer_cancel(&service->unpin);
	admission_leave(service);
	summon_destroy(service->summon);
	door_clear(service);
	console_destroy(service->console);
	store_service_finish(&service->def);
	free(service);
}

void registry_finish(struct registry *registry)
{
	if (!registry->daemon)
		return; /* it never began */
	for (uint32_t id = 0; id < registry->id_limit; id++) {
		struct service *service = registry->by_id[id];
		if (!service)
			continue;
		if (!service->removed)
			HASH_DEL(registry->by_name, service);
		instance_forget(service->instance);
		service_free(service);
	}
	struct policy_entry *entry, *next;
	HASH_ITER(hh, registry->policies, entry, next)
	{
		HASH_DEL(registry->policies, entry);
		free(entry);
	}
	free(registry->by_id);
	free(registry->queue);
	registry->by_id = NULL; /* who waits for word of a service finds none */
	registry->queue = NULL;
	registry->id_limit = 0;
	registry->queue_count = registry->queue_size = 0;
	uv_close((uv_handle_t *)&registry->later, NULL);
}

struct service *service_by_name(const struct registry *registry, const char *name)
{
	struct service *service;
	HASH_FIND_STR(registry->by_name, name, service);
	return service;
}

struct service *service_by_id(const struct registry *registry, uint32_t id)
{
	return id < registry->id_limit ? registry->by_id[id] : NULL;
}

struct policy_entry *policy_by_name(const struct registry *registry, const char *name)
{
	struct policy_entry *entry;
	HASH_FIND_STR(registry->policies, name, entry);
	return entry;
}

void service_use_policy(struct service *service, struct policy_entry *entry)
{
	if (service->policy) {
		DL_DELETE2(service->policy->users, service, user_prev, user_next);
		service->policy->services--;
	}
	service->policy = entry;
	if (entry) {
		DL_APPEND2(entry->users, service, user_prev, user_next);
		entry->services++;
	}
}

/* --- events --- */

static void write_transition(
	struct service *service, const struct lifecycle_row *row, const struct log_about *about)
{
	log_line(&service->daemon->log, LOG_INFO, *about, "%s -> %s (%s)",
		lifecycle_state_name(row->state), lifecycle_state_name(row->next),
		lifecycle_event_name(row->event));
	struct history_entry *entry = journal_add(&service->daemon->journal, HISTORY_TRANSITION);
	if (entry) {
		entry->service = service->def.id;
		entry->at = service->since;
		entry->summon = about->summon;
		entry->generation = about->generation;
		snprintf(entry->word, sizeof(entry->word), "%s", lifecycle_event_name(row->event));
		snprintf(entry->from, sizeof(entry->from), "%s", lifecycle_state_name(row->state));
		snprintf(entry->to, sizeof(entry->to), "%s", lifecycle_state_name(row->next));
	}
	control_announce_transition(service->daemon->control, service, row, about->summon);
}

static struct log_about service_about(const struct service *service)
{
	return (struct log_about){
		.service = service->def.name,
		.summon = service->summon ? service->summon->id : 0,
		.generation = service->instance ? service->instance->id.generation : 0,
	};
}

static void run_effects(struct service *service, const struct lifecycle_row *row)
{
	for (size_t i = 0; row->effects[i]; i++) {
		struct error err = ERROR_INIT;
		int rc = effect_run(service, row->effects[i], &err);
		if (rc >= 0)
			continue;
		service_set_error(service, "%s", err.message);
		log_line(&service->daemon->log, LOG_WARNING, service_about(service), "%s: %s",
			lifecycle_effect_name(row->effects[i]), err.message);
		service_post(service, lifecycle_failure(row, row->effects[i], rc == -ESRCH));
		return;
	}
}

static void step(struct service *service, enum lifecycle_event event)
{
	const struct lifecycle_row *row = lifecycle_step(service->state, event);
	struct log_about about = service_about(service);
	service->claim.admitted &= event != EVENT_DEMAND;
	if (!row) {
		admission_account(service);
		log_line(&service->daemon->log, LOG_DEBUG, about, "%s in %s ignored: %s",
			lifecycle_event_name(event), lifecycle_state_name(service->state),
			lifecycle_ignored(service->state, event));
		return;
	}
	service->state = row->next;
	service->since = clock_real();
	write_transition(service, row, &about);
	run_effects(service, row);
	seats_moved(service);
	needs_moved(service);
	admission_account(service);
}

/* A removed service is freed when nothing of it is left and no event of it waits. */
static void reap(struct registry *registry, struct service *service)
{
	if (!service->removed || service->state != STATE_ASLEEP)
		return;
	for (size_t i = 0; i < registry->queue_count; i++)
		if (registry->queue[i].service == service)
			return;
	/* Demand from before the daemon served, which no lifecycle has met. */
	summon_fail(service, service->last_error);
	door_refuse(service);
	control_end_output(service->daemon->control, service);
	registry->by_id[service->def.id] = NULL;
	service_use_policy(service, NULL);
	service_free(service);
}

static void drain(struct registry *registry)
{
	registry->busy = true;
	while (registry->queue_count > 0) {
		struct service_event first = registry->queue[0];
		registry->queue_count--;
		memmove(registry->queue, registry->queue + 1,
			registry->queue_count * sizeof(*registry->queue));
		step(first.service, first.event);
		reap(registry, first.service);
	}
	registry->busy = false;
}

static void on_later(uv_idle_t *idle)
{
	uv_idle_stop(idle);
	drain(idle->data);
}

void registry_hold_events(struct registry *registry)
{
	registry->busy = true;
}

void registry_release_events(struct registry *registry)
{
	registry->busy = false;
	if (registry->queue_count > 0)
		uv_idle_start(&registry->later, on_later);
}

void service_post(struct service *service, enum lifecycle_event event)
{
	struct registry *registry = &service->daemon->registry;
	if (registry->queue_count == registry->queue_size) {
		size_t size = registry->queue_size ? registry->queue_size * 2 : 64;
		struct service_event *more = reallocarray(registry->queue, size, sizeof(*more));
		if (!more) {
			log_line(&service->daemon->log, LOG_ERROR, service_about(service),
				"out of memory: the event %s is lost", lifecycle_event_name(event));
			return;
		}
		registry->queue = more;
		registry->queue_size = size;
	}
	registry->queue[registry->queue_count++] = (struct service_event){service, event};
	if (!registry->busy)
		drain(registry);
}

/* --- demand --- */

static const enum load_state load_states[STATE_COUNT] = {
	[STATE_ASLEEP] = LOAD_ASLEEP,
	[STATE_PREPARING] = LOAD_ASLEEP,
	[STATE_PREPARED] = LOAD_ASLEEP,
	[STATE_HURRYING] = LOAD_STARTING,
	[STATE_WARMING] = LOAD_ASLEEP,
	[STATE_SUSPENDING] = LOAD_ASLEEP,
	[STATE_SUSPENDED] = LOAD_ASLEEP,
	[STATE_DEEPENING] = LOAD_ASLEEP,
	[STATE_RECALLED] = LOAD_STARTING,
	[STATE_CREATING] = LOAD_STARTING,
	[STATE_UNPAUSING] = LOAD_STARTING,
	[STATE_RESUMING] = LOAD_STARTING,
	[STATE_BOOTING] = LOAD_STARTING,
	[STATE_AWAKE] = LOAD_AWAKE,
	[STATE_STOPPING] = LOAD_STOPPING,
	[STATE_RESTARTING] = LOAD_STARTING,
};

static const unsigned remembering = 1u << STATE_SUSPENDING | 1u << STATE_SUSPENDED |
				    1u << STATE_DEEPENING | 1u << STATE_RECALLED |
				    1u << STATE_RESUMING;

bool service_is_pinned(const struct service *service)
{
	uint64_t until = service->def.pinned_until;
	return service->def.pinned && (until == 0 || clock_real() < until);
}

struct load service_load(const struct service *service)
{
	struct load load = service->load;
	load.state = load_states[service->state];
	/* Demand whose event has not had its turn yet. */
	if (service->summon && load.state != LOAD_AWAKE)
		load.state = LOAD_STARTING;
	load.pinned = service_is_pinned(service) || service->policy->hours == HOURS_AWAKE;
	load.closed = !load.pinned && service->policy->hours == HOURS_ASLEEP;
	load.remembers = remembering & (1u << service->state);
	return load;
}

struct summon *service_demand(struct service *service, const char *cause, uint64_t wanted_at)
{
	if (service->summon)
		return service->summon;
	service->summon = summon_create(service, cause, wanted_at);
	if (!service->summon)
		return NULL;
	summon_stage(service->summon, STAGE_ADMITTED, clock_monotonic());
	if (service->daemon->serving) /* else start_serving() does it */
		admission_enter(service);
	return service->summon;
}

void service_retire(struct service *service, enum policy_retire how)
{
	static const struct {
		enum lifecycle_event event;
		enum launcher_stop stop;
		enum launcher_rest rest;
	} ways[] = {
		[POLICY_RETIRE_DESTROY] = {EVENT_RETIRE, .stop = LAUNCHER_STOP_DESTROY},
		[POLICY_RETIRE_SHUTDOWN] = {EVENT_RETIRE, .stop = LAUNCHER_STOP_SHUTDOWN},
		[POLICY_RETIRE_SUSPEND] = {EVENT_REST, .rest = LAUNCHER_REST_MEMORY},
		[POLICY_RETIRE_SNAPSHOT] = {EVENT_REST, .rest = LAUNCHER_REST_DISK},
	};
	/* What is kept of it would come back as it was before its definition changed. */
	if (ways[how].event == EVENT_REST && service->instance && service->instance->outdated)
		how = POLICY_RETIRE_SHUTDOWN;
	service->stop_how = ways[how].stop;
	service->rest_where = ways[how].rest;
	bool rests = service->state == STATE_SUSPENDED && how == POLICY_RETIRE_SNAPSHOT;
	service_post(service, rests ? EVENT_DEEPEN : ways[how].event);
}

/* How long nothing may be started ahead or for a pin: starts that fail are spaced, and so are
 * those that come to nothing in other ways, as when a guest dies whenever it is suspended. */
static uint64_t time_off(const struct service *service, uint64_t now)
{
	const struct policy *policy = &service->policy->policy;
	uint64_t retry_at = decide_retry_at(policy, &service->load);
	uint64_t failed = retry_at > now ? retry_at - now : 0;
	uint64_t unasked = decide_backoff(policy, service->unasked);
	uint64_t after = now - service->unasked_at;
	unasked = unasked > after ? unasked - after : 0;
	return failed > unasked ? failed : unasked;
}

static void on_consider(void *ctx)
{
	service_consider(ctx);
}

void service_consider(struct service *service)
{
	struct daemon *daemon = service->daemon;
	shells_reckon(daemon);
	const struct policy *policy = &service->policy->policy;
	struct load load = service_load(service);
	/* One that rests is there, ahead of demand; but not awake, as a pin wants it. */
	bool lacks = service->state == STATE_ASLEEP || (load.pinned && load.state == LOAD_ASLEEP);
	if (service->removed || daemon->ending || !daemon->serving || service->summon || !lacks)
		return;
	uint64_t now = clock_monotonic();
	enum ahead ahead = decide_ahead(policy, &load, now);
	uint64_t wait = time_off(service, now);
	if (wait > 0) {
		timer_start(&daemon->loop, &service->consider, wait, on_consider, service);
		return;
	}
	if (!load.pinned && (ahead == AHEAD_NOTHING || instance_has_template(service)))
		return;
	if (!load.pinned && !admission_has_room(service)) {
		timer_start(&daemon->loop, &service->consider, NS_PER_S, on_consider, service);
		return;
	}
	service->unasked++;
	service->unasked_at = now;
	if (load.pinned) {
		service_demand(service, service_is_pinned(service) ? "pin" : "schedule", now);
		return;
	}
	service->rest_where =
		policy->start == POLICY_START_SNAPSHOT ? LAUNCHER_REST_DISK : LAUNCHER_REST_MEMORY;
	service_post(service, ahead == AHEAD_PREPARE ? EVENT_PREPARE : EVENT_WARM);
}

void service_set_error(struct service *service, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(service->last_error, sizeof(service->last_error), format, args);
	va_end(args);
}
