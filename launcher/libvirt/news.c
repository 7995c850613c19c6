/* SPDX-License-Identifier: ISC */
/* What the connection says, and what becomes of it on the loop thread. */
#include "launcher/libvirt/instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/libvirt/traces.h"

void virt_emit(struct virt *virt, struct instance_id id, struct launcher_event event)
{
	if (virt->closing)
		return;
	event.id = id;
	virt->on_event(virt->ctx, &event);
}

static void virt_tell(struct virt *virt, enum launcher_event_type type, const struct error *error)
{
	struct launcher_event event = {.type = type};
	if (error)
		event.error = *error;
	virt_emit(virt, event.id, event);
}

/* ---- the list ---- */

void virt_list_domains(struct virt *virt)
{
	struct job *job = calloc(1, sizeof(*job));
	if (!job)
		return;
	job->type = JOB_LIST;
	connection_submit(virt->connection, job);
}

/* Another identity may begin with the same letters as ours: its domains have our prefix. */
static bool is_ours(const struct virt *virt, const struct listed_domain *domain)
{
	return strcmp(domain->facts.identity, virt->identity) == 0;
}

static void domain_is_there(struct virt *virt, const struct listed_domain *domain)
{
	const struct domain_facts *facts = &domain->facts;
	struct instance *instance = instance_find(virt, facts->id);
	/* For us it was awake: what a client that is gone had saved of it ends with it. */
	if (instance && domain->saved && !instance_is_saved(instance))
		return;
	if (instance) {
		instance->present = true;
		instance->paused = domain->paused;
		instance->saved = domain->saved;
		if (virt->lost && instance->stream && instance->started && !domain->saved)
			instance_ask(instance, JOB_CONSOLE, NULL, NULL);
		return;
	}
	instance = instance_add(virt, facts->id);
	if (!instance)
		return;
	instance->started = instance->present = true;
	instance->paused = domain->paused;
	instance->saved = domain->saved;
	instance->booted = facts->booted || domain->saved;
	instance->stream = facts->stream;
	instance_console_reopen(instance);
	virt_emit(virt, facts->id,
		(struct launcher_event){.type = LAUNCHER_FOUND,
			.found = {.service = facts->service,
				.tap = facts->tap,
				.paused = domain->paused,
				.booted = instance->booted || !domain->paused,
				.on_disk = domain->saved,
				.started_at = facts->started_at}});
}

static void list_end_absent(struct virt *virt)
{
	struct instance *next;
	for (struct instance *instance = virt->instances; instance && !virt->closing;
		instance = next) {
		next = instance->next;
		if (!instance->present)
			instance_is_absent(instance);
	}
}

static void list_told(struct virt *virt)
{
	bool first = virt->list_asked && !virt->listed;
	if (first) {
		virt->listed = true;
		traces_sweep(virt);
		virt_tell(virt, LAUNCHER_LISTED, NULL);
	}
	if (virt->lost) {
		virt->lost = false;
		virt_tell(virt, LAUNCHER_REGAINED, NULL);
	}
}

static void list_done(struct virt *virt, const struct job *job)
{
	struct instance *next;
	if (job->lost) /* the next connection lists again */
		return;
	if (job->error.code) {
		if (virt->list_asked && !virt->listed) {
			virt->listed = true;
			virt_tell(virt, LAUNCHER_LISTED, &job->error);
		}
		return;
	}
	for (struct instance *instance = virt->instances; instance; instance = instance->next)
		instance->present = false;
	for (size_t i = 0; i < job->count && !virt->closing; i++)
		if (is_ours(virt, &job->list[i]))
			domain_is_there(virt, &job->list[i]);
	list_end_absent(virt);
	virt->flowing = true;
	list_told(virt);
	for (struct instance *instance = virt->instances; instance && !virt->closing;
		instance = next) {
		next = instance->next;
		instance_advance(instance);
	}
}

/* ---- what the connection says ---- */

static struct instance *instance_named(const struct virt *virt, const char *name)
{
	for (struct instance *instance = virt->instances; instance; instance = instance->next)
		if (strcmp(instance->name, name) == 0)
			return instance;
	return NULL;
}

static void on_host_known(struct virt *virt, struct message *message)
{
	virt->domain_type = message->domain_type;
	snprintf(virt->type_reason, sizeof(virt->type_reason), "%s", message->text);
}

static void on_connected(struct virt *virt, struct message *message)
{
	snprintf(virt->versions, sizeof(virt->versions), "%s", message->text);
	virt->connected = true;
	if (virt->list_asked)
		virt_list_domains(virt);
}

static void on_lost(struct virt *virt, struct message *message)
{
	bool told = virt->lost;
	virt->connected = virt->flowing = false;
	virt->lost = true;
	if (!told)
		virt_tell(virt, LAUNCHER_LOST, &message->error);
}

static void on_connect_failed(struct virt *virt, struct message *message)
{
	if (virt->list_asked && !virt->listed) {
		virt->listed = true;
		virt_tell(virt, LAUNCHER_LISTED, &message->error);
	}
	on_lost(virt, message);
}

static void on_lifecycle(struct virt *virt, struct message *message)
{
	struct instance *instance = instance_named(virt, message->name);
	if (instance)
		instance_lifecycle(instance, message->event, message->detail);
}

static void on_reset(struct virt *virt, struct message *message)
{
	struct instance *instance = instance_named(virt, message->name);
	if (instance)
		instance->reset = true;
}

static void on_output(struct virt *virt, struct message *message)
{
	struct instance *instance = instance_named(virt, stream_domain(message->stream));
	struct instance_id id = instance ? instance->id : (struct instance_id){0};
	size_t length;
	bool ended;
	CLEANUP(free) char *data = stream_take(message->stream, &length, &ended);
	message->stream = NULL;
	if (!instance || !instance->console)
		return;
	if (length)
		virt_console_feed(instance->console, data, length);
	/* The event's receiver may have done anything. */
	if (ended && !virt->closing && (instance = instance_find(virt, id)) && instance->console)
		virt_console_feed_end(instance->console);
}

static void on_job(struct virt *virt, struct message *message)
{
	struct job *job = message->job;
	struct instance *instance = instance_find(virt, job->id);
	if (job->type == JOB_LIST)
		list_done(virt, job);
	else if (instance && job->type != JOB_MARK)
		instance_job_done(instance, job);
}

void virt_handle_closed(uv_handle_t *handle)
{
	struct virt *virt = handle->data;
	virt->open_handles--;
	virt_closed_one(virt);
}

static void on_stopped(struct virt *virt, struct message *message)
{
	(void)message;
	virt->stopped = true;
}

void virt_on_mail(uv_async_t *async)
{
	static void (*const handle[])(struct virt * virt, struct message * message) = {
		[MESSAGE_HOST_KNOWN] = on_host_known,
		[MESSAGE_CONNECTED] = on_connected,
		[MESSAGE_CONNECT_FAILED] = on_connect_failed,
		[MESSAGE_LOST] = on_lost,
		[MESSAGE_LIFECYCLE] = on_lifecycle,
		[MESSAGE_RESET] = on_reset,
		[MESSAGE_OUTPUT] = on_output,
		[MESSAGE_JOB] = on_job,
		[MESSAGE_STOPPED] = on_stopped,
	};
	struct virt *virt = async->data;
	struct message *messages = connection_take(virt->connection), *next;
	for (struct message *message = messages; message; message = next) {
		next = message->next;
		if (!virt->closing || message->type == MESSAGE_STOPPED)
			handle[message->type](virt, message);
		message_destroy(message);
	}
	if (virt->stopped)
		virt_handles_close(virt);
}
