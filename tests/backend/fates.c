/* SPDX-License-Identifier: ISC */
/* How guests, launchers and the hypervisor's service end, by themselves or in the middle of work. */
#include "tests/backend/cases.h"

#include <stdio.h>
#include <string.h>

static void ends_with(void **state, enum task task, enum launcher_exit how)
{
	struct stage *stage = case_open(state, task);
	unsigned mask = stage_capabilities(stage);
	bool prepare = mask & LAUNCHER_CAN_PREPARE; /* else it may be over before it has started */
	struct watched *guest = case_start(
		stage, FIRST, task, prepare ? LAUNCHER_START_PAUSED : LAUNCHER_START_RUNNING);
	if (prepare)
		assert_int_equal(stage_resume(stage, FIRST, NULL), 0);
	STAGE_WAIT(stage, guest_is_over(guest));
	assert_int_equal(guest->exit, how);
	if (case_has_console(stage)) /* its last words come before its end */
		assert_true(guest_is_ready(guest));
	if (how == LAUNCHER_EXIT_CRASHED)
		assert_true(guest->error.code < 0 && guest->error.message[0]);
	assert_true(stage_stop(stage, FIRST, LAUNCHER_STOP_DESTROY, NULL) < 0);
	stage_close(stage);
}

void tells_of_power_off(void **state)
{
	ends_with(state, TASK_OFF, LAUNCHER_EXIT_SHUTDOWN);
}

void tells_of_crash(void **state)
{
	ends_with(state, TASK_CRASH, LAUNCHER_EXIT_CRASHED);
}

/* Its process is killed from outside. That is noticed, and its next life may begin at once. */
void tells_of_murder(void **state)
{
	const struct subject *subject = *state;
	if (!subject->murder) {
		print_message("# skipped: %s: there is nothing to kill\n", subject->name);
		skip();
	}
	struct stage *stage = case_open(state, TASK_READY);
	struct watched *guest = case_start(stage, FIRST, TASK_READY, LAUNCHER_START_RUNNING);
	case_wait_ready(stage, guest);
	subject->murder(FIRST);
	struct watched *next = case_start(stage, SECOND, TASK_READY, LAUNCHER_START_RUNNING);
	STAGE_WAIT(stage, guest_is_over(guest));
	assert_int_equal(guest->exit, LAUNCHER_EXIT_CRASHED);
	assert_true(guest->error.message[0]);
	case_wait_ready(stage, next);
	stage_close(stage);
}

/* A guest that prints without end neither stalls nor loses or mixes up a byte. */
void drains_the_console(void **state)
{
	struct stage *stage = case_open(state, TASK_FLOOD);
	stage_need(stage, LAUNCHER_CAN_CONSOLE);
	struct watched *guest = case_start(stage, FIRST, TASK_FLOOD, LAUNCHER_START_RUNNING);
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

void leaves_in_the_middle(void **state)
{
	struct stage *stage = case_open(state, TASK_READY);
	if (stage_capabilities(stage) & LAUNCHER_CAN_OUTLIVE) {
		stage_leave(stage); /* with nothing under way: what was begun would live on */
		return;
	}
	case_start(stage, FIRST, TASK_READY, LAUNCHER_START_RUNNING);
	stage_start(stage, SECOND, TASK_READY, LAUNCHER_START_RUNNING, NULL);
	stage_stop(stage, FIRST, LAUNCHER_STOP_DESTROY, NULL);
	stage_leave(stage);
}

/* A stop that is under way when the launcher goes is not what it waits for; the stage's own guard
 * against hangs is the test. Whether the guest is over by then is not said. */
void leaves_during_a_stop(void **state)
{
	struct stage *stage = case_open(state, TASK_READY);
	case_start(stage, FIRST, TASK_READY, LAUNCHER_START_RUNNING);
	assert_int_equal(stage_stop(stage, FIRST, LAUNCHER_STOP_DESTROY, NULL), 0);
	stage_idle(stage, 10); /* it is begun */
	stage_leave(stage);
	stage_close(stage_open(*state, IDENTITY)); /* ends it, where it is still there */
}

/* The service is killed; one guest dies while it is away; what was asked meanwhile is done after. */
void regains_the_connection(void **state)
{
	static const struct instance_id lives = {1, 1}, dies = {2, 1}, waits = {3, 1},
					late = {4, 1};
	const struct subject *subject = *state;
	if (!subject->service_kill) {
		print_message("# skipped: %s: there is no service to lose\n", subject->name);
		skip();
	}
	struct stage *stage = case_open(state, TASK_READY);
	case_wait_ready(stage, case_start(stage, lives, TASK_READY, LAUNCHER_START_RUNNING));
	struct watched *dead = case_start(stage, dies, TASK_READY, LAUNCHER_START_RUNNING);
	struct watched *waiting = case_start(stage, waits, TASK_READY, LAUNCHER_START_PAUSED);
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
	case_wait_ready(stage, waiting);
	case_wait_ready(stage, stage_guest(stage, late));
	STAGE_WAIT(stage, waiting->counts[LAUNCHER_RESUMED]);
	assert_true(guest_is_alive(stage_guest(stage, lives)));
	assert_int_equal(stage->lost, 1);
	assert_int_equal(stage->regained, 1);
	stage_close(stage);
}
