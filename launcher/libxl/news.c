/* SPDX-License-Identifier: ISC */
/* What the helper says, and what becomes of it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "launcher/libxl/libxl.h"

#define PAUSE_FIRST_MS 10
#define PAUSE_MOST_MS  5000

void xl_emit(struct xl *xl, struct instance_id id, struct launcher_event event)
{
	if (xl->closing)
		return;
	event.id = id;
	xl->on_event(xl->ctx, &event);
}

static void tell(struct xl *xl, enum launcher_event_type type, const struct error *error)
{
	struct launcher_event event = {.type = type};
	if (error)
		event.error = *error;
	xl_emit(xl, event.id, event);
}

struct said {
	const struct xl_message *head;
	size_t size; /* of the text */
};

static struct instance_id id_of(const struct said *said)
{
	return (struct instance_id){said->head->slot, said->head->generation};
}

static struct error error_of(const struct said *said)
{
	struct error error = ERROR_INIT;
	error_set(&error, said->head->code < 0 ? said->head->code : -EIO, "%.*s", (int)said->size,
		said->head->text);
	return error;
}

/* ---- the list ---- */

static void on_found(struct xl *xl, const struct said *said)
{
	const char *text = said->head->text;
	const char *tap = memchr(text, '\0', said->size);
	bool paused = said->head->flags & XL_PAUSED;
	if (!tap || tap + 1 >= text + said->size || text[said->size - 1] != '\0')
		return;
	struct xl_guest *guest = xl_guest_find(xl, id_of(said));
	if (guest) {
		guest->present = guest->exists = true;
		guest->paused = paused;
		return;
	}
	guest = xl_guest_add(xl, id_of(said));
	if (!guest)
		return;
	guest->present = guest->exists = guest->started = true;
	guest->paused = paused;
	xl_emit(xl, guest->id,
		(struct launcher_event){.type = LAUNCHER_FOUND,
			.found = {.service = text,
				.tap = tap + 1,
				.paused = paused,
				.booted = !paused || (said->head->flags & XL_HAS_RUN),
				.on_disk = said->head->flags & XL_ON_DISK,
				.started_at = said->head->started_at}});
}

/* One that has been there before; each event may change the list. */
static struct xl_guest *first_absent(const struct xl *xl)
{
	struct xl_guest *guest = xl->closing ? NULL : xl->guests;
	while (guest && (guest->present || !guest->started))
		guest = guest->next;
	return guest;
}

static void end_absent(struct xl *xl)
{
	struct xl_guest *guest;
	struct error why = ERROR_INIT;
	error_set(&why, -EIO, "the guest ended while summon-xl was away");
	while ((guest = first_absent(xl)))
		xl_guest_over(xl, guest,
			guest->stop_asked ? LAUNCHER_EXIT_DESTROYED : LAUNCHER_EXIT_CRASHED, &why);
}

/* A guest that is to be left paused needs nothing more, once it exists. */
static void go_on(struct xl *xl)
{
	struct xl_guest *next;
	for (struct xl_guest *guest = xl->guests; guest && !xl->closing; guest = next) {
		next = guest->next;
		bool made = guest->exists && guest->queue && guest->queue->type == XL_START &&
			    (!guest->wants_run || !guest->paused);
		guest->busy = made;
		if (made)
			xl_guest_done(xl, guest);
		else
			xl_guest_advance(xl, guest);
	}
}

static void list_told(struct xl *xl, const struct error *error)
{
	if (!xl->listed) {
		xl->listed = true;
		tell(xl, LAUNCHER_LISTED, error);
	}
	if (xl->lost && !error) {
		xl->lost = false;
		tell(xl, LAUNCHER_REGAINED, NULL);
	}
}

