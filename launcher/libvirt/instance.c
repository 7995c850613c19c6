/* SPDX-License-Identifier: ISC */
#include "launcher/libvirt/instance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/libvirt/saved.h"
#include "launcher/libvirt/traces.h"

/* A bound, not a limit to plan with. */
#define QUEUE_MAX 64

struct instance *instance_find(const struct virt *virt, struct instance_id id)
{
	for (struct instance *instance = virt->instances; instance; instance = instance->next)
		if (instance_id_equal(instance->id, id))
			return instance;
	return NULL;
}

struct instance *instance_add(struct virt *virt, struct instance_id id)
{
	struct instance *instance = calloc(1, sizeof(*instance));
	if (!instance)
		return NULL;
	instance->virt = virt;
	instance->id = id;
	instance->next = virt->instances;
	snprintf(instance->name, sizeof(instance->name), "%s%u-%u", virt->prefix, id.slot,
		id.generation);
	virt->instances = instance;
	return instance;
}

static void operation_pop(struct instance *instance)
{
	struct operation *operation = instance->queue;
	instance->queue = operation->next;
	instance->queued--;
	free(operation->xml);
	free(operation);
}

static void virt_console_closed(void *ctx)
{
	struct virt *virt = ctx;
	virt->open_consoles--;
	virt_closed_one(virt);
}

void instance_remove(struct instance *instance)
{
	struct instance **link = &instance->virt->instances;
	while (*link != instance)
		link = &(*link)->next;
	*link = instance->next;
	while (instance->queue)
		operation_pop(instance);
	virt_console_destroy(instance->console, virt_console_closed, instance->virt);
	free(instance);
}

/* ---- console ---- */

char *instance_console_path(const struct virt *virt, struct instance_id id)
{
	char *path;
	if (asprintf(&path, "%s/console/%.8s-%u-%u", virt->state_dir, virt->identity, id.slot,
		    id.generation) < 0)
		return NULL;
	return path;
}

static void on_output(void *ctx, const uint8_t *data, size_t length)
{
	struct instance *instance = ctx;
	virt_emit(instance->virt, instance->id,
		(struct launcher_event){.type = LAUNCHER_OUTPUT, .data = data, .length = length});
}

int instance_console_open(struct instance *instance, struct error *err)
{
	struct virt *virt = instance->virt;
	if (!(virt->capabilities & LAUNCHER_CAN_CONSOLE))
		return 0;
	CLEANUP(free)
	char *path = instance->stream ? NULL : instance_console_path(virt, instance->id);
	if (!path && !instance->stream)
		return error_set(err, -ENOMEM, "out of memory");
	struct virt_console_config config = {
		.loop = virt->loop, .path = path, .on_data = on_output, .ctx = instance};
	int r = virt_console_create(&config, &instance->console, err);
	if (r == 0)
		virt->open_consoles++;
	return r;
}

static void virt_console_ready(void *ctx)
{
	struct instance *instance = ctx;
	instance->deaf = false;
	instance_advance(instance);
}

void instance_console_reopen(struct instance *instance)
{
	if (instance_console_open(instance, NULL) < 0 || !instance->console || instance->saved)
		return; /* without it the guest serves all the same */
	if (instance->stream) {
		instance_ask(instance, JOB_CONSOLE, NULL, NULL);
		return;
	}
	instance->deaf = true;
	virt_console_await(instance->console, virt_console_ready);
}

/* ---- the end ---- */

static void exit_now(void *ctx)
{
	struct instance *instance = ctx;
	struct virt *virt = instance->virt;
	struct instance_id id = instance->id;
	struct launcher_event event = {
		.type = LAUNCHER_EXITED, .exit = instance->exit, .error = instance->error};
	traces_remove(instance);
	instance_remove(instance);
	virt_emit(virt, id, event);
}

static void instance_go(struct instance *instance)
{
	instance->going = true;
	if (instance->console)
		virt_console_drain(instance->console, exit_now);
	else
		exit_now(instance);
}

/* The first that is known of its end counts. A guest that ended before its STARTED waits for it. */
static void instance_ends(struct instance *instance, enum launcher_exit exit, const char *why)
{
	if (instance->ended)
		return;
	instance->ended = true;
	instance->exit = exit;
	if (exit == LAUNCHER_EXIT_CRASHED)
		error_set(&instance->error, -EIO, "libvirt: %s", why);
	if (instance->started)
		instance_go(instance);
}

