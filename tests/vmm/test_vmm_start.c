/* SPDX-License-Identifier: ISC */
/* test_vmm_start GUEST-IMAGE MODE: what the vmm backend does where a start cannot succeed. Nothing may be
 * left of it, and the next one succeeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/vmm/launched.h"

#define ID ((struct instance_id){1, world->generation})

static const char *image, *mode;

/* A thread that has begun a monitor comes back to say so when it is let (ld(1), --wrap). */
static atomic_bool is_late;
static sem_t let;

long __real_clone(long a, long b, long c, long d, long e, long f);
long __wrap_clone(long a, long b, long c, long d, long e, long f);
long __wrap_clone(long a, long b, long c, long d, long e, long f)
{
	long pid = __real_clone(a, b, c, d, e, f);
	while (is_late && sem_wait(&let) < 0)
		; /* a signal */
	return pid;
}

struct world {
	struct launched base;
	uint32_t generation;
	bool listed, started, speaks, suspended, over;
	unsigned measured;
	struct launcher_figures figures;
	enum launcher_event_type end;
	struct error error;
};

static void on_event(void *ctx, const struct launcher_event *event)
{
	struct world *world = ctx;
	world->listed |= event->type == LAUNCHER_LISTED;
	world->started |= event->type == LAUNCHER_STARTED;
	world->speaks |= event->type == LAUNCHER_OUTPUT;
	world->suspended |= event->type == LAUNCHER_SUSPENDED;
	if (event->type == LAUNCHER_MEASURED) {
		world->figures = event->figures;
		world->measured++;
	}
	if (event->type != LAUNCHER_EXITED && event->type != LAUNCHER_START_FAILED)
		return;
	assert_false(world->over);
	world->over = true;
	world->end = event->type;
	world->error = event->error;
}

#define WAIT(condition) LAUNCHED_WAIT(&world->base, condition)

static int create(struct world *world, const char *key, const char *value, struct error *err)
{
	const struct launcher_setting settings[] = {
		{"monitor", SUMMON_VMM}, {"mode", mode}, {key, value}};
	return launched_create(&world->base, settings, on_event, world, err);
}

static int make_world(void **state)
{
	static struct world world;
	world = (struct world){0};
	*state = &world;
	return launched_init(&world.base, "start");
}

/* Without shells, so that each start goes all of its way. */
static void open_world(struct world *world)
{
	assert_int_equal(create(world, "shells", "0", NULL), 0);
	assert_int_equal(world->base.launcher->ops->list(world->base.launcher, NULL), 0);
	WAIT(world->listed);
}

/* A folder that is not empty stays, and fails the test. */
static int unmake_world(void **state)
{
	return launched_finish(&((struct world *)*state)->base);
}

static int start(struct world *world, uint64_t memory, const char *tap, struct error *err)
{
	const struct guest_spec spec = {.service = "a.example",
		.kernel = image,
		.cmdline = "",
		.memory = memory,
		.vcpus = 1,
		.tap = tap,
		.tap_fd = -1};
	world->generation++;
	world->started = world->over = false;
	return world->base.launcher->ops->start(
		world->base.launcher, ID, &spec, LAUNCHER_START_RUNNING, err);
}

static void starts_now(struct world *world)
{
	struct error err = ERROR_INIT;
	if (start(world, 32 << 20, NULL, &err) < 0)
		fail_msg("%s", err.message);
	WAIT(world->started || world->over);
	if (world->over)
		fail_msg("%s", world->error.message);
	assert_int_equal(world->base.launcher->ops->stop(
				 world->base.launcher, ID, LAUNCHER_STOP_DESTROY, NULL),
		0);
	WAIT(world->over);
}

