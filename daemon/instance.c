/* SPDX-License-Identifier: ISC */
#include "daemon/instance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "daemon/console.h"
#include "daemon/control.h"
#include "daemon/daemon.h"
#include "daemon/idle.h"
#include "daemon/summon.h"
#include "daemon/word.h"
#include "launcher/link/claims.h"

static void record(const struct service *service, enum history_kind kind, const char *detail)
{
	struct history_entry *entry = journal_add(&service->daemon->journal, kind);
	if (!entry)
		return;
	entry->service = service->def.id;
	entry->at = clock_real();
	entry->generation = service->instance->id.generation;
	entry->summon = service->summon ? service->summon->id : 0;
	snprintf(entry->word, sizeof(entry->word), "%s", service->backend->ops->name);
	snprintf(entry->detail, sizeof(entry->detail), "%s", detail);
}

static struct instance *new_instance(struct service *service, uint32_t generation)
{
	struct instance *instance = calloc(1, sizeof(*instance));
	if (!instance)
		return NULL;
	instance->id = (struct instance_id){service->def.id, generation};
	instance->tap_fd = instance->usage = -1;
	memcpy(instance->addresses, service->def.addresses, sizeof(instance->addresses));
	return instance;
}

enum link_tap_use instance_tap_use(const struct launcher_ops *backend)
{
	static const enum link_tap_use uses[] = {
		[LAUNCHER_TAP_BY_NAME] = LINK_TAP_BY_NAME,
		[LAUNCHER_TAP_PLAIN] = LINK_TAP_PLAIN,
		[LAUNCHER_TAP_HEADERS] = LINK_TAP_HEADERS,
		[LAUNCHER_TAP_MADE] = LINK_TAP_BY_NAME, /* where another backend needs spare ones */
	};
	return uses[backend->tap];
}

/* A device that the hypervisor makes needs no more than a name that no other has: those of taps have
 * no letter after the prefix. */
static int take_tap(struct service *service, struct instance *instance, struct error *err)
{
	struct daemon *daemon = service->daemon;
	struct link_tap tap;
	if (service->backend->ops->tap == LAUNCHER_TAP_MADE) {
		snprintf(instance->tap, sizeof(instance->tap), "%.8sx%u",
			daemon->config->network.tap_prefix, instance->id.generation % 1000000);
		return 0;
	}
	int rc = link_tap_take(daemon->link, instance_tap_use(service->backend->ops), &tap, err);
	if (rc < 0)
		return rc;
	memcpy(instance->tap, tap.name, sizeof(instance->tap));
	instance->tap_fd = tap.fd;
	return 0;
}

int instance_create(struct service *service, struct instance **out, struct error *err)
{
	struct daemon *daemon = service->daemon;
	struct instance *instance = new_instance(service, ++daemon->registry.last_generation);
	if (!instance)
		return error_set(err, -ENOMEM, "out of memory");
	int rc = daemon->link ? take_tap(service, instance, err) : 0;
	if (rc < 0) {
		free(instance);
		return rc;
	}
	instance->started_at = clock_real();
	*out = instance;
	record(service, HISTORY_INSTANCE_STARTED, instance->tap);
	if (service->console)
		console_new_guest(service->console);
	return 0;
}

int instance_adopt(struct service *service, const struct launcher_event *found,
	struct instance **out, struct error *err)
{
	struct daemon *daemon = service->daemon;
	struct instance *instance = new_instance(service, found->id.generation);
	if (!instance)
		return error_set(err, -ENOMEM, "out of memory");
	instance->found = true;
	instance->on_disk = found->found.on_disk;
	instance->started_at = found->found.started_at;
	snprintf(instance->tap, sizeof(instance->tap), "%s", found->found.tap);
	int rc = 0;
	if (daemon->link && instance->tap[0] && service->backend->ops->tap != LAUNCHER_TAP_MADE)
		rc = link_tap_adopt(daemon->link, instance->tap, err);
	if (rc < 0) {
		free(instance);
		return rc;
	}
	*out = instance;
	return 0;
}

void instance_destroy(struct service *service, struct instance *instance)
{
	if (!instance)
		return;
	instance_link_down(service);
	idle_unwatch(service);
	word_keep(service, false);
	record(service, HISTORY_INSTANCE_ENDED, service->last_error);
	if (service->daemon->link && instance->tap[0])
		link_tap_give(service->daemon->link, instance->tap);
	instance_forget(instance);
}

