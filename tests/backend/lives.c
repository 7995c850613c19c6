/* SPDX-License-Identifier: ISC */
/*
 * Guests that outlive their daemon. Each life of the daemon is a process of its own, which this
 * program starts of itself: a hypervisor library keeps much in memory that a new daemon has not.
 */
#include "tests/backend/cases.h"

#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OURS   "a1b2c3d4e5f60718"
#define OTHERS "ffffffffffffffff"

#define DELAY "TEST_BACKEND_DELAY" /* of a life that is killed, in ms */

enum { UNABLE = 77, KILL_ROUNDS = 12 };
enum { RUNNING = 1, PREPARED = 2, SUSPENDED = 3, ON_DISK = 4, ON_DISK_TO_STOP = 5 };

static struct instance_id slot(unsigned number)
{
	return (struct instance_id){number, 7};
}

static void begin(struct stage *stage, unsigned number, enum launcher_start how)
{
	struct error err = ERROR_INIT;
	if (stage_start(stage, slot(number), TASK_READY, how, &err) < 0)
		fail_msg("start: %s", err.message);
	struct watched *guest = stage_guest(stage, slot(number));
	STAGE_WAIT(stage, guest->counts[LAUNCHER_STARTED] || guest_is_over(guest));
	if (guest_is_over(guest))
		fail_msg("start: %s", guest->error.message);
	if (how == LAUNCHER_START_RUNNING)
		STAGE_WAIT(stage, guest_is_ready(guest));
}

static bool can(const struct stage *stage, unsigned capability)
{
	return stage_capabilities(stage) & capability;
}

static void begin_and_suspend(struct stage *stage, unsigned number, enum launcher_rest where)
{
	begin(stage, number, LAUNCHER_START_RUNNING);
	assert_int_equal(stage_suspend(stage, slot(number), where, NULL), 0);
	struct watched *guest = stage_guest(stage, slot(number));
	STAGE_WAIT(stage, guest->counts[LAUNCHER_SUSPENDED]);
}

static struct stage *guests_of_all_kinds(const struct subject *subject)
{
	struct stage *stage = stage_open(subject, OURS);
	assert_int_equal(stage->count, 0);
	begin(stage, RUNNING, LAUNCHER_START_RUNNING);
	if (can(stage, LAUNCHER_CAN_PREPARE))
		begin(stage, PREPARED, LAUNCHER_START_PAUSED);
	if (can(stage, LAUNCHER_CAN_SUSPEND))
		begin_and_suspend(stage, SUSPENDED, LAUNCHER_REST_MEMORY);
	if (can(stage, LAUNCHER_CAN_SNAPSHOT)) {
		begin_and_suspend(stage, ON_DISK, LAUNCHER_REST_DISK);
		begin_and_suspend(stage, ON_DISK_TO_STOP, LAUNCHER_REST_DISK);
	}
	return stage;
}

static void life_leave(const struct subject *subject)
{
	stage_leave(guests_of_all_kinds(subject));
}

static void life_killed(const struct subject *subject)
{
	struct stage *stage = guests_of_all_kinds(subject);
	stage_idle(stage, 500); /* that a guest has run is written down after its SUSPENDED */
	kill(getpid(), SIGKILL);
}

static void found_check(struct stage *stage, unsigned number, bool paused, bool booted)
{
	char service[32];
	struct watched *guest = stage_guest(stage, slot(number));
	assert_int_equal(guest->counts[LAUNCHER_FOUND], 1);
	snprintf(service, sizeof(service), "guest-%u.example", number);
	assert_string_equal(guest->service, service);
	assert_string_equal(guest->tap, "");
	assert_int_equal(guest->found.paused, paused);
	if (paused)
		assert_int_equal(guest->found.booted, booted);
	assert_true(guest->found.started_at > 0);
}

