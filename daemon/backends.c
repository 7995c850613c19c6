/* SPDX-License-Identifier: ISC */
#include "daemon/backends.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/units.h"
#include "daemon/control.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "daemon/summon.h"

static void on_event(void *ctx, const struct launcher_event *event);

static int make_dir(const char *where, const char *name, char *path, size_t size, struct error *err)
{
	if ((size_t)snprintf(path, size, "%s/%s", where, name) >= size)
		return error_set(err, -ENAMETOOLONG, "%s is too long a path", where);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_set(err, -errno, "cannot make %s: %s", path, strerror(errno));
	return 0;
}

static int backend_create(struct daemon *daemon, const char *name,
	const struct config_backend *settings, struct error *err)
{
	const struct launcher_ops *ops = launcher_backend_find(name);
	if (!ops)
		return error_set(err, -ENOENT,
			"there is no backend '%s' in this program: see summond --version", name);
	char state_dir[4096], run_dir[4096];
	int rc = make_dir(daemon->config->state_dir, name, state_dir, sizeof(state_dir), err);
	if (rc >= 0)
		rc = make_dir(daemon->config->run_dir, name, run_dir, sizeof(run_dir), err);
	if (rc < 0)
		return rc;
	struct backend *backend = calloc(1, sizeof(*backend));
	if (!backend)
		return error_set(err, -ENOMEM, "out of memory");
	backend->daemon = daemon;
	backend->ops = ops;
	const struct launcher_config config = {
		.loop = &daemon->loop,
		.identity = daemon->identity,
		.state_dir = state_dir,
		.run_dir = run_dir,
		.settings = settings ? settings->settings : NULL,
		.setting_count = settings ? settings->setting_count : 0,
		.on_event = on_event,
		.ctx = backend,
	};
	rc = ops->create(&config, &backend->launcher, err);
	if (rc < 0) {
		free(backend);
		return error_prefix(err, rc, "backend %s", name);
	}
	backend->next = daemon->backends.first;
	daemon->backends.first = backend;
	return 0;
}

int backends_init(struct backends *backends, struct daemon *daemon,
	void (*listed)(struct daemon *daemon), struct error *err)
{
	const struct config *config = daemon->config;
	backends->listed = listed;
	int rc = 0;
	for (size_t i = 0; rc >= 0 && i < config->backend_count; i++)
		rc = backend_create(daemon, config->backends[i].name, &config->backends[i], err);
	const char *usual = backends_default(backends, config);
	if (rc >= 0 && !backend_by_name(backends, usual))
		rc = backend_create(daemon, usual, NULL, err);
	for (struct backend *b = backends->first; rc >= 0 && b; b = b->next)
		rc = b->ops->list(b->launcher, err);
	return rc;
}

void backends_need(struct backends *backends, struct daemon *daemon, const char *name)
{
	struct error err = ERROR_INIT;
	if (!backends->chosen[0] || backend_by_name(backends, name) || !launcher_backend_find(name))
		return;
	int rc = backend_create(daemon, name, NULL, &err);
	if (rc >= 0)
		rc = backends->first->ops->list(backends->first->launcher, &err);
	if (rc < 0)
		log_line(&daemon->log, LOG_ERROR, LOG_ABOUT_NOTHING, "%s", err.message);
}

void backends_finish(struct backends *backends)
{
	for (struct backend *backend = backends->first; backend; backend = backend->next)
		backend->ops->destroy(backend->launcher, NULL, NULL);
}

void backends_free(struct backends *backends)
{
	struct backend *next;
	for (struct backend *backend = backends->first; backend; backend = next) {
		next = backend->next;
		free(backend);
	}
	backends->first = NULL;
}

struct backend *backend_by_name(const struct backends *backends, const char *name)
{
	struct backend *backend = backends->first;
	while (backend && strcmp(backend->ops->name, name) != 0)
		backend = backend->next;
	return backend;
}

static const struct {
	enum policy_need need;
	enum launcher_capability can;
} needs[] = {
	{POLICY_NEEDS_PREPARE, LAUNCHER_CAN_PREPARE},
	{POLICY_NEEDS_SUSPEND, LAUNCHER_CAN_SUSPEND},
	{POLICY_NEEDS_SHUTDOWN, LAUNCHER_CAN_SHUTDOWN},
	{POLICY_NEEDS_CONSOLE, LAUNCHER_CAN_CONSOLE},
	{POLICY_NEEDS_SNAPSHOT, LAUNCHER_CAN_SNAPSHOT},
	{POLICY_NEEDS_KEY, LAUNCHER_CAN_KEY},
};

