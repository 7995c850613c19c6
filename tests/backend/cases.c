/* SPDX-License-Identifier: ISC */
/* What every backend must do, one case a promise: starts, stops and what is in between. */
#include "tests/backend/cases.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

struct stage *case_open(void **state, enum task task)
{
	const struct subject *subject = *state;
	need_task(subject, task);
	return stage_open(subject, IDENTITY);
}

/* A guest that was started and has answered. */
struct watched *case_start(
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

bool case_has_console(const struct stage *stage)
{
	return stage_capabilities(stage) & LAUNCHER_CAN_CONSOLE;
}

void case_wait_ready(struct stage *stage, struct watched *guest)
{
	if (case_has_console(stage))
		STAGE_WAIT(stage, guest_is_ready(guest));
}

unsigned hypervisors_left(void)
{
	unsigned left = 0;
	CLEANUP(closedir) DIR *proc = opendir("/proc");
	for (struct dirent *entry; proc && (entry = readdir(proc));) {
		char path[sizeof(entry->d_name) + 16], line[4096];
		snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
		CLEANUP(fclose)
		FILE *file = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? fopen(path, "re")
										: NULL;
		size_t length = file ? fread(line, 1, sizeof(line), file) : 0;
		left += memmem(line, length, "guest=summond", 13) &&
			memmem(line, length, places.state_dir, strlen(places.state_dir));
	}
	return left;
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
		.run_dir = places.state_dir,
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
	struct stage *stage = case_open(state, TASK_READY);
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
	struct stage *stage = case_open(state, TASK_READY);
	struct watched *guest = case_start(stage, FIRST, TASK_READY, LAUNCHER_START_RUNNING);
	case_wait_ready(stage, guest);
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
	struct stage *stage = case_open(state, TASK_READY);
	stage_need(stage, LAUNCHER_CAN_PREPARE);
	struct watched *guest = case_start(stage, FIRST, TASK_READY, LAUNCHER_START_PAUSED);
	stage_idle(stage, 60);
	assert_int_equal(guest->output_total, 0);
	assert_int_equal(stage_resume(stage, FIRST, NULL), 0);
	STAGE_WAIT(stage, guest->counts[LAUNCHER_RESUMED]);
	case_wait_ready(stage, guest);
	stage_close(stage);
}

static void refuses_to_prepare(void **state)
{
	struct stage *stage = case_open(state, TASK_READY);
	if (stage_capabilities(stage) & LAUNCHER_CAN_PREPARE) {
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
	struct stage *stage = case_open(state, TASK_READY);
	stage_need(stage, LAUNCHER_CAN_SUSPEND);
	struct watched *guest = case_start(stage, FIRST, TASK_READY, LAUNCHER_START_RUNNING);
	case_wait_ready(stage, guest);
	for (unsigned round = 1; round <= 3; round++) {
		assert_int_equal(stage_suspend(stage, FIRST, LAUNCHER_REST_MEMORY, NULL), 0);
		STAGE_WAIT(stage, guest->counts[LAUNCHER_SUSPENDED] == round);
		assert_int_equal(stage_resume(stage, FIRST, NULL), 0);
		STAGE_WAIT(stage, guest->counts[LAUNCHER_RESUMED] == round);
	}
	assert_int_equal(guest->counts[LAUNCHER_OPERATION_FAILED], 0);
	stage_close(stage);
}

/* It goes on where it was: it does not boot again, and hears what it heard before. */
static void rests_on_disk(void **state)
{
	struct stage *stage = case_open(state, TASK_OBEY);
	stage_need(stage, LAUNCHER_CAN_SNAPSHOT);
	stage_need(stage, LAUNCHER_CAN_SHUTDOWN);
	struct watched *guest = case_start(stage, FIRST, TASK_OBEY, LAUNCHER_START_RUNNING);
	case_wait_ready(stage, guest);
	for (unsigned round = 1; round <= 2; round++) {
		assert_int_equal(stage_suspend(stage, FIRST, LAUNCHER_REST_DISK, NULL), 0);
		STAGE_WAIT(stage, guest->counts[LAUNCHER_SUSPENDED] == round);
		assert_int_equal(hypervisors_left(), 0);
		assert_int_equal(stage_resume(stage, FIRST, NULL), 0);
		STAGE_WAIT(stage, guest->counts[LAUNCHER_RESUMED] == round);
	}
	assert_int_equal(guest->counts[LAUNCHER_OPERATION_FAILED], 0);
	assert_int_equal(stage_stop(stage, FIRST, LAUNCHER_STOP_SHUTDOWN, NULL), 0);
	STAGE_WAIT(stage, guest_is_over(guest));
	assert_int_equal(guest->exit, LAUNCHER_EXIT_SHUTDOWN);
	const char *line = strstr(guest->output, READY_LINE);
	assert_true(!line || !strstr(line + 1, READY_LINE));
	stage_close(stage);
}

/* Paused, and then to disk without having run; and on from there. */
static void goes_deeper_at_rest(void **state)
{
	struct stage *stage = case_open(state, TASK_OBEY);
	stage_need(stage, LAUNCHER_CAN_SNAPSHOT);
	stage_need(stage, LAUNCHER_CAN_SUSPEND);
	stage_need(stage, LAUNCHER_CAN_SHUTDOWN);
	struct watched *guest = case_start(stage, FIRST, TASK_OBEY, LAUNCHER_START_RUNNING);
	case_wait_ready(stage, guest);
	assert_int_equal(stage_suspend(stage, FIRST, LAUNCHER_REST_MEMORY, NULL), 0);
	STAGE_WAIT(stage, guest->counts[LAUNCHER_SUSPENDED] == 1);
	assert_int_equal(stage_suspend(stage, FIRST, LAUNCHER_REST_DISK, NULL), 0);
	STAGE_WAIT(stage, guest->counts[LAUNCHER_SUSPENDED] == 2);
	assert_int_equal(hypervisors_left(), 0);
	assert_int_equal(stage_resume(stage, FIRST, NULL), 0);
	STAGE_WAIT(stage, guest->counts[LAUNCHER_RESUMED] == 1);
	assert_int_equal(guest->counts[LAUNCHER_OPERATION_FAILED], 0);
	assert_int_equal(stage_stop(stage, FIRST, LAUNCHER_STOP_SHUTDOWN, NULL), 0);
	STAGE_WAIT(stage, guest_is_over(guest));
	assert_int_equal(guest->exit, LAUNCHER_EXIT_SHUTDOWN);
	stage_close(stage);
}

static unsigned files_kept(void)
{
	char path[128];
	unsigned count = 0;
	snprintf(path, sizeof(path), "%s/saved", places.state_dir);
	CLEANUP(closedir) DIR *dir = opendir(path);
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		count += entry->d_name[0] != '.';
	return count;
}

static void stops_on_disk(void **state)
{
	static const enum launcher_stop ways[] = {LAUNCHER_STOP_DESTROY, LAUNCHER_STOP_SHUTDOWN};
	struct stage *stage = case_open(state, TASK_READY);
	stage_need(stage, LAUNCHER_CAN_SNAPSHOT);
	stage_need(stage, LAUNCHER_CAN_SHUTDOWN);
	for (unsigned i = 0; i < 2; i++) {
		struct instance_id id = {1, i + 1};
		struct watched *guest = case_start(stage, id, TASK_READY, LAUNCHER_START_RUNNING);
		case_wait_ready(stage, guest);
		assert_int_equal(stage_suspend(stage, id, LAUNCHER_REST_DISK, NULL), 0);
		STAGE_WAIT(stage, guest->counts[LAUNCHER_SUSPENDED]);
		assert_int_equal(stage_stop(stage, id, ways[i], NULL), 0);
		STAGE_WAIT(stage, guest_is_over(guest));
		assert_int_equal(guest->exit, LAUNCHER_EXIT_DESTROYED);
		assert_int_equal(files_kept(), 0);
	}
	stage_close(stage);
}

/* libvirt may still be writing for a daemon that is gone when the next one takes the guest for awake.
 * What it has written then belongs to no guest. */
static void forgets_a_late_save(void **state)
{
	const struct subject *subject = *state;
	if (!subject->save) {
		print_message("# skipped: %s: nobody else saves its guests\n", subject->name);
		skip();
	}
	struct stage *stage = case_open(state, TASK_READY);
	struct watched *guest = case_start(stage, FIRST, TASK_READY, LAUNCHER_START_RUNNING);
	case_wait_ready(stage, guest);
	char domain[64], path[192];
	snprintf(domain, sizeof(domain), "summond-%.8s-1-1", IDENTITY);
	snprintf(path, sizeof(path), "%s/saved/%s-1-1", places.state_dir, IDENTITY);
	subject->save(domain, path);
	STAGE_WAIT(stage, guest_is_over(guest));
	assert_int_equal(guest->exit, LAUNCHER_EXIT_CRASHED);
	assert_int_equal(files_kept(), 0);
	stage_close(stage);
}

/* Asked for in one turn, they still take effect in their order. */
static void keeps_the_order(void **state)
{
	static const enum launcher_event_type expected[] = {LAUNCHER_STARTED, LAUNCHER_RESUMED,
		LAUNCHER_SUSPENDED, LAUNCHER_RESUMED, LAUNCHER_EXITED};
	struct stage *stage = case_open(state, TASK_READY);
	stage_need(stage, LAUNCHER_CAN_PREPARE);
	stage_need(stage, LAUNCHER_CAN_SUSPEND);
	assert_int_equal(stage_start(stage, FIRST, TASK_READY, LAUNCHER_START_PAUSED, NULL), 0);
	assert_int_equal(stage_resume(stage, FIRST, NULL), 0);
	assert_int_equal(stage_suspend(stage, FIRST, LAUNCHER_REST_MEMORY, NULL), 0);
	assert_int_equal(stage_resume(stage, FIRST, NULL), 0);
	struct watched *guest = stage_guest(stage, FIRST);
	STAGE_WAIT(stage, guest->counts[LAUNCHER_RESUMED] == 2 || guest_is_over(guest));
	case_wait_ready(stage, guest);
	assert_int_equal(stage_stop(stage, FIRST, LAUNCHER_STOP_DESTROY, NULL), 0);
	STAGE_WAIT(stage, guest_is_over(guest));
	assert_int_equal(guest->events, sizeof(expected) / sizeof(expected[0]));
	assert_memory_equal(guest->history, expected, sizeof(expected));
	stage_close(stage);
}

static void shuts_down(void **state)
{
	struct stage *stage = case_open(state, TASK_OBEY);
	stage_need(stage, LAUNCHER_CAN_SHUTDOWN);
	struct watched *guest = case_start(stage, FIRST, TASK_OBEY, LAUNCHER_START_RUNNING);
	case_wait_ready(stage, guest);
	assert_int_equal(stage_stop(stage, FIRST, LAUNCHER_STOP_SHUTDOWN, NULL), 0);
	STAGE_WAIT(stage, guest_is_over(guest));
	assert_int_equal(guest->exit, LAUNCHER_EXIT_SHUTDOWN);
	stage_close(stage);
}

/* A guest that is deaf to shutdown, or paused, can still be ended. */
static void destroys_after_shutdown(void **state)
{
	struct stage *stage = case_open(state, TASK_SILENT);
	stage_need(stage, LAUNCHER_CAN_SHUTDOWN);
	struct watched *guest = case_start(stage, FIRST, TASK_SILENT, LAUNCHER_START_RUNNING);
	assert_int_equal(stage_stop(stage, FIRST, LAUNCHER_STOP_SHUTDOWN, NULL), 0);
	stage_stop(stage, FIRST, LAUNCHER_STOP_DESTROY, NULL);
	STAGE_WAIT(stage, guest_is_over(guest));
	assert_int_equal(guest->counts[LAUNCHER_EXITED], 1);
	stage_close(stage);
}

static void shuts_down_paused_guest(void **state)
{
	struct stage *stage = case_open(state, TASK_READY);
	stage_need(stage, LAUNCHER_CAN_SHUTDOWN);
	stage_need(stage, LAUNCHER_CAN_PREPARE);
	struct watched *guest = case_start(stage, FIRST, TASK_READY, LAUNCHER_START_PAUSED);
	assert_int_equal(stage_stop(stage, FIRST, LAUNCHER_STOP_SHUTDOWN, NULL), 0);
	STAGE_WAIT(stage, guest_is_over(guest));
	assert_int_equal(guest->exit, LAUNCHER_EXIT_DESTROYED);
	stage_close(stage);
}

static void stops_before_started(void **state)
{
	struct stage *stage = case_open(state, TASK_READY);
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
	struct stage *stage = case_open(state, TASK_READY);
	struct watched *guest = case_start(stage, FIRST, TASK_READY, LAUNCHER_START_RUNNING);
	assert_int_equal(stage_stop(stage, FIRST, LAUNCHER_STOP_DESTROY, NULL), 0);
	stage_stop(stage, FIRST, LAUNCHER_STOP_DESTROY, NULL);
	STAGE_WAIT(stage, guest_is_over(guest));
	stage_idle(stage, 50);
	assert_int_equal(guest->counts[LAUNCHER_EXITED], 1);
	stage_close(stage);
}

static void refuses_missing_kernel(void **state)
{
	struct stage *stage = case_open(state, TASK_MISSING);
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
	struct stage *stage = case_open(state, TASK_FAIL);
	int r = stage_start(stage, FIRST, TASK_FAIL, LAUNCHER_START_RUNNING, NULL);
	if (r == 0) {
		struct watched *guest = stage_guest(stage, FIRST);
		STAGE_WAIT(stage, guest_is_over(guest));
		assert_int_equal(guest->counts[LAUNCHER_START_FAILED], 1);
		assert_true(guest->error.code < 0);
		assert_true(guest->error.message[0]);
	}
	assert_true(stage_stop(stage, FIRST, LAUNCHER_STOP_DESTROY, NULL) < 0);
	struct watched *again = case_start(stage, SECOND, TASK_READY, LAUNCHER_START_RUNNING);
	case_wait_ready(stage, again);
	stage_close(stage);
}

static void refuses_unknown_instances(void **state)
{
	struct stage *stage = case_open(state, TASK_READY);
	struct watched *guest = case_start(stage, FIRST, TASK_READY, LAUNCHER_START_RUNNING);
	assert_true(stage_start(stage, FIRST, TASK_READY, LAUNCHER_START_RUNNING, NULL) < 0);
	assert_true(stage_resume(stage, SECOND, NULL) < 0);
	assert_true(stage_suspend(stage, SECOND, LAUNCHER_REST_MEMORY, NULL) < 0);
	assert_true(stage_stop(stage, SECOND, LAUNCHER_STOP_DESTROY, NULL) < 0);
	case_wait_ready(stage, guest);
	assert_true(guest_is_alive(guest));
	stage_close(stage);
}

/* How a guest does, also while it is paused; of one that is not there, nothing. */
static void tells_its_figures(void **state)
{
	struct stage *stage = case_open(state, TASK_READY);
	const struct launcher_ops *ops = stage->launcher->ops;
	if (!ops->measure) {
		print_message("# skipped: %s has no figures\n", stage->subject->name);
		stage_close(stage);
		skip();
	}
	struct watched *guest = case_start(stage, FIRST, TASK_READY, LAUNCHER_START_RUNNING);
	case_wait_ready(stage, guest);
	assert_int_equal(ops->measure(stage->launcher, FIRST, NULL), 0);
	STAGE_WAIT(stage, guest->counts[LAUNCHER_MEASURED] == 1);
	assert_true(guest->figures.mode[0]);
	assert_true(guest->figures.exits > 0);
	assert_true(guest->figures.resident > 0);
	assert_true(guest->figures.cpu_ns > 0);
	if (stage_capabilities(stage) & LAUNCHER_CAN_SUSPEND) {
		assert_int_equal(stage_suspend(stage, FIRST, LAUNCHER_REST_MEMORY, NULL), 0);
		assert_int_equal(ops->measure(stage->launcher, FIRST, NULL), 0);
		STAGE_WAIT(stage, guest->counts[LAUNCHER_MEASURED] == 2);
	}
	assert_int_equal(ops->measure(stage->launcher, SECOND, NULL), -ESRCH);
	stage_close(stage);
}

/* The next life of a slot begins while the last one ends; their events do not mix. */
static void lives_overlap(void **state)
{
	struct stage *stage = case_open(state, TASK_READY);
	case_start(stage, FIRST, TASK_READY, LAUNCHER_START_RUNNING);
	assert_int_equal(stage_stop(stage, FIRST, LAUNCHER_STOP_DESTROY, NULL), 0);
	struct watched *second = case_start(stage, SECOND, TASK_READY, LAUNCHER_START_RUNNING);
	STAGE_WAIT(stage, guest_is_over(stage_guest(stage, FIRST)));
	case_wait_ready(stage, second);
	stage_idle(stage, 20);
	assert_true(guest_is_alive(second));
	stage_close(stage);
}

static void starts_a_crowd(void **state)
{
	struct stage *stage = case_open(state, TASK_READY);
	unsigned crowd = stage->subject->crowd ? stage->subject->crowd : 16;
	for (unsigned slot = 1; slot <= crowd; slot++)
		assert_int_equal(stage_start(stage, (struct instance_id){slot, 1}, TASK_READY,
					 LAUNCHER_START_RUNNING, NULL),
			0);
	for (unsigned slot = 1; slot <= crowd; slot++) {
		struct watched *guest = stage_guest(stage, (struct instance_id){slot, 1});
		STAGE_WAIT(stage, guest->counts[LAUNCHER_STARTED] || guest_is_over(guest));
		assert_true(guest_is_alive(guest));
		case_wait_ready(stage, guest);
	}
	stage_close(stage);
}

const struct CMUnitTest backend_cases[] = {
	cmocka_unit_test(refuses_unknown_settings),
	cmocka_unit_test(describes_itself),
	cmocka_unit_test(starts_and_destroys),
	cmocka_unit_test(prepares_and_resumes),
	cmocka_unit_test(refuses_to_prepare),
	cmocka_unit_test(suspends_and_resumes),
	cmocka_unit_test(rests_on_disk),
	cmocka_unit_test(goes_deeper_at_rest),
	cmocka_unit_test(stops_on_disk),
	cmocka_unit_test(forgets_a_late_save),
	cmocka_unit_test(keeps_the_order),
	cmocka_unit_test(shuts_down),
	cmocka_unit_test(destroys_after_shutdown),
	cmocka_unit_test(shuts_down_paused_guest),
	cmocka_unit_test(stops_before_started),
	cmocka_unit_test(stops_twice),
	cmocka_unit_test(refuses_missing_kernel),
	cmocka_unit_test(fails_and_starts_again),
	cmocka_unit_test(refuses_unknown_instances),
	cmocka_unit_test(tells_its_figures),
	cmocka_unit_test(lives_overlap),
	cmocka_unit_test(starts_a_crowd),
	cmocka_unit_test(tells_of_power_off),
	cmocka_unit_test(tells_of_crash),
	cmocka_unit_test(tells_of_murder),
	cmocka_unit_test(drains_the_console),
	cmocka_unit_test(leaves_in_the_middle),
	cmocka_unit_test(leaves_during_a_stop),
	cmocka_unit_test(adopts_after_leaving),
	cmocka_unit_test(adopts_after_a_kill),
	cmocka_unit_test(leaves_others_alone),
	cmocka_unit_test(clears_after_a_kill_in_a_start),
	cmocka_unit_test(wakes_after_a_kill_in_a_save),
	cmocka_unit_test(regains_the_connection),
	cmocka_unit_test(keeps_promises_at_random),
};
const size_t backend_case_count = sizeof(backend_cases) / sizeof(backend_cases[0]);
