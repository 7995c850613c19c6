/* SPDX-License-Identifier: ISC */
#include "daemon/idle.h"

#include <string.h>

#include "base/units.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "launcher/link/usage.h"

/* How often an awake guest is looked at: often enough that idle_after is kept to an eighth. */
#define LOOK_MIN (100 * NS_PER_MS)
#define LOOK_MAX (5 * NS_PER_S)

/* From closing the door to the last look: as long as a neighbour may still send to the guest's MAC
 * after it was told that the address is the host's now. */
#define LAST_LOOK_AFTER (10 * NS_PER_MS)

static void look(void *ctx);

/* --- what counts as use --- */

static bool carried_traffic(const struct service *service)
{
	const struct instance *instance = service->instance;
	bool used = instance->usage >= 0 && usage_read(instance->usage) > 0;
	return used && (service->policy->policy.activity & POLICY_ACTIVITY_TRAFFIC);
}

static bool is_connected(const struct service *service)
{
	struct conntrack *conntrack = &service->daemon->conntrack;
	const struct instance *instance = service->instance;
	const struct ip_address *addresses[] = {&instance->ipv4, &instance->ipv6};
	if (!(service->policy->policy.activity & POLICY_ACTIVITY_CONNECTIONS))
		return false;
	for (size_t i = 0; i < 2; i++)
		if (ip_address_is_set(addresses[i]) && conntrack_count(conntrack, addresses[i]) > 0)
			return true;
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

static void retire(struct service *service, const struct rest *rest)
{
	static const char *const reasons[] = {
		[REST_IDLE] = "idle",
		[REST_DONE] = "it asked for it",
		[REST_MAX_LIFE] = "max_life is over",
	};
	log_line(&service->daemon->log, LOG_INFO, about(service), "retired: %s",
		reasons[rest->reason]);
	service_set_error(service, "it was retired");
	service_retire(service, rest->how);
}

static void look_last(void *ctx)
{
	struct service *service = ctx;
	door_look(service->daemon);
	uint64_t now = clock_monotonic();
	if (carried_traffic(service) || is_connected(service))
		service->load.active_at = now;
	struct load load = service_load(service);
	struct rest rest = decide_rest(&service->policy->policy, &load, now);
	service->instance->retiring = false;
	if (rest.reason != REST_NOT && (rest.reason != REST_DONE || load.active_at != now)) {
		retire(service, &rest);
		return;
	}
	log_line(&service->daemon->log, LOG_DEBUG, about(service), "is in use after all");
	door_open(service);
	look_again(service, rest.check_at, now);
}

static void close_and_look(struct service *service)
{
	service->instance->retiring = true;
	door_close(service);
	timer_start(&service->daemon->loop, &service->instance->rest, LAST_LOOK_AFTER, look_last,
		service);
}

static void look(void *ctx)
{
	struct service *service = ctx;
	uint64_t now = clock_monotonic();
	if (carried_traffic(service))
		service->load.active_at = now;
	struct load load = service_load(service);
	struct rest rest = decide_rest(&service->policy->policy, &load, now);
	if (rest.reason == REST_IDLE && is_connected(service)) {
		service->load.active_at = now;
		rest = (struct rest){.reason = REST_NOT};
	}
	if (rest.reason == REST_NOT)
		look_again(service, rest.check_at, now);
	else if (rest.reason == REST_MAX_LIFE || !service->instance->open)
		retire(service, &rest);
	else
		close_and_look(service);
}

static void begin(struct service *service, uint64_t now)
{
	struct instance *instance = service->instance;
	struct error err = ERROR_INIT;
	service->load.ready_at = now;
	service->load.active_at = now;
	service->load.busy = service->load.done = false;
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
	if (service->instance->retiring)
		return; /* the last look is near, and is by the policy of then */
	if (!service->instance->rest)
		begin(service, now);
	look_again(service, 0, now);
}

void idle_unwatch(struct service *service)
{
	struct instance *instance = service->instance;
	timer_cancel(&instance->rest);
	instance->retiring = false;
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
		service->load.busy = words[i].busy;
		service->load.done = words[i].done;
		idle_watch(service);
	}
}
