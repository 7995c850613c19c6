/* SPDX-License-Identifier: ISC */
#include "daemon/idle.h"

#include <string.h>

#include "base/units.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "daemon/needs.h"
#include "daemon/word.h"
#include "launcher/link/usage.h"

/* How often an awake guest is looked at: often enough that idle_after is kept to an eighth. */
#define LOOK_MIN (100 * NS_PER_MS)
#define LOOK_MAX (5 * NS_PER_S)

/* From closing the door to the last look: as long as a neighbour may still send to the guest's MAC
 * after it was told that the address is the host's now. */
#define LAST_LOOK_AFTER (10 * NS_PER_MS)

/* How long a guest that is sent away in any case may go on with what it was sent before. A client that
 * heard nothing for that long sends again by itself (RFC 6298, 2.1). */
#define EXCHANGES_END_WITHIN (1 * NS_PER_S)

/* The kernel's connections are read on a thread; mostly that takes less. */
#define READ_WITHIN NS_PER_MS

/* How old what was read may be to choose by; before one is retired it is read again. */
#define READ_AGO NS_PER_S

static void look(void *ctx);

/* --- what counts as use --- */

static bool has_flowed(const struct service *service)
{
	struct instance *instance = service->instance;
	bool flowed = instance->usage >= 0 && usage_read(instance->usage) > 0;
	instance->flowed = instance->flowed || flowed;
	return flowed;
}

static bool carried_traffic(const struct service *service)
{
	bool flowed = has_flowed(service); /* in any case: the count begins anew */
	return flowed && (service->policy->policy.activity & POLICY_ACTIVITY_TRAFFIC);
}

bool idle_is_connected(const struct service *service)
{
	struct conntrack *conntrack = &service->daemon->conntrack;
	const struct instance *instance = service->instance;
	uint64_t now = clock_monotonic();
	conntrack_knows(conntrack, now > READ_AGO ? now - READ_AGO : 0); /* for the next one */
	for (size_t i = 0; i < ADDRESSES_MAX; i++)
		if (ip_address_is_set(&instance->addresses[i]) &&
			conntrack_count(conntrack, &instance->addresses[i]) > 0)
			return true;
	return false;
}

static bool counts_connections(const struct service *service)
{
	return (service->policy->policy.activity & POLICY_ACTIVITY_CONNECTIONS) ||
	       service->instance->leaving == LEAVING_EVICTED;
}

static bool is_connected(const struct service *service)
{
	return counts_connections(service) && idle_is_connected(service);
}

/* Whether connections count that were not read yet since this was first asked; then `again` is called
 * a little later. */
static bool awaits_connections(struct service *service, timer_fn again)
{
	struct instance *instance = service->instance;
	if (!counts_connections(service))
		return false;
	if (instance->asked_at == 0)
		instance->asked_at = clock_monotonic();
	if (!conntrack_knows(&service->daemon->conntrack, instance->asked_at)) {
		timer_start(&service->daemon->loop, &instance->rest, READ_WITHIN, again, service);
		return true;
	}
	instance->asked_at = 0;
	return false;
}

/* --- looking --- */

static struct log_about about(const struct service *service)
{
	return (struct log_about){
		.service = service->def.name, .generation = service->instance->id.generation};
}

static void look_again(struct service *service, uint64_t check_at, uint64_t now)
{
	uint64_t wait = service->policy->policy.idle_after / 8;
	wait = wait < LOOK_MIN ? LOOK_MIN : wait > LOOK_MAX ? LOOK_MAX : wait;
	if (check_at > now && check_at - now < wait)
		wait = check_at - now;
	timer_start(&service->daemon->loop, &service->instance->rest, wait, look, service);
}

static const char *const reasons[] = {
	[REST_IDLE] = "idle",
	[REST_DONE] = "it asked for it",
	[REST_MAX_LIFE] = "max_life is over",
};

static void retire(struct service *service, enum policy_retire how, const char *why)
{
	log_line(&service->daemon->log, LOG_INFO, about(service), "retired: %s", why);
	service_set_error(service, "it was retired: %s", why);
	service_retire(service, how);
}