static void stopped(struct instance *instance, int detail)
{
	switch (detail) {
	case VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN:
		if (instance->reset)
			instance_ends(instance, LAUNCHER_EXIT_CRASHED,
				"the guest reset its processor (a triple fault, or a reboot)");
		else
			instance_ends(instance, LAUNCHER_EXIT_SHUTDOWN, NULL);
		return;
	case VIR_DOMAIN_EVENT_STOPPED_DESTROYED:
		if (instance->stop_asked)
			instance_ends(instance, LAUNCHER_EXIT_DESTROYED, NULL);
		else
			instance_ends(instance, LAUNCHER_EXIT_CRASHED,
				"the domain was destroyed by somebody else");
		return;
	case VIR_DOMAIN_EVENT_STOPPED_CRASHED:
		instance_ends(instance, LAUNCHER_EXIT_CRASHED, "the guest crashed");
		return;
	case VIR_DOMAIN_EVENT_STOPPED_SAVED:
		instance_ends(instance, LAUNCHER_EXIT_CRASHED,
			"the domain was saved to a file by somebody else");
		return;
	default:
		instance_ends(instance, LAUNCHER_EXIT_CRASHED, "the hypervisor's process died");
	}
}

bool instance_is_saved(const struct instance *instance)
{
	return instance->saved || (instance->queue && instance->queue->type == JOB_SAVE);
}

void instance_lifecycle(struct instance *instance, int event, int detail)
{
	bool saved = detail == VIR_DOMAIN_EVENT_STOPPED_SAVED && instance_is_saved(instance);
	if (event == VIR_DOMAIN_EVENT_STOPPED && !saved)
		stopped(instance, detail);
}

/* Its end comes before REGAINED: there is nobody left whose last words to wait for. */
void instance_is_absent(struct instance *instance)
{
	if (!instance->started || instance->going)
		return;
	if (!instance->ended)
		instance->exit =
			instance->stop_asked ? LAUNCHER_EXIT_DESTROYED : LAUNCHER_EXIT_CRASHED;
	if (!instance->ended && !instance->stop_asked)
		error_set(&instance->error, -EIO,
			"libvirt: the guest ended while the connection was lost");
	instance->going = instance->ended = true;
	exit_now(instance);
}

/* ---- operations ---- */

static void start_fails(struct instance *instance, const struct error *error)
{
	struct virt *virt = instance->virt;
	struct instance_id id = instance->id;
	struct launcher_event event = {.type = LAUNCHER_START_FAILED, .error = *error};
	traces_remove(instance);
	instance_remove(instance);
	virt_emit(virt, id, event);
}

int instance_ask(struct instance *instance, enum job_type type, char *xml, struct error *err)
{
	struct operation *operation = NULL, **link = &instance->queue;
	if (instance->queued < QUEUE_MAX)
		operation = calloc(1, sizeof(*operation));
	if (!operation) {
		free(xml);
		return error_set(err, -EBUSY, "libvirt: too many operations on one guest wait");
	}
	operation->type = type;
	operation->xml = xml;
	while (*link)
		link = &(*link)->next;
	*link = operation;
	instance->queued++;
	instance_advance(instance);
	return 0;
}

void instance_advance(struct instance *instance)
{
	struct operation *operation = instance->queue;
	struct virt *virt = instance->virt;
	if (!operation || instance->busy || instance->going || !virt->flowing)
		return;
	if (operation->type == JOB_RESUME && instance->deaf)
		return;
	struct job *job = calloc(1, sizeof(*job));
	if (job && virt->saved_folder)
		job->saved_path = saved_path(virt->saved_folder, virt->identity, instance->id);
	if (!job || (virt->saved_folder && !job->saved_path)) {
		free(job);
		return; /* the next news tries again */
	}
	job->type = operation->type;
	job->id = instance->id;
	job->saved = instance->saved;
	memcpy(job->name, instance->name, sizeof(job->name));
	job->again = operation->again;
	job->paused = instance->how == LAUNCHER_START_PAUSED;
	job->stream = instance->stream;
	job->unheard = instance->console && !instance->stream && !instance->heard;
	if (operation->xml)
		job->xml = strdup(operation->xml);
	/* A guest that stands still cannot hear a polite word. */
	if (job->type == JOB_SHUTDOWN && instance->paused) {
		job->type = operation->type = JOB_DESTROY;
		instance->stop_asked = true;
	}
	instance->busy = true;
	connection_submit(virt->connection, job);
}