/* Finds what an earlier life left, uses it, and ends it. */
static void life_adopt(const struct subject *subject)
{
	struct stage *stage = stage_open(subject, OURS);
	found_check(stage, RUNNING, false, true);
	if (can(stage, LAUNCHER_CAN_PREPARE)) {
		found_check(stage, PREPARED, true, false);
		assert_int_equal(stage_resume(stage, slot(PREPARED), NULL), 0);
		struct watched *guest = stage_guest(stage, slot(PREPARED));
		STAGE_WAIT(stage, guest->counts[LAUNCHER_RESUMED]);
		if (can(stage, LAUNCHER_CAN_CONSOLE))
			STAGE_WAIT(stage, guest_is_ready(guest));
	}
	if (can(stage, LAUNCHER_CAN_SUSPEND)) {
		found_check(stage, SUSPENDED, true, true);
		assert_false(stage_guest(stage, slot(SUSPENDED))->found.on_disk);
	}
	if (can(stage, LAUNCHER_CAN_SNAPSHOT)) {
		found_check(stage, ON_DISK_TO_STOP, true, true);
		found_check(stage, ON_DISK, true, true);
		assert_int_equal(stage_resume(stage, slot(ON_DISK), NULL), 0);
		struct watched *guest = stage_guest(stage, slot(ON_DISK));
		STAGE_WAIT(stage, guest->counts[LAUNCHER_RESUMED]);
	}
	struct instance_id next = {RUNNING, 8};
	assert_int_equal(stage_start(stage, next, TASK_READY, LAUNCHER_START_RUNNING, NULL), 0);
	STAGE_WAIT(stage, guest_is_ready(stage_guest(stage, next)));
	stage_close(stage);
}

static void life_nothing(const struct subject *subject)
{
	struct stage *stage = stage_open(subject, OURS);
	assert_int_equal(stage->count, 0);
	stage_close(stage);
}

static void life_other(const struct subject *subject)
{
	struct stage *stage = stage_open(subject, OTHERS);
	assert_int_equal(stage->count, 0);
	assert_true(stage_stop(stage, slot(RUNNING), LAUNCHER_STOP_DESTROY, NULL) < 0);
	/* Its own guest may have the very same id. */
	begin(stage, RUNNING, LAUNCHER_START_RUNNING);
	stage_close(stage);
}

static void wait_and_die(struct stage *stage)
{
	const char *delay = getenv(DELAY);
	stage_idle(stage, delay ? (unsigned)atoi(delay) : 0);
	kill(getpid(), SIGKILL);
}

/* Killed in the middle of starting. */
static void life_dying(const struct subject *subject)
{
	struct stage *stage = stage_open(subject, OURS);
	bool prepare = can(stage, LAUNCHER_CAN_PREPARE);
	for (unsigned number = 1; number <= 3; number++)
		stage_start(stage, slot(number), TASK_READY,
			number == 2 && prepare ? LAUNCHER_START_PAUSED : LAUNCHER_START_RUNNING,
			NULL);
	wait_and_die(stage);
}

static void two_on_disk(struct stage *stage, bool wait)
{
	begin(stage, 1, LAUNCHER_START_RUNNING);
	begin(stage, 2, LAUNCHER_START_RUNNING);
	for (unsigned number = 1; number <= 2; number++) {
		struct watched *guest = stage_guest(stage, slot(number));
		assert_int_equal(stage_suspend(stage, slot(number), LAUNCHER_REST_DISK, NULL), 0);
		if (wait)
			STAGE_WAIT(stage, guest->counts[LAUNCHER_SUSPENDED]);
	}
}

/* Killed while guests go to disk, and while they come back. */
static void life_dying_saving(const struct subject *subject)
{
	struct stage *stage = stage_open(subject, OURS);
	two_on_disk(stage, false);
	wait_and_die(stage);
}

static void life_dying_restoring(const struct subject *subject)
{
	struct stage *stage = stage_open(subject, OURS);
	two_on_disk(stage, true);
	for (unsigned number = 1; number <= 2; number++)
		assert_int_equal(stage_resume(stage, slot(number), NULL), 0);
	wait_and_die(stage);
}

/* They are all there, on disk or not; each runs again, and can then be ended. */
static void life_wake(const struct subject *subject)
{
	struct stage *stage = stage_open(subject, OURS);
	assert_int_equal(stage->count, 2);
	for (unsigned number = 1; number <= 2; number++) {
		struct watched *guest = stage_guest(stage, slot(number));
		assert_int_equal(guest->counts[LAUNCHER_FOUND], 1);
		if (guest->found.paused) {
			assert_int_equal(stage_resume(stage, slot(number), NULL), 0);
			STAGE_WAIT(stage, guest->counts[LAUNCHER_RESUMED] || guest_is_over(guest) ||
						  guest->counts[LAUNCHER_OPERATION_FAILED]);
			assert_int_equal(guest->counts[LAUNCHER_RESUMED], 1);
		}
	}
	stage_close(stage);
}

/* Whatever is found can be ended. Nobody has suspended it: what is paused has not run. */
static void life_clear(const struct subject *subject)
{
	struct stage *stage = stage_open(subject, OURS);
	assert_true(stage->count <= 3);
	for (size_t i = 0; i < stage->count; i++)
		assert_false(stage->guests[i].found.paused && stage->guests[i].found.booted);
	stage_close(stage);
}