static void stay(struct service *service, uint64_t check_at, uint64_t now)
{
	log_line(&service->daemon->log, LOG_DEBUG, about(service), "is in use after all");
	service->instance->leaving = LEAVING_NOT;
	admission_spare(service);
	door_open(service);
	look_again(service, check_at, now);
}

static void look_at_idle(struct service *service, bool used, uint64_t now)
{
	struct load load = service_load(service);
	struct rest rest = decide_rest(&service->policy->policy, &load, now);
	if (rest.reason == REST_NOT || (rest.reason == REST_DONE && used))
		stay(service, rest.check_at, now);
	else if (rest.reason == REST_MAX_LIFE && used)
		idle_order(service, rest.how, reasons[rest.reason]);
	else
		retire(service, rest.how, reasons[rest.reason]);
}

static void look_at_evicted(struct service *service, bool used, uint64_t now)
{
	if (used)
		stay(service, 0, now);
	else
		retire(service, service->instance->leave_how, "its memory is needed");
}

static void look_last(void *ctx);

/* Nothing flows to or from a guest that does not get to run, although a packet waits for it there: so
 * after whatever has flowed it is asked for a word, which comes after its answers to all the rest. */
static bool is_in_exchange(struct service *service, bool used, uint64_t now)
{
	struct instance *instance = service->instance;
	if (now >= instance->leave_by)
		return false;
	if (instance->unanswered)
		return true;
	if (instance->flowed)
		door_ask(service);
	instance->flowed = false;
	return used || instance->unanswered;
}

static void look_at_ordered(struct service *service, bool used, uint64_t now)
{
	struct instance *instance = service->instance;
	if (is_in_exchange(service, used, now))
		timer_start(&service->daemon->loop, &instance->rest, LAST_LOOK_AFTER, look_last,
			service);
	else
		service_retire(service, instance->leave_how);
}

static void look_last(void *ctx)
{
	static void (*const looks[])(struct service * service, bool used, uint64_t now) = {
		[LEAVING_IDLE] = look_at_idle,
		[LEAVING_EVICTED] = look_at_evicted,
		[LEAVING_ORDERED] = look_at_ordered,
	};
	struct service *service = ctx;
	char name[POLICY_VALUE_MAX + 1];
	/* What is ordered waits for no open connection, which may stay open for ever. */
	bool ordered = service->instance->leaving == LEAVING_ORDERED;
	if (!ordered && awaits_connections(service, look_last))
		return;
	door_look(service->daemon);
	uint64_t now = clock_monotonic();
	bool used = ordered ? has_flowed(service)
			    : carried_traffic(service) || is_connected(service) ||
				      needs_hold(service, name);
	if (used)
		service->load.active_at = now;
	looks[service->instance->leaving](service, used, now);
}

static void close_and_look(struct service *service, enum leaving leaving)
{
	idle_count(service);
	service->instance->leaving = leaving;
	service->instance->asked_at = 0; /* what was read before does not count */
	door_close(service);
	timer_start(&service->daemon->loop, &service->instance->rest, LAST_LOOK_AFTER, look_last,
		service);
}

/* It is in use until those are gone, and is looked at as ever: they may come to need it no more. */
static void await_needy(struct service *service)
{
	uint64_t now = clock_monotonic();
	if (service->state != STATE_AWAKE || service->instance->rest)
		return;
	if (service->instance->leaving != LEAVING_NOT)
		stay(service, 0, now);
	else
		look_again(service, 0, now);
}

void idle_order(struct service *service, enum policy_retire how, const char *why)
{
	struct instance *instance = service->instance;
	bool closed = instance->leaving != LEAVING_NOT;
	if (needs_retire_first(service, how, why)) {
		await_needy(service);
		return;
	}
	if (!closed && !instance->open) {
		retire(service, how, why);
		return;
	}
	log_line(&service->daemon->log, LOG_INFO, about(service), "is sent away: %s", why);
	service_set_error(service, "it was retired: %s", why);
	instance->leave_how = how;
	if (instance->leaving != LEAVING_ORDERED)
		instance->leave_by = clock_monotonic() + EXCHANGES_END_WITHIN;
	close_and_look(service, LEAVING_ORDERED);
}