static void start_done(struct instance *instance, const struct job *job)
{
	if (job->error.code) {
		start_fails(instance, &job->error);
		return;
	}
	instance->started = instance->heard = true;
	instance->paused = job->paused;
	instance->booted = !job->paused;
	virt_emit(instance->virt, instance->id, (struct launcher_event){.type = LAUNCHER_STARTED});
}

/* The event of a resume, suspend or stop that did not succeed. */
static void operation_fails(struct instance *instance, const struct job *job)
{
	virt_emit(instance->virt, instance->id,
		(struct launcher_event){.type = LAUNCHER_OPERATION_FAILED, .error = job->error});
}

static void resume_done(struct instance *instance, const struct job *job)
{
	if (job->error.code) {
		operation_fails(instance, job);
		return;
	}
	instance->paused = instance->saved = false;
	instance->heard = true;
	if (!instance->booted) { /* behind its back: nobody waits for this */
		struct job *mark = calloc(1, sizeof(*mark));
		if (mark) {
			mark->type = JOB_MARK;
			mark->id = instance->id;
			memcpy(mark->name, instance->name, sizeof(mark->name));
			connection_submit(instance->virt->connection, mark);
		}
	}
	instance->booted = true;
	virt_emit(instance->virt, instance->id, (struct launcher_event){.type = LAUNCHER_RESUMED});
}

static void suspend_done(struct instance *instance, const struct job *job)
{
	if (job->error.code) {
		operation_fails(instance, job);
		return;
	}
	instance->paused = true;
	virt_emit(
		instance->virt, instance->id, (struct launcher_event){.type = LAUNCHER_SUSPENDED});
}

static void save_done(struct instance *instance, const struct job *job)
{
	if (!job->error.code) {
		instance->saved = true;
		instance->heard = false; /* it will be another process */
	}
	suspend_done(instance, job);
}

/* A guest that cannot be asked is ended all the same. */
static void shutdown_done(struct instance *instance, const struct job *job)
{
	if (!job->error.code)
		return;
	instance->stop_asked = true;
	instance_ask(instance, JOB_DESTROY, NULL, NULL);
}

static void destroy_done(struct instance *instance, const struct job *job)
{
	if (job->error.code && !job->gone)
		operation_fails(instance, job);
	else
		instance_ends(instance, LAUNCHER_EXIT_DESTROYED, NULL);
}

static void console_done(struct instance *instance, const struct job *job)
{
	(void)instance, (void)job; /* without it the guest serves all the same */
}

/* An operation on a guest that has gone by itself: its end says it all, and its STOPPED is on the
 * way where it has not come yet. */
static bool ends_instead(const struct instance *instance, const struct job *job)
{
	return job->error.code && job->type != JOB_START && job->type != JOB_DESTROY &&
	       (instance->ended || job->gone);
}

void instance_job_done(struct instance *instance, struct job *job)
{
	static void (*const done[])(struct instance * instance, const struct job *job) = {
		[JOB_START] = start_done,
		[JOB_RESUME] = resume_done,
		[JOB_SUSPEND] = suspend_done,
		[JOB_SHUTDOWN] = shutdown_done,
		[JOB_DESTROY] = destroy_done,
		[JOB_CONSOLE] = console_done,
		[JOB_SAVE] = save_done,
	};
	struct virt *virt = instance->virt;
	struct instance_id id = instance->id;
	instance->busy = false;
	if (job->lost) {
		instance->queue->again = true;
		return;
	}
	if (!instance->going) {
		operation_pop(instance);
		if (!ends_instead(instance, job))
			done[job->type](instance, job);
	}
	/* The event's receiver may have done anything, to the launcher too. */
	if (virt->closing || !(instance = instance_find(virt, id)) || instance->going)
		return;
	if (instance->ended)
		instance_go(instance);
	else
		instance_advance(instance);
}