static void unwatch_link(struct instance *instance)
{
	for (size_t i = 0; i < ADDRESSES_MAX; i++) {
		readiness_cancel(instance->readiness[i]);
		instance->readiness[i] = NULL;
	}
}

void instance_forget(struct instance *instance)
{
	if (!instance)
		return;
	unwatch_link(instance);
	timer_cancel(&instance->delay);
	timer_cancel(&instance->limit);
	timer_cancel(&instance->grace);
	timer_cancel(&instance->settle);
	timer_cancel(&instance->rest);
	timer_cancel(&instance->tier);
	claims_end(instance->claims);
	if (instance->tap_fd >= 0)
		close(instance->tap_fd);
	/* Its usage, where it is still watched, ends with the process: closing it takes time. */
	free(instance);
}

/* It serves also where it hears too much. */
static void finish_tap(struct service *service)
{
	struct instance *instance = service->instance;
	struct error err = ERROR_INIT;
	if (instance->tap_fd < 0)
		return;
	if (link_tap_narrow(
		    instance->tap_fd, &service->mac, instance->addresses, ADDRESSES_MAX, &err) < 0)
		log_line(&service->daemon->log, LOG_WARNING,
			(struct log_about){.service = service->def.name}, "%s", err.message);
	close(instance->tap_fd);
	instance->tap_fd = -1;
}

static void on_settle(void *ctx)
{
	struct service *service = ctx;
	finish_tap(service);
	if (service->state != STATE_AWAKE)
		return;
	door_announce(service);
	idle_count(service);
}

void instance_settle_after(struct service *service, uint64_t wait)
{
	timer_start(&service->daemon->loop, &service->instance->settle, wait, on_settle, service);
}

/* --- its link --- */

int instance_link_up(struct service *service, struct error *err)
{
	struct instance *instance = service->instance;
	struct link *link = service->daemon->link;
	if (!link || !instance->tap[0])
		return 0;
	instance->linked = true;
	/* Without, the bridge learns it from the guest's first frame. So it does of a tap that a
	 * hypervisor opens in its own time, and of a device that it makes. */
	if (instance_tap_use(service->backend->ops) != LINK_TAP_BY_NAME)
		link_place(link, instance->tap, &service->mac, NULL);
	int rc = 0;
	for (size_t i = 0; rc >= 0 && i < ADDRESSES_MAX; i++)
		if (ip_address_is_set(&instance->addresses[i]))
			rc = link_prepare(link, &instance->addresses[i], &service->mac, err);
	return rc;
}

void instance_link_down(struct service *service)
{
	struct instance *instance = service->instance;
	struct link *link = service->daemon->link;
	if (!link || !instance->linked)
		return;
	door_close(service);
	instance->linked = false;
	struct error err = ERROR_INIT;
	for (size_t i = 0; i < ADDRESSES_MAX; i++) {
		if (!ip_address_is_set(&instance->addresses[i]) ||
			link_down(link, &instance->addresses[i], &err) >= 0)
			continue;
		log_line(&service->daemon->log, LOG_WARNING,
			(struct log_about){.service = service->def.name},
			"its neighbour entry stays: %s", err.message);
		heal_soon(service->daemon);
	}
}

/* --- readiness --- */

static void is_ready(struct service *service, uint64_t at)
{
	summon_stage(service->summon, STAGE_READY, at);
	service_post(service, EVENT_READY);
}

static void on_delay(void *ctx)
{
	is_ready(ctx, clock_monotonic());
}

/* It has been seen; once or again. */
static void on_ready(void *ctx, uint64_t at)
{
	struct service *service = ctx;
	uint64_t settle = service->policy->policy.ready_settle;
	if (settle == 0)
		is_ready(service, at);
	else if (!service->instance->delay)
		timer_start(&service->daemon->loop, &service->instance->delay, settle, on_delay,
			service);
}

static void on_waited(void *ctx)
{
	on_ready(ctx, clock_monotonic());
}

static void on_limit(void *ctx)
{
	struct service *service = ctx;
	char limit[DURATION_TEXT];
	/* It may have said so on its console, while nobody listened. */
	if (service->instance->found_booting) {
		on_ready(service, clock_monotonic());
		return;
	}
	service_set_error(service, "the guest was not ready within ready_timeout (%s)",
		duration_print(service->policy->policy.ready_timeout, limit));
	service_post(service, EVENT_READY_TIMEOUT);
}