/* In a process of its own too: only one at a time can have the embedded driver's folder. */
static void life_able(const struct subject *subject)
{
	struct stage *stage = stage_open(subject, OURS);
	bool able = can(stage, LAUNCHER_CAN_OUTLIVE);
	stage_leave(stage);
	if (!able)
		exit(UNABLE);
}

static void life_able_disk(const struct subject *subject)
{
	struct stage *stage = stage_open(subject, OURS);
	bool able = can(stage, LAUNCHER_CAN_OUTLIVE) && can(stage, LAUNCHER_CAN_SNAPSHOT);
	stage_leave(stage);
	if (!able)
		exit(UNABLE);
}

static const struct {
	const char *name;
	void (*run)(const struct subject *subject);
} lives[] = {
	{"able", life_able},
	{"leave", life_leave},
	{"killed", life_killed},
	{"adopt", life_adopt},
	{"nothing", life_nothing},
	{"other", life_other},
	{"dying", life_dying},
	{"clear", life_clear},
	{"dying-saving", life_dying_saving},
	{"dying-restoring", life_dying_restoring},
	{"wake", life_wake},
	{"able-disk", life_able_disk},
};

int life_main(const struct subject *subject, const char *life)
{
	for (size_t i = 0; i < sizeof(lives) / sizeof(lives[0]); i++)
		if (strcmp(lives[i].name, life) == 0) {
			lives[i].run(subject); /* a failed assertion exits with an error */
			return 0;
		}
	return 2;
}

static int life_run(const struct subject *subject, const char *life)
{
	extern char **environ;
	char program[] = "test_backend", name[32], image[256], which[16];
	snprintf(name, sizeof(name), "%s", subject->name);
	snprintf(image, sizeof(image), "%s", places.guest_image);
	snprintf(which, sizeof(which), "%s", life);
	char *const args[] = {program, name, image, which, places.state_dir, NULL};
	pid_t child;
	int status;
	assert_int_equal(posix_spawn(&child, "/proc/self/exe", NULL, NULL, args, environ), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void need_life(const struct subject *subject, const char *life, const char *what)
{
	int r = life_run(subject, life);
	if (r == 0)
		return;
	assert_int_equal(r, UNABLE);
	print_message("# skipped: %s cannot %s\n", subject->name, what);
	skip();
}

static void need_outlive(const struct subject *subject)
{
	need_life(subject, "able", "outlive");
}

void adopts_after_leaving(void **state)
{
	need_outlive(*state);
	assert_int_equal(life_run(*state, "leave"), 0);
	assert_int_equal(life_run(*state, "adopt"), 0);
	assert_int_equal(life_run(*state, "nothing"), 0);
}

void adopts_after_a_kill(void **state)
{
	need_outlive(*state);
	assert_int_equal(life_run(*state, "killed"), -SIGKILL);
	assert_int_equal(life_run(*state, "adopt"), 0);
	assert_int_equal(life_run(*state, "nothing"), 0);
}

void leaves_others_alone(void **state)
{
	need_outlive(*state);
	assert_int_equal(life_run(*state, "leave"), 0);
	assert_int_equal(life_run(*state, "other"), 0);
	assert_int_equal(life_run(*state, "adopt"), 0);
}

/* A life that is killed at many points of what it does; then the next one, after which nothing is
 * left. */
static void kill_at_many_points(
	const struct subject *subject, const char *dying, const char *next, unsigned step_ms)
{
	unsigned rounds = subject->kill_rounds ? subject->kill_rounds : KILL_ROUNDS;
	if (subject->kill_step_ms)
		step_ms = subject->kill_step_ms;
	for (unsigned round = 0; round < rounds; round++) {
		char delay[16];
		snprintf(delay, sizeof(delay), "%u", round * step_ms);
		setenv(DELAY, delay, 1);
		assert_int_equal(life_run(subject, dying), -SIGKILL);
		assert_int_equal(life_run(subject, next), 0);
		assert_int_equal(life_run(subject, "nothing"), 0);
		assert_int_equal(hypervisors_left(), 0);
	}
}

void clears_after_a_kill_in_a_start(void **state)
{
	need_outlive(*state);
	kill_at_many_points(*state, "dying", "clear", 11);
}

void wakes_after_a_kill_in_a_save(void **state)
{
	need_life(*state, "able-disk", "keep guests on disk that outlive it");
	kill_at_many_points(*state, "dying-saving", "wake", 30);
	kill_at_many_points(*state, "dying-restoring", "wake", 10);
}
