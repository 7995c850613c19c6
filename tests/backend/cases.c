/* SPDX-License-Identifier: ISC */
/* What every backend must do, one case a promise. */
#include "tests/backend/cases.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define IDENTITY "a1b2c3d4e5f60718"
#define FIRST    ((struct instance_id){1, 1})
#define SECOND   ((struct instance_id){1, 2})

static struct stage *open_for(void **state, enum task task)
{
	const struct subject *subject = *state;
	need_task(subject, task);
	return stage_open(subject, IDENTITY);
}

/* A guest that was started and has answered. */
static struct watched *started(
	struct stage *stage, struct instance_id id, enum task task, enum launcher_start how)
{
	struct error err = ERROR_INIT;
	if (stage_start(stage, id, task, how, &err) < 0)
		fail_msg("start: %s", err.message);
	struct watched *guest = stage_guest(stage, id);
	STAGE_WAIT(stage, guest->counts[LAUNCHER_STARTED] || guest_is_over(guest));
	if (!guest->counts[LAUNCHER_STARTED])
		fail_msg("start: %s", guest->error.message);
	return guest;
}

static bool has_console(const struct stage *stage)
{
	return stage->launcher->ops->capabilities(stage->launcher) & LAUNCHER_CAN_CONSOLE;
}

static void wait_ready(struct stage *stage, struct watched *guest)
{
	if (has_console(stage))
		STAGE_WAIT(stage, guest_is_ready(guest));
}