static void on_listed(struct xl *xl, const struct said *said)
{
	if (said->head->code < 0) {
		xl->trouble = error_of(said);
		list_told(xl, &xl->trouble);
		if (!xl->closing)
			xl_helper_lost(xl, xl->trouble.message);
		return;
	}
	snprintf(xl->facts, sizeof(xl->facts), "%.*s", (int)said->size, said->head->text);
	end_absent(xl);
	xl->flowing = true;
	xl->trouble = (struct error)ERROR_INIT;
	xl->pause_ms = PAUSE_FIRST_MS;
	list_told(xl, NULL);
	if (!xl->closing)
		go_on(xl);
}

/* ---- news of a guest ---- */

static void on_done(struct xl *xl, const struct said *said)
{
	struct xl_guest *guest = xl_guest_find(xl, id_of(said));
	if (guest)
		xl_guest_done(xl, guest);
}

static void on_failed(struct xl *xl, const struct said *said)
{
	struct xl_guest *guest = xl_guest_find(xl, id_of(said));
	struct error error = error_of(said);
	if (guest)
		xl_guest_failed(xl, guest, &error);
}

static void on_output(struct xl *xl, const struct said *said)
{
	if (said->size > 0 && xl_guest_find(xl, id_of(said)))
		xl_emit(xl, id_of(said),
			(struct launcher_event){.type = LAUNCHER_OUTPUT,
				.data = (const uint8_t *)said->head->text,
				.length = said->size});
}

static void on_key(struct xl *xl, const struct said *said)
{
	if (xl_guest_find(xl, id_of(said)))
		xl_emit(xl, id_of(said), (struct launcher_event){.type = LAUNCHER_READY});
}

static void on_exited(struct xl *xl, const struct said *said)
{
	static const enum launcher_exit exits[] = {
		[XL_EXIT_SHUTDOWN] = LAUNCHER_EXIT_SHUTDOWN,
		[XL_EXIT_DESTROYED] = LAUNCHER_EXIT_DESTROYED,
		[XL_EXIT_CRASHED] = LAUNCHER_EXIT_CRASHED,
	};
	struct xl_guest *guest = xl_guest_find(xl, id_of(said));
	unsigned how = (unsigned)said->head->code;
	struct error why = ERROR_INIT;
	error_set(&why, -EFAULT, "%.*s", (int)said->size, said->head->text);
	if (guest)
		xl_guest_over(xl, guest,
			how < sizeof(exits) / sizeof(exits[0]) ? exits[how] : LAUNCHER_EXIT_CRASHED,
			&why);
}

void xl_take(struct xl *xl, const struct xl_message *message, size_t text_size)
{
	static const struct {
		enum xl_type type;
		void (*take)(struct xl *xl, const struct said *said);
	} takers[] = {
		{XL_FOUND, on_found},
		{XL_LISTED, on_listed},
		{XL_DONE, on_done},
		{XL_FAILED, on_failed},
		{XL_OUTPUT, on_output},
		{XL_EXITED, on_exited},
		{XL_READY, on_key},
	};
	for (size_t i = 0; i < sizeof(takers) / sizeof(takers[0]); i++)
		if (takers[i].type == message->type)
			takers[i].take(xl, &(struct said){message, text_size});
}

/* ---- its end ---- */

static void on_again(uv_timer_t *timer)
{
	struct xl *xl = timer->data;
	struct error err = ERROR_INIT;
	if (xl_helper_start(xl, &err) < 0)
		xl_helper_lost(xl, err.message);
}

void xl_helper_lost(struct xl *xl, const char *why)
{
	xl_helper_leave(xl);
	xl->flowing = false;
	for (struct xl_guest *guest = xl->guests; guest; guest = guest->next)
		guest->present = guest->exists = guest->busy = false;
	if (!xl->trouble.code)
		error_set(&xl->trouble, -EPIPE, "%s", why);
	uv_timer_start(&xl->again, on_again, xl->pause_ms, 0);
	xl->pause_ms = xl->pause_ms * 4 < PAUSE_MOST_MS ? xl->pause_ms * 4 : PAUSE_MOST_MS;
	if (xl->lost)
		return;
	xl->lost = true;
	tell(xl, LAUNCHER_LOST, &xl->trouble);
}