unsigned backend_asked(const struct policy *policy)
{
	unsigned wanted = policy_needs(policy), asked = 0;
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		asked |= wanted & needs[i].need ? needs[i].can : 0;
	return asked;
}

int backend_check_policy(
	const struct backend *backend, const struct policy *policy, struct error *err)
{
	unsigned wanted = policy_needs(policy);
	unsigned able = backend->ops->capabilities(backend->launcher);
	char text[80];
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if ((wanted & needs[i].need) && !(able & needs[i].can))
			return error_set(err, -ENOTSUP,
				"policy %s has '%s', which backend %s cannot do (it can: %s)",
				policy->name, policy_need_reason(needs[i].need), backend->ops->name,
				launcher_capabilities_print(able, text));
	return 0;
}

/* --- events --- */

static struct service *owner(struct backend *backend, const struct launcher_event *event)
{
	struct service *service = service_by_id(&backend->daemon->registry, event->id.slot);
	if (!service || service->backend != backend || !service->instance ||
		!instance_id_equal(service->instance->id, event->id))
		return NULL; /* late: of an earlier life */
	return service;
}

static void on_started(struct service *service, const struct launcher_event *event)
{
	(void)event;
	summon_stage(service->summon, STAGE_CREATED, clock_monotonic());
	admission_note(service, false);
	service_post(service, EVENT_STARTED);
}

static void on_start_failed(struct service *service, const struct launcher_event *event)
{
	if (event->error.code != -ECANCELED) {
		service_set_error(service, "%s", event->error.message);
		admission_note(service, true);
	}
	service_post(service, EVENT_START_FAILED);
}

static void on_resumed(struct service *service, const struct launcher_event *event)
{
	(void)event;
	uint64_t now = clock_monotonic();
	summon_stage(service->summon, STAGE_CREATED, now);
	if (service->state == STATE_RESUMING)
		summon_stage(service->summon, STAGE_READY, now);
	service_post(service, EVENT_RESUMED);
}

static void on_suspended(struct service *service, const struct launcher_event *event)
{
	(void)event;
	service_post(service, EVENT_SUSPENDED);
}

static void on_operation_failed(struct service *service, const struct launcher_event *event)
{
	service_set_error(service, "%s", event->error.message);
	log_line(&service->daemon->log, LOG_WARNING,
		(struct log_about){
			.service = service->def.name, .generation = event->id.generation},
		"%s", event->error.message);
	service_post(service, EVENT_OPERATION_FAILED);
}

static void on_exited(struct service *service, const struct launcher_event *event)
{
	static const char *const ends[] = {
		[LAUNCHER_EXIT_SHUTDOWN] = "the guest powered off",
		[LAUNCHER_EXIT_DESTROYED] = "the guest was ended",
		[LAUNCHER_EXIT_CRASHED] = "the guest died",
	};
	if (service->state != STATE_STOPPING && service->state != STATE_RESTARTING) {
		service_set_error(service, "%s%s%s", ends[event->exit],
			event->error.code ? ": " : "",
			event->error.code ? event->error.message : "");
		log_line(&service->daemon->log, LOG_WARNING,
			(struct log_about){
				.service = service->def.name, .generation = event->id.generation},
			"%s", service->last_error);
	}
	service_post(service, EVENT_EXITED);
}

static void on_output(struct service *service, const struct launcher_event *event)
{
	instance_output(service, event->data, event->length);
}

static void on_ready(struct service *service, const struct launcher_event *event)
{
	instance_said_ready(service, event->boot_ns);
}

static void on_measured(struct service *service, const struct launcher_event *event)
{
	control_measured(service->daemon->control, service, &event->figures);
}

static void (*const handlers[])(struct service *, const struct launcher_event *) = {
	[LAUNCHER_STARTED] = on_started,
	[LAUNCHER_START_FAILED] = on_start_failed,
	[LAUNCHER_RESUMED] = on_resumed,
	[LAUNCHER_SUSPENDED] = on_suspended,
	[LAUNCHER_OPERATION_FAILED] = on_operation_failed,
	[LAUNCHER_EXITED] = on_exited,
	[LAUNCHER_OUTPUT] = on_output,
	[LAUNCHER_READY] = on_ready,
	[LAUNCHER_MEASURED] = on_measured,
};

/* --- what an earlier life of the daemon left running --- */