static void refuses_unknown_settings(void **state)
{
	const struct subject *subject = *state;
	struct launcher_setting wrong[] = {{"no_such_setting", "1"}};
	uv_loop_t loop;
	uv_loop_init(&loop);
	struct launcher_config config = {.loop = &loop,
		.identity = IDENTITY,
		.state_dir = places.state_dir,
		.settings = wrong,
		.setting_count = 1};
	struct launcher *launcher = NULL;
	struct error err = ERROR_INIT;
	const struct launcher_ops *ops = launcher_backend_find(subject->backend);
	assert_int_equal(ops->create(&config, &launcher, &err), -EINVAL);
	assert_null(launcher);
	assert_non_null(strstr(err.message, "no_such_setting"));
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void describes_itself(void **state)
{
	struct stage *stage = open_for(state, TASK_READY);
	char text[512] = "", small[8];
	stage->launcher->ops->describe(stage->launcher, text, sizeof(text));
	assert_true(strlen(text) > 10);
	stage->launcher->ops->describe(stage->launcher, small, sizeof(small));
	assert_memory_equal(small, text, sizeof(small) - 1);
	assert_int_equal(small[7], '\0');
	print_message("# %s: %s\n", stage->subject->name, text);
	stage_close(stage);
}

static void starts_and_destroys(void **state)
{
	struct stage *stage = open_for(state, TASK_READY);
	struct watched *guest = started(stage, FIRST, TASK_READY, LAUNCHER_START_RUNNING);
	wait_ready(stage, guest);
	assert_int_equal(stage_stop(stage, FIRST, LAUNCHER_STOP_DESTROY, NULL), 0);
	STAGE_WAIT(stage, guest_is_over(guest));
	assert_int_equal(guest->exit, LAUNCHER_EXIT_DESTROYED);
	struct error err = ERROR_INIT;
	assert_true(stage_stop(stage, FIRST, LAUNCHER_STOP_DESTROY, &err) < 0);
	assert_true(err.message[0]);
	stage_close(stage);
}

static void prepares_and_resumes(void **state)
{
	struct stage *stage = open_for(state, TASK_READY);
	stage_need(stage, LAUNCHER_CAN_PREPARE);
	struct watched *guest = started(stage, FIRST, TASK_READY, LAUNCHER_START_PAUSED);
	stage_idle(stage, 60);
	assert_int_equal(guest->output_total, 0);
	assert_int_equal(stage_resume(stage, FIRST, NULL), 0);
	STAGE_WAIT(stage, guest->counts[LAUNCHER_RESUMED]);
	wait_ready(stage, guest);
	stage_close(stage);
}

static void refuses_to_prepare(void **state)
{
	struct stage *stage = open_for(state, TASK_READY);
	if (stage->launcher->ops->capabilities(stage->launcher) & LAUNCHER_CAN_PREPARE) {
		print_message("# skipped: %s can prepare\n", stage->subject->name);
		stage_close(stage);
		skip();
	}
	struct error err = ERROR_INIT;
	assert_int_equal(
		stage_start(stage, FIRST, TASK_READY, LAUNCHER_START_PAUSED, &err), -ENOTSUP);
	stage_close(stage);
}

static void suspends_and_resumes(void **state)
{
	struct stage *stage = open_for(state, TASK_READY);
	stage_need(stage, LAUNCHER_CAN_SUSPEND);
	struct watched *guest = started(stage, FIRST, TASK_READY, LAUNCHER_START_RUNNING);
	wait_ready(stage, guest);
	for (unsigned round = 1; round <= 3; round++) {
		assert_int_equal(stage_suspend(stage, FIRST, NULL), 0);
		STAGE_WAIT(stage, guest->counts[LAUNCHER_SUSPENDED] == round);
		assert_int_equal(stage_resume(stage, FIRST, NULL), 0);
		STAGE_WAIT(stage, guest->counts[LAUNCHER_RESUMED] == round);
	}
	assert_int_equal(guest->counts[LAUNCHER_OPERATION_FAILED], 0);
	stage_close(stage);
}

/* Asked for in one turn, they still take effect in their order. */
static void keeps_the_order(void **state)
{
	static const enum launcher_event_type expected[] = {LAUNCHER_STARTED, LAUNCHER_RESUMED,
		LAUNCHER_SUSPENDED, LAUNCHER_RESUMED, LAUNCHER_EXITED};
	struct stage *stage = open_for(state, TASK_READY);
	stage_need(stage, LAUNCHER_CAN_PREPARE);
	stage_need(stage, LAUNCHER_CAN_SUSPEND);
	assert_int_equal(stage_start(stage, FIRST, TASK_READY, LAUNCHER_START_PAUSED, NULL), 0);
	assert_int_equal(stage_resume(stage, FIRST, NULL), 0);
	assert_int_equal(stage_suspend(stage, FIRST, NULL), 0);
	assert_int_equal(stage_resume(stage, FIRST, NULL), 0);
	struct watched *guest = stage_guest(stage, FIRST);
	STAGE_WAIT(stage, guest->counts[LAUNCHER_RESUMED] == 2 || guest_is_over(guest));
	wait_ready(stage, guest);
	assert_int_equal(stage_stop(stage, FIRST, LAUNCHER_STOP_DESTROY, NULL), 0);
	STAGE_WAIT(stage, guest_is_over(guest));
	assert_int_equal(guest->events, sizeof(expected) / sizeof(expected[0]));
	assert_memory_equal(guest->history, expected, sizeof(expected));
	stage_close(stage);
}

static void shuts_down(void **state)
{
	struct stage *stage = open_for(state, TASK_OBEY);
	stage_need(stage, LAUNCHER_CAN_SHUTDOWN);
	struct watched *guest = started(stage, FIRST, TASK_OBEY, LAUNCHER_START_RUNNING);
	wait_ready(stage, guest);
	assert_int_equal(stage_stop(stage, FIRST, LAUNCHER_STOP_SHUTDOWN, NULL), 0);
	STAGE_WAIT(stage, guest_is_over(guest));
	assert_int_equal(guest->exit, LAUNCHER_EXIT_SHUTDOWN);
	stage_close(stage);
}

/* A guest that is deaf to shutdown, or paused, can still be ended. */
static void destroys_after_shutdown(void **state)
{
	struct stage *stage = open_for(state, TASK_SILENT);
	stage_need(stage, LAUNCHER_CAN_SHUTDOWN);
	struct watched *guest = started(stage, FIRST, TASK_SILENT, LAUNCHER_START_RUNNING);
	assert_int_equal(stage_stop(stage, FIRST, LAUNCHER_STOP_SHUTDOWN, NULL), 0);
	stage_stop(stage, FIRST, LAUNCHER_STOP_DESTROY, NULL);
	STAGE_WAIT(stage, guest_is_over(guest));
	assert_int_equal(guest->counts[LAUNCHER_EXITED], 1);
	stage_close(stage);
}

static void shuts_down_paused_guest(void **state)
{
	struct stage *stage = open_for(state, TASK_READY);
	stage_need(stage, LAUNCHER_CAN_SHUTDOWN);
	stage_need(stage, LAUNCHER_CAN_PREPARE);
	struct watched *guest = started(stage, FIRST, TASK_READY, LAUNCHER_START_PAUSED);
	assert_int_equal(stage_stop(stage, FIRST, LAUNCHER_STOP_SHUTDOWN, NULL), 0);
	STAGE_WAIT(stage, guest_is_over(guest));
	assert_int_equal(guest->exit, LAUNCHER_EXIT_DESTROYED);
	stage_close(stage);
}

static void stops_before_started(void **state)
{
	struct stage *stage = open_for(state, TASK_READY);
	assert_int_equal(stage_start(stage, FIRST, TASK_READY, LAUNCHER_START_RUNNING, NULL), 0);
	assert_int_equal(stage_stop(stage, FIRST, LAUNCHER_STOP_DESTROY, NULL), 0);
	struct watched *guest = stage_guest(stage, FIRST);
	STAGE_WAIT(stage, guest_is_over(guest));
	if (guest->counts[LAUNCHER_START_FAILED])
		assert_int_equal(guest->error.code, -ECANCELED);
	else
		assert_int_equal(guest->exit, LAUNCHER_EXIT_DESTROYED);
	stage_close(stage);
}

static void stops_twice(void **state)
{
	struct stage *stage = open_for(state, TASK_READY);
	struct watched *guest = started(stage, FIRST, TASK_READY, LAUNCHER_START_RUNNING);
	assert_int_equal(stage_stop(stage, FIRST, LAUNCHER_STOP_DESTROY, NULL), 0);
	stage_stop(stage, FIRST, LAUNCHER_STOP_DESTROY, NULL);
	STAGE_WAIT(stage, guest_is_over(guest));
	stage_idle(stage, 50);
	assert_int_equal(guest->counts[LAUNCHER_EXITED], 1);
	stage_close(stage);
}

static void refuses_missing_kernel(void **state)
{
	struct stage *stage = open_for(state, TASK_MISSING);
	struct error err = ERROR_INIT;
	int r = stage_start(stage, FIRST, TASK_MISSING, LAUNCHER_START_RUNNING, &err);
	if (r == 0) {
		struct watched *guest = stage_guest(stage, FIRST);
		STAGE_WAIT(stage, guest_is_over(guest));
		assert_int_equal(guest->counts[LAUNCHER_START_FAILED], 1);
		err = guest->error;
	} else {
		assert_int_equal(r, -EINVAL);
	}
	assert_non_null(strstr(err.message, "no-such-kernel"));
	stage_close(stage);
}

static void fails_and_starts_again(void **state)
{
	struct stage *stage = open_for(state, TASK_FAIL);
	int r = stage_start(stage, FIRST, TASK_FAIL, LAUNCHER_START_RUNNING, NULL);
	if (r == 0) {
		struct watched *guest = stage_guest(stage, FIRST);
		STAGE_WAIT(stage, guest_is_over(guest));
		assert_int_equal(guest->counts[LAUNCHER_START_FAILED], 1);
		assert_true(guest->error.code < 0);
		assert_true(guest->error.message[0]);
	}
	assert_true(stage_stop(stage, FIRST, LAUNCHER_STOP_DESTROY, NULL) < 0);
	struct watched *again = started(stage, SECOND, TASK_READY, LAUNCHER_START_RUNNING);
	wait_ready(stage, again);
	stage_close(stage);
}

static void refuses_unknown_instances(void **state)
{
	struct stage *stage = open_for(state, TASK_READY);
	struct watched *guest = started(stage, FIRST, TASK_READY, LAUNCHER_START_RUNNING);
	assert_true(stage_start(stage, FIRST, TASK_READY, LAUNCHER_START_RUNNING, NULL) < 0);
	assert_true(stage_resume(stage, SECOND, NULL) < 0);
	assert_true(stage_suspend(stage, SECOND, NULL) < 0);
	assert_true(stage_stop(stage, SECOND, LAUNCHER_STOP_DESTROY, NULL) < 0);
	wait_ready(stage, guest);
	assert_true(guest_is_alive(guest));
	stage_close(stage);
}

/* The next life of a slot begins while the last one ends; their events do not mix. */
static void lives_overlap(void **state)
{
	struct stage *stage = open_for(state, TASK_READY);
	started(stage, FIRST, TASK_READY, LAUNCHER_START_RUNNING);
	assert_int_equal(stage_stop(stage, FIRST, LAUNCHER_STOP_DESTROY, NULL), 0);
	struct watched *second = started(stage, SECOND, TASK_READY, LAUNCHER_START_RUNNING);
	STAGE_WAIT(stage, guest_is_over(stage_guest(stage, FIRST)));
	wait_ready(stage, second);
	stage_idle(stage, 20);
	assert_true(guest_is_alive(second));
	stage_close(stage);
}

static void starts_sixteen(void **state)
{
	struct stage *stage = open_for(state, TASK_READY);
	for (unsigned slot = 1; slot <= 16; slot++)
		assert_int_equal(stage_start(stage, (struct instance_id){slot, 1}, TASK_READY,
					 LAUNCHER_START_RUNNING, NULL),
			0);
	for (unsigned slot = 1; slot <= 16; slot++) {
		struct watched *guest = stage_guest(stage, (struct instance_id){slot, 1});
		STAGE_WAIT(stage, guest->counts[LAUNCHER_STARTED] || guest_is_over(guest));
		assert_true(guest_is_alive(guest));
		wait_ready(stage, guest);
	}
	stage_close(stage);
}

static void ends_with(void **state, enum task task, enum launcher_exit how)
{
	struct stage *stage = open_for(state, task);
	unsigned mask = stage->launcher->ops->capabilities(stage->launcher);
	bool prepare = mask & LAUNCHER_CAN_PREPARE; /* else it may be over before it has started */
	struct watched *guest = started(
		stage, FIRST, task, prepare ? LAUNCHER_START_PAUSED : LAUNCHER_START_RUNNING);
	if (prepare)
		assert_int_equal(stage_resume(stage, FIRST, NULL), 0);
	STAGE_WAIT(stage, guest_is_over(guest));
	assert_int_equal(guest->exit, how);
	if (has_console(stage)) /* its last words come before its end */
		assert_true(guest_is_ready(guest));
	if (how == LAUNCHER_EXIT_CRASHED)
		assert_true(guest->error.code < 0 && guest->error.message[0]);
	assert_true(stage_stop(stage, FIRST, LAUNCHER_STOP_DESTROY, NULL) < 0);
	stage_close(stage);
}

static void tells_of_power_off(void **state)
{
	ends_with(state, TASK_OFF, LAUNCHER_EXIT_SHUTDOWN);
}

static void tells_of_crash(void **state)
{
	ends_with(state, TASK_CRASH, LAUNCHER_EXIT_CRASHED);
}

/* Its process is killed from outside. */
static void tells_of_murder(void **state)
{
	const struct subject *subject = *state;
	if (!subject->murder) {
		print_message("# skipped: %s: there is nothing to kill\n", subject->name);
		skip();
	}
	struct stage *stage = open_for(state, TASK_READY);
	struct watched *guest = started(stage, FIRST, TASK_READY, LAUNCHER_START_RUNNING);
	wait_ready(stage, guest);
	subject->murder(FIRST);
	STAGE_WAIT(stage, guest_is_over(guest));
	assert_int_equal(guest->exit, LAUNCHER_EXIT_CRASHED);
	assert_true(guest->error.message[0]);
	stage_close(stage);
}

/* A guest that prints without end neither stalls nor loses or mixes up a byte. */
static void drains_the_console(void **state)
{
	struct stage *stage = open_for(state, TASK_FLOOD);
	stage_need(stage, LAUNCHER_CAN_CONSOLE);
	struct watched *guest = started(stage, FIRST, TASK_FLOOD, LAUNCHER_START_RUNNING);
	STAGE_WAIT(stage, guest->output_total > 4 * sizeof(guest->output) || guest_is_over(guest));
	const char *line = strchr(guest->output, '\n') + 1;
	assert_memory_equal(guest->output, READY_LINE, strlen(READY_LINE));
	for (unsigned number = 0; number < 3000; number++) {
		char expected[32];
		int length = snprintf(expected, sizeof(expected), "line %u\n", number);
		assert_memory_equal(line, expected, length);
		line += length;
	}
	stage_close(stage);
}

static void leaves_in_the_middle(void **state)
{
	struct stage *stage = open_for(state, TASK_READY);
	if (stage->launcher->ops->capabilities(stage->launcher) & LAUNCHER_CAN_OUTLIVE) {
		stage_leave(stage); /* with nothing under way: what was begun would live on */
		return;
	}
	started(stage, FIRST, TASK_READY, LAUNCHER_START_RUNNING);
	stage_start(stage, SECOND, TASK_READY, LAUNCHER_START_RUNNING, NULL);
	stage_stop(stage, FIRST, LAUNCHER_STOP_DESTROY, NULL);
	stage_leave(stage);
}

/* The service is killed; one guest dies while it is away; what was asked meanwhile is done after. */
static void regains_the_connection(void **state)
{
	static const struct instance_id lives = {1, 1}, dies = {2, 1}, waits = {3, 1},
					late = {4, 1};
	const struct subject *subject = *state;
	if (!subject->service_kill) {
		print_message("# skipped: %s: there is no service to lose\n", subject->name);
		skip();
	}
	struct stage *stage = open_for(state, TASK_READY);
	wait_ready(stage, started(stage, lives, TASK_READY, LAUNCHER_START_RUNNING));
	struct watched *dead = started(stage, dies, TASK_READY, LAUNCHER_START_RUNNING);
	struct watched *waiting = started(stage, waits, TASK_READY, LAUNCHER_START_PAUSED);
	subject->service_kill();
	STAGE_WAIT(stage, stage->lost);
	assert_int_equal(guest_is_over(dead), false);
	subject->murder(dies);
	assert_int_equal(stage_resume(stage, waits, NULL), 0);
	assert_int_equal(stage_start(stage, late, TASK_READY, LAUNCHER_START_RUNNING, NULL), 0);
	assert_true(subject->service_start());
	STAGE_WAIT(stage, stage->regained);
	assert_true(guest_is_over(dead));
	assert_int_equal(dead->exit, LAUNCHER_EXIT_CRASHED);
	wait_ready(stage, waiting);
	wait_ready(stage, stage_guest(stage, late));
	STAGE_WAIT(stage, waiting->counts[LAUNCHER_RESUMED]);
	assert_true(guest_is_alive(stage_guest(stage, lives)));
	assert_int_equal(stage->lost, 1);
	assert_int_equal(stage->regained, 1);
	stage_close(stage);
}

/* ---- random sequences: the stage checks the promises ---- */

static uint32_t random_next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static void random_start(struct stage *stage, struct instance_id id, uint32_t random)
{
	static const enum task tasks[] = {
		TASK_READY, TASK_READY, TASK_SILENT, TASK_OFF, TASK_CRASH, TASK_FAIL};
	enum task task = tasks[random % (sizeof(tasks) / sizeof(tasks[0]))];
	unsigned mask = stage->launcher->ops->capabilities(stage->launcher);
	bool paused = (random >> 8) % 3 == 0 && (mask & LAUNCHER_CAN_PREPARE);
	if (stage->subject->unable(task))
		task = TASK_READY;
	stage_start(stage, id, task, paused ? LAUNCHER_START_PAUSED : LAUNCHER_START_RUNNING, NULL);
}

static void random_step(struct stage *stage, unsigned generations[4], uint32_t *seed)
{
	unsigned slot = random_next(seed) % 4;
	struct instance_id id = {slot + 1, generations[slot]};
	switch (random_next(seed) % 8) {
	case 0:
	case 1:
		if (stage->count < GUESTS_MAX - 1 && guest_is_over(stage_guest(stage, id)))
			id.generation = ++generations[slot];
		random_start(stage, id, random_next(seed));
		break;
	case 2:
	case 3:
		stage_resume(stage, id, NULL);
		break;
	case 4:
	case 5:
		stage_suspend(stage, id, NULL);
		break;
	case 6:
		stage_stop(stage, id, LAUNCHER_STOP_SHUTDOWN, NULL);
		break;
	default:
		stage_stop(stage, id, LAUNCHER_STOP_DESTROY, NULL);
		break;
	}
	if (random_next(seed) % 2)
		stage_idle(stage, random_next(seed) % 12);
}

static void keeps_promises_at_random(void **state)
{
	for (uint32_t round = 1; round <= 3; round++) {
		struct stage *stage = open_for(state, TASK_READY);
		uint32_t seed = round * 2654435761u;
		unsigned generations[4] = {1, 1, 1, 1};
		print_message("# seed %u\n", seed);
		for (unsigned i = 0; i < stage->subject->random_steps; i++)
			random_step(stage, generations, &seed);
		stage_close(stage);
	}
}

const struct CMUnitTest backend_cases[] = {
	cmocka_unit_test(refuses_unknown_settings),
	cmocka_unit_test(describes_itself),
	cmocka_unit_test(starts_and_destroys),
	cmocka_unit_test(prepares_and_resumes),
	cmocka_unit_test(refuses_to_prepare),
	cmocka_unit_test(suspends_and_resumes),
	cmocka_unit_test(keeps_the_order),
	cmocka_unit_test(shuts_down),
	cmocka_unit_test(destroys_after_shutdown),
	cmocka_unit_test(shuts_down_paused_guest),
	cmocka_unit_test(stops_before_started),
	cmocka_unit_test(stops_twice),
	cmocka_unit_test(refuses_missing_kernel),
	cmocka_unit_test(fails_and_starts_again),
	cmocka_unit_test(refuses_unknown_instances),
	cmocka_unit_test(lives_overlap),
	cmocka_unit_test(starts_sixteen),
	cmocka_unit_test(tells_of_power_off),
	cmocka_unit_test(tells_of_crash),
	cmocka_unit_test(tells_of_murder),
	cmocka_unit_test(drains_the_console),
	cmocka_unit_test(leaves_in_the_middle),
	cmocka_unit_test(adopts_after_leaving),
	cmocka_unit_test(adopts_after_a_kill),
	cmocka_unit_test(leaves_others_alone),
	cmocka_unit_test(regains_the_connection),
	cmocka_unit_test(keeps_promises_at_random),
};
const size_t backend_case_count = sizeof(backend_cases) / sizeof(backend_cases[0]);
