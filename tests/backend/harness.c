/* SPDX-License-Identifier: ISC */
#include "tests/backend/harness.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"

#define HANG_LIMIT (120 * NS_PER_S)
#define TICK_MS    2

/* ---- promises ---- */

static void promises_check(const struct watched *guest, enum launcher_event_type type)
{
	const unsigned *counts = guest->counts;
	unsigned begun = counts[LAUNCHER_STARTED] + counts[LAUNCHER_FOUND];
	if (!guest->accepted && type != LAUNCHER_FOUND)
		fail_msg("event %d for an instance that was never started", type);
	if (guest_is_over(guest) &&
		counts[LAUNCHER_EXITED] + counts[LAUNCHER_START_FAILED] >
			(type == LAUNCHER_EXITED || type == LAUNCHER_START_FAILED))
		fail_msg("a second end of %u.%u", guest->id.slot, guest->id.generation);
	if (guest_is_over(guest) && type != LAUNCHER_EXITED && type != LAUNCHER_START_FAILED)
		fail_msg("event %d after the end of %u.%u", type, guest->id.slot,
			guest->id.generation);
	if (begun > 1 || (begun && counts[LAUNCHER_START_FAILED]))
		fail_msg("%u.%u has begun twice", guest->id.slot, guest->id.generation);
	if (!begun && type != LAUNCHER_START_FAILED && type != LAUNCHER_OUTPUT)
		fail_msg("event %d before STARTED", type);
	assert_true(counts[LAUNCHER_RESUMED] <= guest->asked_resume);
	assert_true(counts[LAUNCHER_SUSPENDED] <= guest->asked_suspend);
	assert_true(counts[LAUNCHER_RESUMED] + counts[LAUNCHER_SUSPENDED] +
			    counts[LAUNCHER_OPERATION_FAILED] <=
		    guest->asked_resume + guest->asked_suspend);
	if (type == LAUNCHER_EXITED && guest->exit == LAUNCHER_EXIT_DESTROYED)
		assert_true(guest->stop_asked);
}

static void output_record(struct watched *guest, const struct launcher_event *event)
{
	assert_true(event->length > 0);
	size_t room = sizeof(guest->output) - 1;
	if (guest->output_total < room) {
		room -= guest->output_total;
		size_t length = event->length < room ? event->length : room;
		memcpy(guest->output + guest->output_total, event->data, length);
	}
	guest->output_total += event->length;
}

static void found_record(struct watched *guest, const struct launcher_event *event)
{
	guest->accepted = true;
	guest->found = event->found;
	snprintf(guest->service, sizeof(guest->service), "%s", event->found.service);
	snprintf(guest->tap, sizeof(guest->tap), "%s", event->found.tap);
}

static void on_event(void *ctx, const struct launcher_event *event)
{
	struct stage *stage = ctx;
	assert_false(stage->inside);
	assert_false(stage->closed);
	stage->last_event = uv_hrtime();
	if (event->type == LAUNCHER_LISTED) {
		assert_false(stage->listed);
		stage->listed = true;
		stage->list_error = event->error;
		return;
	}
	if (event->type == LAUNCHER_LOST || event->type == LAUNCHER_REGAINED) {
		*(event->type == LAUNCHER_LOST ? &stage->lost : &stage->regained) += 1;
		return;
	}
	struct watched *guest = stage_guest(stage, event->id);
	guest->counts[event->type]++;
	if (event->error.code)
		guest->error = event->error;
	if (event->type == LAUNCHER_EXITED)
		guest->exit = event->exit;
	if (event->type == LAUNCHER_MEASURED)
		guest->figures = event->figures;
	if (event->type == LAUNCHER_FOUND)
		found_record(guest, event);
	if (event->type == LAUNCHER_OUTPUT)
		output_record(guest, event);
	else if (guest->events < HISTORY_MAX)
		guest->history[guest->events++] = event->type;
	promises_check(guest, event->type);
}

/* ---- the stage ---- */

static void tick(uv_timer_t *timer)
{
	(void)timer;
}

static void pause_fires(uv_timer_t *timer)
{
	((struct stage *)timer->data)->paused = false;
}

static void launcher_closed(void *ctx)
{
	((struct stage *)ctx)->closed = true;
}

struct stage *stage_open(const struct subject *subject, const char *identity)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	assert_non_null(stage);
	stage->guests = calloc(GUESTS_MAX, sizeof(*stage->guests));
	assert_non_null(stage->guests);
	stage->subject = subject;
	uv_loop_init(&stage->loop);
	uv_timer_init(&stage->loop, &stage->ticker);
	uv_timer_init(&stage->loop, &stage->pause);
	uv_timer_start(&stage->ticker, tick, TICK_MS, TICK_MS);
	stage->pause.data = stage;
	stage->last_event = uv_hrtime();
	const struct launcher_ops *ops = launcher_backend_find(subject->backend);
	assert_non_null(ops);
	struct launcher_config config = {
		.loop = &stage->loop,
		.identity = identity,
		.state_dir = places.state_dir,
		.run_dir = places.state_dir,
		.settings = subject->settings,
		.setting_count = subject->setting_count,
		.on_event = on_event,
		.ctx = stage,
	};
	struct error err = ERROR_INIT;
	stage->inside = true;
	if (ops->create(&config, &stage->launcher, &err) < 0 ||
		ops->list(stage->launcher, &err) < 0)
		fail_msg("%s: %s", subject->name, err.message);
	stage->inside = false;
	STAGE_WAIT(stage, stage->listed);
	if (stage->list_error.code < 0)
		fail_msg("%s: %s", subject->name, stage->list_error.message);
	return stage;
}

