/* SPDX-License-Identifier: ISC */
#include "launcher/sim/guest.h"

#include <errno.h>
#include <stdlib.h>

#include "base/units.h"

static void operation_done(uv_timer_t *timer);

/* More than any sane sequence of operations on one guest; a bound, not a limit to plan with. */
#define QUEUE_MAX 64

static uint64_t operation_delay(const struct guest *guest, enum operation_type type)
{
	const struct sim_behaviour *behaviour = &guest->behaviour;
	switch (type) {
	case OP_START:
		return behaviour->create_delay;
	case OP_RESUME:
		return guest->record.saved ? behaviour->restore_delay : behaviour->resume_delay;
	case OP_SUSPEND:
		return behaviour->suspend_delay;
	case OP_SAVE:
		return behaviour->save_delay;
	case OP_DESTROY:
		return behaviour->stop_delay;
	case OP_SHUTDOWN:
		break;
	}
	return 0; /* the guest itself takes its time, and can be destroyed meanwhile */
}

static void operation_begin(struct guest *guest)
{
	uint64_t delay = operation_delay(guest, guest->queue->type);
	uv_timer_start(
		&guest->operation_timer, operation_done, timer_ms(guest_vary(guest, delay)), 0);
}

int operation_add(struct guest *guest, enum operation_type type, struct error *err)
{
	if (guest->queued == QUEUE_MAX)
		return error_set(
			err, -EBUSY, "sim: %u operations on one guest wait already", guest->queued);
	struct operation *operation = calloc(1, sizeof(*operation)), **link = &guest->queue;
	if (!operation)
		return error_set(err, -ENOMEM, "out of memory");
	operation->type = type;
	while (*link)
		link = &(*link)->next;
	*link = operation;
	if (guest->queued++ == 0)
		operation_begin(guest);
	return 0;
}

static bool stop_is_asked(const struct guest *guest)
{
	for (const struct operation *operation = guest->queue; operation;
		operation = operation->next)
		if (operation->type == OP_DESTROY || operation->type == OP_SHUTDOWN)
			return true;
	return false;
}

static void start_done(struct guest *guest)
{
	struct sim *sim = guest->sim;
	struct error err = ERROR_INIT;
	if (stop_is_asked(guest)) {
		guest_start_fails(guest, -ECANCELED, "the start was canceled");
		return;
	}
	if (chance_strikes(sim, guest->behaviour.fail_start, ++sim->starts)) {
		guest_start_fails(guest, -EIO, "the start failed, as it was told to");
		return;
	}
	guest->started = true;
	guest->record.started_at = clock_real();
	if (guest->how == LAUNCHER_START_RUNNING)
		guest_run(guest);
	if (sim_save(sim, &err) < 0)
		guest_start_fails(guest, err.code, err.message);
	else
		guest_emit(guest, (struct launcher_event){.type = LAUNCHER_STARTED});
}

static void operation_fails(struct guest *guest, int code, const char *why)
{
	struct launcher_event event = {.type = LAUNCHER_OPERATION_FAILED};
	error_set(&event.error, code, "sim: %s", why);
	guest_emit(guest, event);
}

static void resume_done(struct guest *guest)
{
	struct sim *sim = guest->sim;
	if (!guest->record.paused) {
		operation_fails(guest, -EALREADY, "the guest runs already");
	} else if (chance_strikes(sim, guest->behaviour.fail_resume, ++sim->resumes)) {
		operation_fails(guest, -EIO, "resume failed, as it was told to");
	} else {
		guest_run(guest);
		sim_save(sim, NULL);
		guest_emit(guest, (struct launcher_event){.type = LAUNCHER_RESUMED});
	}
}

static void rest(struct guest *guest, bool disk)
{
	struct sim *sim = guest->sim;
	if (disk ? guest->record.saved : guest->record.paused) {
		operation_fails(guest, -EALREADY, "the guest rests already");
	} else if (chance_strikes(sim, guest->behaviour.fail_suspend, ++sim->suspends)) {
		operation_fails(guest, -EIO, "suspend failed, as it was told to");
	} else {
		guest_pause(guest);
		guest->record.saved = disk;
		sim_save(sim, NULL);
		guest_emit(guest, (struct launcher_event){.type = LAUNCHER_SUSPENDED});
	}
}

static void suspend_done(struct guest *guest)
{
	rest(guest, false);
}

static void save_done(struct guest *guest)
{
	rest(guest, true);
}

static void shutdown_done(struct guest *guest)
{
	if (guest->record.paused) { /* it cannot hear us */
		guest_exits(guest, LAUNCHER_EXIT_DESTROYED);
		return;
	}
	if (guest->behaviour.ignore_shutdown)
		return;
	uint64_t delay = guest_vary(guest, guest->behaviour.shutdown_delay);
	uint64_t off_at = guest_ran(guest) + delay;
	if (off_at < guest->off_at)
		guest->off_at = off_at;
	guest_plan(guest);
}

static void destroy_done(struct guest *guest)
{
	guest_exits(guest, LAUNCHER_EXIT_DESTROYED);
}

static void operation_done(uv_timer_t *timer)
{
	static void (*const done[])(struct guest * guest) = {
		[OP_START] = start_done,
		[OP_RESUME] = resume_done,
		[OP_SUSPEND] = suspend_done,
		[OP_SAVE] = save_done,
		[OP_DESTROY] = destroy_done,
		[OP_SHUTDOWN] = shutdown_done,
	};
	struct guest *guest = timer->data;
	done[guest->queue->type](guest);
	if (guest->gone)
		return;
	struct operation *operation = guest->queue;
	guest->queue = operation->next;
	guest->queued--;
	free(operation);
	if (guest->queue)
		operation_begin(guest);
}