/* One that says by itself when it is ready, and had no time for it. */
static bool boots_still(const struct service *service, const struct launcher_found *found)
{
	const struct policy *policy = &service->policy->policy;
	uint64_t now = clock_real();
	return found->unready && policy->ready == POLICY_READY_GUEST && found->started_at > 0 &&
	       now >= found->started_at && now - found->started_at < policy->ready_timeout;
}

static enum lifecycle_event found_event(
	const struct service *service, const struct launcher_found *found)
{
	if (!found->paused)
		return boots_still(service, found) ? EVENT_FOUND_BOOTING : EVENT_FOUND_AWAKE;
	return found->booted ? EVENT_FOUND_SUSPENDED : EVENT_FOUND_PREPARED;
}

static void on_found(struct backend *backend, const struct launcher_event *event)
{
	struct daemon *daemon = backend->daemon;
	struct service *service = service_by_id(&daemon->registry, event->id.slot);
	struct log_about about = {
		.service = event->found.service, .generation = event->id.generation};
	struct error err = ERROR_INIT;
	if (event->id.generation > daemon->registry.last_generation)
		daemon->registry.last_generation = event->id.generation;
	bool wanted = service && !service->instance && service->backend == backend;
	if (wanted && instance_adopt(service, event, &service->instance, &err) < 0) {
		log_line(&daemon->log, LOG_WARNING, about, "cannot be adopted: %s", err.message);
		wanted = false;
	}
	if (!wanted) {
		log_line(&daemon->log, LOG_WARNING, about,
			"a guest of an earlier life belongs to no service any more: it is ended");
		if (backend->ops->stop(backend->launcher, event->id, LAUNCHER_STOP_DESTROY, &err) <
			0)
			log_line(&daemon->log, LOG_ERROR, about, "%s", err.message);
		return;
	}
	log_line(&daemon->log, LOG_INFO, about, "adopted a guest of an earlier life");
	service->rest_where = event->found.on_disk ? LAUNCHER_REST_DISK : LAUNCHER_REST_MEMORY;
	service->load.rested_at = event->found.booted ? clock_monotonic() : 0;
	enum lifecycle_event found = found_event(service, &event->found);
	service->instance->found_booting = found == EVENT_FOUND_BOOTING;
	service_post(service, found);
	seats_settle(service);
}

static void on_listed(struct backend *backend, const struct launcher_event *event)
{
	struct daemon *daemon = backend->daemon;
	backend->listed = true;
	if (event->error.code < 0) {
		snprintf(backend->failure, sizeof(backend->failure), "%.*s",
			(int)sizeof(backend->failure) - 1, event->error.message);
		log_line(&daemon->log, LOG_ERROR, LOG_ABOUT_NOTHING, "backend %s: %s",
			backend->ops->name, backend->failure);
	}
	for (struct backend *other = daemon->backends.first; other; other = other->next)
		if (!other->listed)
			return;
	if (daemon->backends.listed) {
		void (*listed)(struct daemon *) = daemon->backends.listed;
		daemon->backends.listed = NULL;
		listed(daemon);
	}
}

static void on_lost(struct backend *backend, const struct launcher_event *event)
{
	backend->lost = true;
	snprintf(backend->failure, sizeof(backend->failure), "%.*s",
		(int)sizeof(backend->failure) - 1, event->error.message);
	log_line(&backend->daemon->log, LOG_ERROR, LOG_ABOUT_NOTHING, "backend %s is lost: %s",
		backend->ops->name, backend->failure);
}

static void on_regained(struct backend *backend, const struct launcher_event *event)
{
	(void)event;
	backend->lost = false;
	backend->failure[0] = '\0';
	log_line(&backend->daemon->log, LOG_INFO, LOG_ABOUT_NOTHING, "backend %s is back",
		backend->ops->name);
	struct registry *registry = &backend->daemon->registry;
	for (uint32_t id = 0; id < registry->id_limit; id++)
		if (registry->by_id[id] && registry->by_id[id]->backend == backend)
			service_consider(registry->by_id[id]);
}

static void (*const backend_handlers[])(struct backend *, const struct launcher_event *) = {
	[LAUNCHER_FOUND] = on_found,
	[LAUNCHER_LISTED] = on_listed,
	[LAUNCHER_LOST] = on_lost,
	[LAUNCHER_REGAINED] = on_regained,
};

static void on_event(void *ctx, const struct launcher_event *event)
{
	struct backend *backend = ctx;
	if (event->type >= LAUNCHER_FOUND) {
		backend_handlers[event->type](backend, event);
		return;
	}
	struct service *service = owner(backend, event);
	if (service)
		handlers[event->type](service, event);
}