static int watch_nothing(struct service *service, struct error *err)
{
	(void)service; /* instance_output() looks at every line, instance_said_ready() is called */
	(void)err;
	return 0;
}

static int watch_frame(struct service *service, struct error *err)
{
	struct instance *instance = service->instance;
	if (!instance->tap[0])
		return error_set(err, -ENOTSUP, "ready = frame needs a network (network.enabled)");
	return readiness_first_frame(&service->daemon->loop, instance->tap, &service->mac, on_ready,
		service, &instance->readiness[0], err);
}

/* At whichever of its addresses it serves first. */
static int watch_tcp(struct service *service, struct error *err)
{
	struct instance *instance = service->instance;
	/* The door is closed, and this probe goes by the bridge. */
	const char *device = service->daemon->link ? service->daemon->config->network.bridge : NULL;
	int rc = 0;
	bool any = false;
	for (size_t i = 0; rc >= 0 && i < ADDRESSES_MAX; i++) {
		if (!ip_address_is_set(&instance->addresses[i]))
			continue;
		any = true;
		rc = readiness_tcp(&service->daemon->loop, device, &instance->addresses[i],
			service->policy->policy.ready_port, on_ready, service,
			&instance->readiness[i], err);
	}
	return any ? rc : error_set(err, -EINVAL, "ready = tcp needs an address of the guest");
}

static int watch_delay(struct service *service, struct error *err)
{
	(void)err;
	return timer_start(&service->daemon->loop, &service->instance->delay,
		service->policy->policy.ready_delay, on_waited, service);
}

static int (*const watches[])(struct service *service, struct error *err) = {
	[POLICY_READY_GUEST] = watch_nothing,
	[POLICY_READY_CONSOLE] = watch_nothing,
	[POLICY_READY_FRAME] = watch_frame,
	[POLICY_READY_TCP] = watch_tcp,
	[POLICY_READY_DELAY] = watch_delay,
	[POLICY_READY_KEY] = watch_nothing, /* its backend does */
};

int instance_watch(struct service *service, struct error *err)
{
	const struct policy *policy = &service->policy->policy;
	timer_start(&service->daemon->loop, &service->instance->limit, policy->ready_timeout,
		on_limit, service);
	service->instance->ready = policy->ready;
	return watches[policy->ready](service, err);
}

void instance_unwatch(struct service *service)
{
	struct instance *instance = service->instance;
	unwatch_link(instance);
	timer_cancel(&instance->delay);
	timer_cancel(&instance->limit);
}

/* A guest tells in its ready line how long it took; the claim counts within what we saw. */
static void note_boot_time(struct summon *summon, const char *line, uint64_t ready)
{
	uint64_t took;
	if (!summon || !console_boot_time(line, &took) || took > ready - summon->began)
		return;
	if (ready - took >= summon->stages[STAGE_ASKED])
		summon_stage(summon, STAGE_FIRST_INSTRUCTION, ready - took);
}

void instance_said_ready(struct service *service, uint64_t boot_ns)
{
	struct instance *instance = service->instance;
	struct summon *summon = service->summon;
	uint64_t now = clock_monotonic();
	if (!instance->limit ||
		(instance->ready != POLICY_READY_GUEST && instance->ready != POLICY_READY_KEY))
		return;
	if (boot_ns > 0 && summon && boot_ns <= now - summon->began)
		summon_stage(summon, STAGE_FIRST_INSTRUCTION, now - boot_ns);
	on_ready(service, now);
}

static void on_line(void *ctx, const char *line)
{
	struct service *service = ctx;
	const struct policy *policy = &service->policy->policy;
	struct instance *instance = service->instance;
	idle_hear(service, line);
	bool watching =
		instance && instance->limit &&
		(instance->ready == POLICY_READY_CONSOLE || instance->ready == POLICY_READY_GUEST);
	if (!watching || !strstr(line, policy->ready_line))
		return;
	uint64_t now = clock_monotonic();
	note_boot_time(service->summon, line, now);
	on_ready(service, now);
}

void instance_output(struct service *service, const uint8_t *data, size_t length)
{
	if (!service->console)
		service->console = console_create();
	if (!service->console)
		return;
	summon_stage(service->summon, STAGE_CONSOLE, clock_monotonic());
	control_announce_output(service->daemon->control, service, data, length);
	console_write(service->console, data, length, on_line, service);
}
