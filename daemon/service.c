/* SPDX-License-Identifier: ISC */
#include "daemon/service.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "daemon/alias.h"
#include "daemon/console.h"
#include "daemon/control.h"
#include "daemon/daemon.h"
#include "daemon/definition.h"
#include "daemon/effects.h"
#include "daemon/idle.h"
#include "daemon/instance.h"
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
	timer_cancel(&service->consider);
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
	aliases_finish(registry);
	free(registry->by_id);
	free(registry->queue);
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
	if (!row) {
		log_line(&service->daemon->log, LOG_DEBUG, about, "%s in %s ignored: %s",
			lifecycle_event_name(event), lifecycle_state_name(service->state),
			lifecycle_ignored(service->state, event));
		return;
	}
	service->state = row->next;
	service->since = clock_real();
	write_transition(service, row, &about);
	run_effects(service, row);
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
	registry->by_id[service->def.id] = NULL;
	service->policy->services--;
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

struct load service_load(const struct service *service)
{
	struct load load = service->load;
	load.state = load_states[service->state];
	/* Demand whose event has not had its turn yet. */
	if (service->summon && load.state != LOAD_AWAKE)
		load.state = LOAD_STARTING;
	load.pinned = service->def.pinned;
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
		service_post(service, EVENT_DEMAND);
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
	uint64_t failed = decide_backoff(policy, service->load.failures);
	uint64_t unasked = decide_backoff(policy, service->unasked);
	uint64_t after_failure = now - service->load.failed_at, after = now - service->unasked_at;
	failed = failed > after_failure ? failed - after_failure : 0;
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
	if (service->removed || daemon->ending || !service->daemon->serving ||
		service->state != STATE_ASLEEP || service->summon)
		return;
	const struct policy *policy = &service->policy->policy;
	struct load load = service_load(service);
	uint64_t now = clock_monotonic();
	enum ahead ahead = decide_ahead(policy, &load, now);
	uint64_t wait = time_off(service, now);
	if (wait > 0) {
		timer_start(&daemon->loop, &service->consider, wait, on_consider, service);
		return;
	}
	if (!load.pinned && (ahead == AHEAD_NOTHING || instance_has_template(service)))
		return;
	service->unasked++;
	service->unasked_at = now;
	service->rest_where =
		policy->start == POLICY_START_SNAPSHOT ? LAUNCHER_REST_DISK : LAUNCHER_REST_MEMORY;
	if (load.pinned)
		service_demand(service, "pin", now);
	else
		service_post(service, ahead == AHEAD_PREPARE ? EVENT_PREPARE : EVENT_WARM);
}

void service_set_error(struct service *service, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(service->last_error, sizeof(service->last_error), format, args);
	va_end(args);
}

/* --- definitions --- */

static void publish(struct service *service)
{
	struct error err = ERROR_INIT;
	const struct policy *policy = &service->policy->policy;
	if (dns_put_service(service->daemon->dns, service->def.id, service->def.name,
		    &service->def.ipv4, &service->def.ipv6, (uint32_t)(policy->ttl / NS_PER_S),
		    &err) < 0)
		log_line(&service->daemon->log, LOG_ERROR, service_about(service),
			"its name cannot be answered: %s", err.message);
	aliases_publish(service);
}

int registry_put_policy(struct registry *registry, const struct policy *policy, struct error *err)
{
	struct policy_entry *entry = policy_by_name(registry, policy->name);
	if (!entry) {
		entry = calloc(1, sizeof(*entry));
		if (!entry)
			return error_set(err, -ENOMEM, "out of memory");
		entry->policy = *policy;
		HASH_ADD_STR(registry->policies, policy.name, entry);
		return 0;
	}
	entry->policy = *policy;
	for (uint32_t id = 0; id < registry->id_limit; id++) {
		struct service *service = registry->by_id[id];
		if (!service || service->policy != entry || service->removed)
			continue;
		publish(service);
		service->unasked = 0;
		service_consider(service);
		if (service->state == STATE_AWAKE)
			idle_watch(service);
		tiers_look(service);
	}
	return 0;
}

