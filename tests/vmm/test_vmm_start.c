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
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "launcher/launcher.h"

#define ID      ((struct instance_id){1, world->generation})
#define HANG_MS 20000

static const char *image, *mode;

struct world {
	uv_loop_t loop;
	uv_timer_t hang;
	struct launcher *launcher;
	char state_dir[32];
	uint32_t generation;
	bool listed, started, over, closed;
	enum launcher_event_type end;
	struct error error;
};

static void on_event(void *ctx, const struct launcher_event *event)
{
	struct world *world = ctx;
	world->listed |= event->type == LAUNCHER_LISTED;
	world->started |= event->type == LAUNCHER_STARTED;
	if (event->type != LAUNCHER_EXITED && event->type != LAUNCHER_START_FAILED)
		return;
	assert_false(world->over);
	world->over = true;
	world->end = event->type;
	world->error = event->error;
}

static void on_closed(void *ctx)
{
	((struct world *)ctx)->closed = true;
}

static void on_hang(uv_timer_t *timer)
{
	(void)timer;
	fail_msg("nothing happened for long");
}

#define WAIT(condition)                                                                            \
	do {                                                                                       \
		uv_timer_start(&world->hang, on_hang, HANG_MS, 0);                                 \
		while (!(condition))                                                               \
			uv_run(&world->loop, UV_RUN_ONCE);                                         \
		uv_timer_stop(&world->hang);                                                       \
	} while (0)

static int create(struct world *world, const char *key, const char *value, struct error *err)
{
	const struct launcher_setting settings[] = {
		{"monitor", SUMMON_VMM}, {"mode", mode}, {key, value}};
	const struct launcher_config config = {.loop = &world->loop,
		.identity = "0123456789abcdef",
		.state_dir = world->state_dir,
		.settings = settings,
		.setting_count = 3,
		.on_event = on_event,
		.ctx = world};
	return launcher_backend_find("vmm")->create(&config, &world->launcher, err);
}

static int make_world(void **state)
{
	static struct world world;
	world = (struct world){.state_dir = "/tmp/summond-start-XXXXXX"};
	if (!mkdtemp(world.state_dir) || uv_loop_init(&world.loop) < 0)
		return -1;
	uv_timer_init(&world.loop, &world.hang);
	*state = &world;
	return 0;
}

/* Without shells, so that each start goes all of its way. */
static void open_world(struct world *world)
{
	assert_int_equal(create(world, "shells", "0", NULL), 0);
	assert_int_equal(world->launcher->ops->list(world->launcher, NULL), 0);
	WAIT(world->listed);
}

static int unmake_world(void **state)
{
	struct world *world = *state;
	if (world->launcher) {
		world->launcher->ops->destroy(world->launcher, on_closed, world);
		WAIT(world->closed);
	}
	uv_close((uv_handle_t *)&world->hang, NULL);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	/* A folder that is not empty stays, and fails the test. */
	return uv_loop_close(&world->loop) < 0 || rmdir(world->state_dir) < 0 ? -1 : 0;
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
	return world->launcher->ops->start(world->launcher, ID, &spec, LAUNCHER_START_RUNNING, err);
}

static void starts_now(struct world *world)
{
	struct error err = ERROR_INIT;
	if (start(world, 32 << 20, NULL, &err) < 0)
		fail_msg("%s", err.message);
	WAIT(world->started || world->over);
	if (world->over)
		fail_msg("%s", world->error.message);
	assert_int_equal(
		world->launcher->ops->stop(world->launcher, ID, LAUNCHER_STOP_DESTROY, NULL), 0);
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
	assert_null(world->launcher);
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
		world->launcher->ops->stop(world->launcher, ID, LAUNCHER_STOP_DESTROY, NULL);
		WAIT(world->over);
	}
	assert_true(failed > 8);
	starts_now(world);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_world, unmake_world)
	const struct CMUnitTest tests[] = {
		CASE(refuses_settings),
		CASE(refuses_a_tap_that_is_none),
		CASE(fails_without_memory),
		CASE(fails_without_descriptors),
	};
	char check[512];
	if (argc != 3)
		return 2;
	image = argv[1];
	mode = argv[2];
	snprintf(check, sizeof(check), "%s --check --mode=%s > /dev/null", SUMMON_VMM, mode);
	if (system(check) != 0) {
		printf("1..0 # SKIP %s cannot run guests here\n", mode);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