void idle_evict(struct service *service, enum policy_retire how)
{
	struct instance *instance = service->instance;
	if (instance->leaving != LEAVING_NOT)
		return;
	instance->leave_how = how;
	if (instance->open)
		close_and_look(service, LEAVING_EVICTED);
	else
		retire(service, how, "its memory is needed");
}

void idle_load(const struct service *service, struct load *load)
{
	const struct instance *instance = service->instance;
	if (!instance || instance->leaving != LEAVING_ORDERED)
		return;
	load->remembers = instance->leave_how == POLICY_RETIRE_SUSPEND ||
			  instance->leave_how == POLICY_RETIRE_SNAPSHOT;
	/* What is under way ends with the guest that runs: the last words of a connection that closes
	 * wake nobody. What goes on beyond that finds it at rest. */
	bool rests = load->remembers && clock_monotonic() >= instance->leave_by;
	load->state = service->summon ? LOAD_STARTING : rests ? LOAD_ASLEEP : LOAD_STOPPING;
}

static void look(void *ctx)
{
	struct service *service = ctx;
	char name[POLICY_VALUE_MAX + 1];
	uint64_t now = clock_monotonic();
	if (carried_traffic(service))
		service->load.active_at = now;
	struct load load = service_load(service);
	struct rest rest = decide_rest(&service->policy->policy, &load, now);
	if (rest.reason == REST_IDLE && awaits_connections(service, look))
		return;
	bool may_stay = rest.reason == REST_IDLE || rest.reason == REST_DONE;
	if ((rest.reason == REST_IDLE && is_connected(service)) ||
		(may_stay && needs_hold(service, name))) {
		service->load.active_at = now;
		rest = (struct rest){.reason = REST_NOT};
	}
	if (rest.reason == REST_NOT)
		look_again(service, rest.check_at, now);
	else if (rest.reason == REST_MAX_LIFE)
		idle_order(service, rest.how, reasons[rest.reason]);
	else if (!service->instance->open)
		retire(service, rest.how, reasons[rest.reason]);
	else
		close_and_look(service, LEAVING_IDLE);
}

static void begin(struct service *service, uint64_t now)
{
	service->load.ready_at = now;
	service->load.active_at = now;
	service->load.done = false;
	if (service->instance->found)
		service->load.busy = word_is_busy(service);
	/* Perhaps: what waited at its door, and what came since. */
	service->instance->flowed = true;
}

void idle_count(struct service *service)
{
	struct instance *instance = service->instance;
	struct error err = ERROR_INIT;
	if (!service->daemon->link || !instance->tap[0] || instance->usage >= 0)
		return;
	instance->usage = usage_open(instance->tap, &service->mac, &err);
	if (instance->usage < 0)
		log_line(&service->daemon->log, LOG_WARNING, about(service),
			"its traffic does not count as use: %s", err.message);
}

void idle_watch(struct service *service)
{
	uint64_t now = clock_monotonic();
	if (service->instance->leaving)
		return; /* the last look is near, and is by the policy of then */
	if (!service->instance->rest)
		begin(service, now);
	look_again(service, 0, now);
}

void idle_unwatch(struct service *service)
{
	struct instance *instance = service->instance;
	timer_cancel(&instance->rest);
	instance->leaving = LEAVING_NOT;
	instance->asked_at = 0;
	if (instance->usage >= 0)
		usage_close(&service->daemon->loop, instance->usage);
	instance->usage = -1;
}

/* --- the guest's own word --- */

void idle_hear(struct service *service, const char *line)
{
	static const struct {
		const char *line;
		bool busy, done;
	} words[] = {
		{"summond: busy", true, false},
		{"summond: idle", false, false},
		{"summond: retire", false, true},
	};
	if (service->state != STATE_AWAKE || !service->instance)
		return;
	/* The whole line: a word in the midst of one may be some client's. */
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t length = strlen(words[i].line);
		if (strncmp(line, words[i].line, length) != 0 ||
			line[length + strspn(line + length, " \r")])
			continue;
		if (service->load.busy != words[i].busy)
			word_keep(service, words[i].busy);
		service->load.busy = words[i].busy;
		service->load.done = words[i].done;
		idle_watch(service);
	}
}
