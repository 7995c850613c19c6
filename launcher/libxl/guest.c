/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "launcher/libxl/libxl.h"

/* A bound, not a limit to plan with. */
#define QUEUE_MAX 64

struct xl_guest *xl_guest_find(const struct xl *xl, struct instance_id id)
{
	struct xl_guest *guest = xl->guests;
	while (guest && !instance_id_equal(guest->id, id))
		guest = guest->next;
	return guest;
}

struct xl_guest *xl_guest_add(struct xl *xl, struct instance_id id)
{
	struct xl_guest *guest = calloc(1, sizeof(*guest));
	if (!guest)
		return NULL;
	guest->id = id;
	guest->next = xl->guests;
	xl->guests = guest;
	return guest;
}

static void pop(struct xl_guest *guest)
{
	struct xl_operation *first = guest->queue;
	guest->queue = first->next;
	guest->queued--;
	guest->busy = false;
	free(first);
}

void xl_guest_remove(struct xl *xl, struct xl_guest *guest)
{
	struct xl_guest **place = &xl->guests;
	while (*place != guest)
		place = &(*place)->next;
	*place = guest->next;
	while (guest->queue)
		pop(guest);
	free(guest->start);
	free(guest);
}

int xl_guest_ask(struct xl *xl, struct xl_guest *guest, enum xl_type type, struct error *err)
{
	struct xl_operation **end = &guest->queue;
	struct xl_operation *operation =
		guest->queued < QUEUE_MAX ? calloc(1, sizeof(*operation)) : NULL;
	if (!operation)
		return error_set(err, -EBUSY, "libxl: too many operations on one guest wait");
	operation->type = type;
	while (*end)
		end = &(*end)->next;
	*end = operation;
	guest->queued++;
	xl_guest_advance(xl, guest);
	return 0;
}

/* What the helper is to do for the operation. */
static enum xl_type request_for(struct xl_guest *guest, enum xl_type type)
{
	if (type == XL_START && guest->exists)
		return XL_RESUME;
	/* A guest that stands still cannot hear a polite word. */
	if (type == XL_SHUTDOWN && guest->paused) {
		guest->queue->type = XL_DESTROY;
		guest->stop_asked = true;
		return XL_DESTROY;
	}
	return type;
}

void xl_guest_advance(struct xl *xl, struct xl_guest *guest)
{
	if (!guest->queue || guest->busy || !xl->flowing || !xl->helper)
		return;
	struct xl_message message = {.type = request_for(guest, guest->queue->type),
		.slot = guest->id.slot,
		.generation = guest->id.generation};
	size_t size = 0;
	if (message.type == XL_START) {
		message.flags = guest->wants_run ? 0 : XL_PAUSED;
		size = guest->start_size;
		memcpy(message.text, guest->start, size);
	}
	guest->busy = xl_helper_send(xl, &message, size) == 0;
}

void xl_guests_advance(struct xl *xl)
{
	for (struct xl_guest *guest = xl->guests; guest; guest = guest->next)
		xl_guest_advance(xl, guest);
}

/* ---- what has become of it ---- */

static void tell(struct xl *xl, const struct xl_guest *guest, enum launcher_event_type type)
{
	xl_emit(xl, guest->id, (struct launcher_event){.type = type});
}

static void start_done(struct xl *xl, struct xl_guest *guest)
{
	guest->started = true;
	guest->paused = !guest->wants_run;
	free(guest->start);
	guest->start = NULL;
	tell(xl, guest, LAUNCHER_STARTED);
}

static void resume_done(struct xl *xl, struct xl_guest *guest)
{
	guest->paused = false;
	tell(xl, guest, LAUNCHER_RESUMED);
}

static void pause_done(struct xl *xl, struct xl_guest *guest)
{
	guest->paused = true;
	tell(xl, guest, LAUNCHER_SUSPENDED);
}

/* The receiver of an event may have done anything, to the launcher too. */
static void advance_if_there(struct xl *xl, struct instance_id id)
{
	struct xl_guest *guest = xl->closing ? NULL : xl_guest_find(xl, id);
	if (guest)
		xl_guest_advance(xl, guest);
}

void xl_guest_done(struct xl *xl, struct xl_guest *guest)
{
	struct instance_id id = guest->id;
	if (!guest->busy)
		return;
	enum xl_type type = guest->queue->type;
	pop(guest);
	if (type == XL_START)
		start_done(xl, guest);
	else if (type == XL_RESUME)
		resume_done(xl, guest);
	else if (type == XL_PAUSE || type == XL_SAVE)
		pause_done(xl, guest);
	advance_if_there(xl, id);
}

void xl_guest_failed(struct xl *xl, struct xl_guest *guest, const struct error *error)
{
	struct instance_id id = guest->id;
	if (!guest->busy)
		return;
	enum xl_type type = guest->queue->type;
	pop(guest);
	if (type == XL_START) {
		xl_guest_remove(xl, guest);
		xl_emit(xl, id,
			(struct launcher_event){.type = LAUNCHER_START_FAILED, .error = *error});
	} else if (type == XL_SHUTDOWN) { /* one that cannot be asked is ended all the same */
		guest->stop_asked = true;
		xl_guest_ask(xl, guest, XL_DESTROY, NULL);
	} else {
		xl_emit(xl, id,
			(struct launcher_event){
				.type = LAUNCHER_OPERATION_FAILED, .error = *error});
	}
	advance_if_there(xl, id);
}

void xl_guest_over(
	struct xl *xl, struct xl_guest *guest, enum launcher_exit exit, const struct error *error)
{
	struct launcher_event event = {.type = LAUNCHER_EXITED, .exit = exit};
	struct instance_id id = guest->id;
	if (exit == LAUNCHER_EXIT_CRASHED)
		event.error = *error;
	xl_guest_remove(xl, guest);
	xl_emit(xl, id, event);
}