void stage_leave(struct stage *stage)
{
	stage->inside = true;
	stage->last_event = uv_hrtime();
	stage->launcher->ops->destroy(stage->launcher, launcher_closed, stage);
	assert_false(stage->closed);
	STAGE_WAIT(stage, stage->closed);
	uv_close((uv_handle_t *)&stage->ticker, NULL);
	uv_close((uv_handle_t *)&stage->pause, NULL);
	uv_run(&stage->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&stage->loop), 0);
	free(stage->guests);
	free(stage);
}

static bool all_over(const struct stage *stage)
{
	for (size_t i = 0; i < stage->count; i++)
		if (guest_is_alive(&stage->guests[i]))
			return false;
	return true;
}

void stage_close(struct stage *stage)
{
	for (size_t i = 0; i < stage->count; i++)
		if (guest_is_alive(&stage->guests[i]))
			stage_stop(stage, stage->guests[i].id, LAUNCHER_STOP_DESTROY, NULL);
	STAGE_WAIT(stage, all_over(stage));
	stage_idle(stage, 5); /* a second end would come now */
	stage_leave(stage);
}

struct watched *stage_guest(struct stage *stage, struct instance_id id)
{
	for (size_t i = 0; i < stage->count; i++)
		if (instance_id_equal(stage->guests[i].id, id))
			return &stage->guests[i];
	assert_true(stage->count < GUESTS_MAX);
	stage->guests[stage->count].id = id;
	return &stage->guests[stage->count++];
}

bool guest_is_over(const struct watched *guest)
{
	return guest->counts[LAUNCHER_START_FAILED] || guest->counts[LAUNCHER_EXITED];
}

bool guest_is_alive(const struct watched *guest)
{
	return guest->accepted && !guest_is_over(guest);
}

bool guest_is_ready(const struct watched *guest)
{
	const char *line = strstr(guest->output, READY_LINE);
	return line && strchr(line, '\n');
}

/* ---- operations ---- */

int stage_start(struct stage *stage, struct instance_id id, enum task task, enum launcher_start how,
	struct error *err)
{
	struct watched *guest = stage_guest(stage, id);
	char service[32], cmdline[256] = "";
	snprintf(service, sizeof(service), "guest-%u.example", id.slot);
	struct guest_spec spec = {
		.service = service, .cmdline = "", .memory = 32u << 20, .vcpus = 1};
	stage->subject->spec(task, &spec);
	snprintf(cmdline, sizeof(cmdline), "%s", spec.cmdline);
	spec.cmdline = cmdline;
	bool before = guest->accepted;
	guest->accepted = true;
	stage->inside = true;
	int r = stage->launcher->ops->start(stage->launcher, id, &spec, how, err);
	stage->inside = false;
	if (r < 0)
		guest->accepted = before;
	memset(service, '!', sizeof(service) - 1);
	memset(cmdline, '!', sizeof(cmdline) - 1);
	return r;
}

int stage_resume(struct stage *stage, struct instance_id id, struct error *err)
{
	stage->inside = true;
	int r = stage->launcher->ops->resume(stage->launcher, id, err);
	stage->inside = false;
	stage->last_event = uv_hrtime();
	if (r == 0)
		stage_guest(stage, id)->asked_resume++;
	return r;
}

int stage_suspend(
	struct stage *stage, struct instance_id id, enum launcher_rest where, struct error *err)
{
	stage->inside = true;
	int r = stage->launcher->ops->suspend(stage->launcher, id, where, err);
	stage->inside = false;
	stage->last_event = uv_hrtime();
	if (r == 0)
		stage_guest(stage, id)->asked_suspend++;
	return r;
}

int stage_stop(
	struct stage *stage, struct instance_id id, enum launcher_stop how, struct error *err)
{
	stage->inside = true;
	int r = stage->launcher->ops->stop(stage->launcher, id, how, err);
	stage->inside = false;
	stage->last_event = uv_hrtime();
	if (r == 0)
		stage_guest(stage, id)->stop_asked = true;
	return r;
}

/* ---- time ---- */

/* UV_RUN_ONCE may run a timer and then still wait for the next one: a tick bounds that wait. */
void stage_turn(struct stage *stage)
{
	uv_run(&stage->loop, UV_RUN_ONCE);
	if (uv_hrtime() - stage->last_event > HANG_LIMIT)
		fail_msg("%s: nothing happened for two minutes", stage->subject->name);
}

void stage_idle(struct stage *stage, unsigned ms)
{
	stage->paused = true;
	uv_timer_start(&stage->pause, pause_fires, ms, 0);
	stage->last_event = uv_hrtime();
	STAGE_WAIT(stage, !stage->paused);
}

unsigned stage_capabilities(const struct stage *stage)
{
	return stage->launcher->ops->capabilities(stage->launcher) & ~stage->subject->without;
}

void stage_need(struct stage *stage, unsigned capability)
{
	if (stage_capabilities(stage) & capability)
		return;
	char text[80];
	print_message("# skipped: %s cannot %s\n", stage->subject->name,
		launcher_capabilities_print(capability, text));
	stage_close(stage);
	skip();
}

void need_task(const struct subject *subject, enum task task)
{
	const char *why = subject->unable(task);
	if (!why)
		return;
	print_message("# skipped: %s: %s\n", subject->name, why);
	skip();
}