void registry_remove_policy(struct registry *registry, const char *name)
{
	struct policy_entry *entry = policy_by_name(registry, name);
	if (!entry || entry->services)
		return;
	HASH_DEL(registry->policies, entry);
	free(entry);
}

static int make_room(struct registry *registry, uint32_t id, struct error *err)
{
	if (id < registry->id_limit)
		return 0;
	uint32_t limit = registry->id_limit ? registry->id_limit : 64;
	while (limit <= id)
		if (__builtin_mul_overflow(limit, 2u, &limit))
			return error_set(err, -EOVERFLOW, "service numbers are used up");
	struct service **more = reallocarray(registry->by_id, limit, sizeof(*more));
	if (!more)
		return error_set(err, -ENOMEM, "out of memory");
	memset(more + registry->id_limit, 0, (limit - registry->id_limit) * sizeof(*more));
	registry->by_id = more;
	registry->id_limit = limit;
	return 0;
}

static bool moved(const struct store_service *a, const struct store_service *b)
{
	return !ip_address_equal(&a->ipv4, &b->ipv4) || !ip_address_equal(&a->ipv6, &b->ipv6);
}

static int replace(struct service *service, const struct store_service *def, struct error *err)
{
	struct registry *registry = &service->daemon->registry;
	struct store_service copy;
	if (store_service_copy(&copy, def) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	service->unasked = 0;
	bool differs = definition_boots_differently(&service->def, def);
	bool stale = moved(&service->def, def) || (service->state != STATE_AWAKE && differs);
	service->policy->services--;
	service->policy = policy_by_name(registry, def->policy);
	service->policy->services++;
	if (moved(&service->def, def))
		door_dismiss(service->daemon, &service->def);
	store_service_finish(&service->def);
	service->def = copy;
	if (service->instance)
		service->instance->outdated |= differs; /* the next one is of the new one */
	else
		service->backend = backend_by_name(&service->daemon->backends, def->backend);
	publish(service);
	door_admit(service->daemon, &service->def);
	if (stale) {
		service->stop_how = LAUNCHER_STOP_DESTROY;
		service_set_error(service, "its definition was changed");
		service_post(service, EVENT_RETIRE);
	}
	service_consider(service);
	if (service->state == STATE_AWAKE)
		idle_watch(service);
	tiers_look(service);
	return 0;
}

int registry_put_service(
	struct registry *registry, const struct store_service *def, struct error *err)
{
	struct daemon *daemon = registry->daemon;
	struct service *service = service_by_id(registry, def->id);
	if (service)
		return replace(service, def, err);
	int rc = make_room(registry, def->id, err);
	if (rc < 0)
		return rc;
	service = calloc(1, sizeof(*service));
	if (!service || store_service_copy(&service->def, def) < 0) {
		free(service);
		return error_set(err, -ENOMEM, "out of memory");
	}
	service->daemon = daemon;
	service->policy = policy_by_name(registry, def->policy);
	service->policy->services++;
	service->backend = backend_by_name(&daemon->backends, def->backend);
	service->mac = link_mac(daemon->identity, def->id);
	service->since = clock_real();
	registry->by_id[def->id] = service;
	HASH_ADD_STR(registry->by_name, def.name, service);
	publish(service);
	door_admit(daemon, &service->def);
	service_consider(service);
	return 0;
}

void registry_remove_service(struct registry *registry, struct service *service)
{
	dns_remove_service(service->daemon->dns, service->def.id);
	aliases_remove(service);
	door_dismiss(service->daemon, &service->def);
	HASH_DEL(registry->by_name, service);
	/* Its own policy may be removed before the guest is gone; this one never is. */
	service->policy->services--;
	service->policy = policy_by_name(registry, "default");
	service->policy->services++;
	service->removed = true;
	shells_reckon(service->daemon);
	service->stop_how = LAUNCHER_STOP_DESTROY;
	service_set_error(service, "it was removed");
	service_post(service, EVENT_RETIRE);
}