static void refuses_settings(void **state)
{
	struct world *world = *state;
	struct error err = ERROR_INIT;
	assert_int_equal(create(world, "shells", "65", &err), -EINVAL);
	assert_non_null(strstr(err.message, "shells"));
	assert_int_equal(create(world, "mode", "xen", &err), -EINVAL);
	assert_non_null(strstr(err.message, "auto, kvm, process"));
	assert_int_equal(create(world, "monitor", "/none", &err), -EINVAL);
	assert_non_null(strstr(err.message, "/none"));
	assert_null(world->base.launcher);
}

static void refuses_a_tap_that_is_none(void **state)
{
	struct world *world = *state;
	struct error err = ERROR_INIT;
	open_world(world);
	assert_true(start(world, 32 << 20, "lo", &err) < 0);
	assert_non_null(strstr(err.message, "tap lo: "));
	assert_true(start(world, 32 << 20, "a-name-that-is-too-long", &err) < 0);
	assert_non_null(strstr(err.message, "15 bytes"));
	starts_now(world);
}

static void fails_without_memory(void **state)
{
	struct world *world = *state;
	open_world(world);
	assert_int_equal(start(world, 1 << 20, NULL, NULL), 0);
	WAIT(world->over);
	assert_int_equal(world->end, LAUNCHER_START_FAILED);
	assert_non_null(strstr(world->error.message, "4MiB"));
	starts_now(world);
}

/* The descriptors run out at every step in turn, in the launcher and in the monitor. */
static void fails_without_descriptors(void **state)
{
	struct world *world = *state;
	struct rlimit all, few;
	unsigned failed = 0;
	open_world(world);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	few = all;
	for (few.rlim_cur = 0; few.rlim_cur < 32; few.rlim_cur++) {
		struct error err = ERROR_INIT;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		int r = start(world, 32 << 20, NULL, &err);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
		if (r < 0) {
			assert_true(err.code < 0 && err.message[0]);
			failed++;
			continue;
		}
		WAIT(world->started || world->over);
		if (world->over) {
			assert_int_equal(world->end, LAUNCHER_START_FAILED);
			assert_true(world->error.code < 0 && world->error.message[0]);
			failed++;
			continue;
		}
		world->base.launcher->ops->stop(
			world->base.launcher, ID, LAUNCHER_STOP_DESTROY, NULL);
		WAIT(world->over);
	}
	assert_true(failed > 8);
	starts_now(world);
}

/* A guest can be heard of before the thread that has begun its monitor is back. */
static void is_measured_once_its_process_is_known(void **state)
{
	struct world *world = *state;
	open_world(world);
	is_late = true;
	assert_int_equal(start(world, 32 << 20, NULL, NULL), 0);
	WAIT(world->speaks || world->over);
	assert_int_equal(world->base.launcher->ops->measure(world->base.launcher, ID, NULL), 0);
	assert_int_equal(world->base.launcher->ops->measure(world->base.launcher, ID, NULL), 0);
	assert_int_equal(world->base.launcher->ops->suspend(
				 world->base.launcher, ID, LAUNCHER_REST_MEMORY, NULL),
		0);
	WAIT(world->suspended || world->over);
	assert_int_equal(world->measured, 0);
	is_late = false;
	sem_post(&let);
	WAIT(world->measured == 2 || world->over);
	assert_string_equal(world->figures.mode, mode);
	assert_true(world->figures.exits > 0);
	assert_true(world->figures.resident > 0);
	assert_true(world->figures.cpu_ns > 0);
	assert_int_equal(world->base.launcher->ops->stop(
				 world->base.launcher, ID, LAUNCHER_STOP_DESTROY, NULL),
		0);
	WAIT(world->over);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_world, unmake_world)
	const struct CMUnitTest tests[] = {
		CASE(refuses_settings),
		CASE(refuses_a_tap_that_is_none),
		CASE(fails_without_memory),
		CASE(fails_without_descriptors),
		CASE(is_measured_once_its_process_is_known),
	};
	if (argc != 3)
		return 2;
	image = argv[1];
	mode = argv[2];
	if (!launched_can_run(SUMMON_VMM, mode))
		return 0;
	if (sem_init(&let, 0, 0) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
