/* SPDX-License-Identifier: ISC */
/* test_vmm_templates GUEST-IMAGE MODE: guests that begin from what another one was, and guests that
 * cannot be kept on disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tests/vmm/launched.h"

#define PATH 128

static const char *guest_image, *mode;

struct world {
	struct launched base;
	char image[PATH];
	struct instance_id id; /* of the guest in hand */
	unsigned counts[LAUNCHER_REGAINED + 1];
	struct error error;
	char console[4096];
	size_t console_size;
};

static void on_event(void *ctx, const struct launcher_event *event)
{
	struct world *world = ctx;
	world->counts[event->type]++;
	if (event->error.code < 0)
		world->error = event->error;
	if (event->type != LAUNCHER_OUTPUT)
		return;
	size_t room = sizeof(world->console) - 1 - world->console_size;
	size_t size = event->length < room ? event->length : room;
	memcpy(world->console + world->console_size, event->data, size);
	world->console_size += size;
}

#define WAIT(condition) LAUNCHED_WAIT(&world->base, condition)

static void copy_image(const struct world *world)
{
	char bytes[65536];
	CLEANUP(fclose) FILE *from = fopen(guest_image, "rb");
	CLEANUP(fclose) FILE *to = fopen(world->image, "wb");
	assert_true(from && to);
	size_t size = fread(bytes, 1, sizeof(bytes), from);
	assert_int_equal(fwrite(bytes, 1, size, to), size);
}

static void open_launcher(struct world *world, const char *templates)
{
	const struct launcher_setting settings[] = {
		{"monitor", SUMMON_VMM}, {"mode", mode}, {"templates", templates}};
	struct error err = ERROR_INIT;
	memset(world->counts, 0, sizeof(world->counts));
	if (launched_create(&world->base, settings, on_event, world, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(world->base.launcher->ops->list(world->base.launcher, NULL), 0);
	WAIT(world->counts[LAUNCHER_LISTED]);
}

static int make_world(void **state)
{
	static struct world world;
	memset(&world, 0, sizeof(world));
	if (launched_init(&world.base, "tmpl") < 0)
		return -1;
	snprintf(world.image, sizeof(world.image), "%s/image", world.base.state_dir);
	copy_image(&world);
	*state = &world;
	return 0;
}

static int unmake_world(void **state)
{
	struct world *world = *state;
	char command[PATH];
	launched_close(&world->base);
	snprintf(command, sizeof(command), "rm -r %s/*", world->base.state_dir);
	return system(command) != 0 ? -1 : launched_finish(&world->base);
}

static struct guest_spec make_spec(const struct world *world, const char *cmdline)
{
	return (struct guest_spec){.service = "a.example",
		.kernel = world->image,
		.cmdline = cmdline,
		.memory = 32 << 20,
		.vcpus = 1,
		.tap_fd = -1,
		.from_template = true};
}

static void begin(struct world *world, uint32_t slot, const char *cmdline)
{
	const struct guest_spec spec = make_spec(world, cmdline);
	struct error err = ERROR_INIT;
	world->id = (struct instance_id){slot, world->id.generation + 1};
	world->console_size = 0;
	memset(world->console, 0, sizeof(world->console));
	memset(world->counts, 0, sizeof(world->counts));
	if (world->base.launcher->ops->start(
		    world->base.launcher, world->id, &spec, LAUNCHER_START_RUNNING, &err) < 0)
		fail_msg("%s", err.message);
}

/* Returns how many lives its memory has had, by what it says. */
static unsigned start(struct world *world, uint32_t slot, const char *cmdline)
{
	begin(world, slot, cmdline);
	WAIT(world->counts[LAUNCHER_READY] || world->counts[LAUNCHER_START_FAILED]);
	if (world->counts[LAUNCHER_START_FAILED])
		fail_msg("%s", world->error.message);
	WAIT(strstr(world->console, "guest.do="));
	const char *lives = strstr(world->console, "lives ");
	assert_non_null(lives);
	return (unsigned)(lives[7] - '0');
}

static void stop(struct world *world)
{
	assert_int_equal(world->base.launcher->ops->stop(
				 world->base.launcher, world->id, LAUNCHER_STOP_DESTROY, NULL),
		0);
	WAIT(world->counts[LAUNCHER_EXITED]);
}

static bool is_there(struct world *world, const char *cmdline)
{
	const struct guest_spec spec = make_spec(world, cmdline);
	return world->base.launcher->ops->has_template(world->base.launcher, &spec);
}

static unsigned start_and_stop(struct world *world, uint32_t slot, const char *cmdline)
{
	unsigned lives = start(world, slot, cmdline);
	if (lives == 1)
		WAIT(is_there(world, cmdline));
	stop(world);
	return lives;
}

/* Their number; the name of one. */
static unsigned count_files(const struct world *world, const char *folder, char path[2 * PATH])
{
	char place[PATH];
	unsigned count = 0;
	snprintf(place, sizeof(place), "%s/%s", world->base.state_dir, folder);
	CLEANUP(closedir) DIR *dir = opendir(place);
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		if (entry->d_name[0] != '.') {
			snprintf(path, 2 * PATH, "%s/%.100s", place, entry->d_name);
			count++;
		}
	return count;
}

static void begins_from_what_was_ready(void **state)
{
	struct world *world = *state;
	open_launcher(world, "1MiB");
	assert_false(is_there(world, "guest.do=mine"));
	assert_int_equal(start_and_stop(world, 1, "guest.do=mine name=a ip=10.0.0.1/8"), 1);
	assert_true(is_there(world, "name=other guest.do=mine ip6=fd00::1/64"));
	assert_int_equal(start_and_stop(world, 1, "guest.do=mine name=a ip=10.0.0.1/8"), 2);
	/* Another service has the same, and its own words. */
	assert_int_equal(start_and_stop(world, 2, "guest.do=mine name=b"), 2);
	assert_non_null(strstr(world->console, "name=b"));
	/* It is there in another life of the daemon too. */
	launched_close(&world->base);
	open_launcher(world, "1MiB");
	assert_int_equal(start_and_stop(world, 1, "guest.do=mine"), 2);
}

static void makes_another_one_of_something_else(void **state)
{
	struct world *world = *state;
	char path[2 * PATH];
	open_launcher(world, "1MiB");
	assert_int_equal(start_and_stop(world, 1, "guest.do=mine"), 1);
	assert_int_equal(start_and_stop(world, 1, "guest.do=mine more=1"), 1);
	assert_int_equal(count_files(world, "templates", path), 1);
	copy_image(world);
	assert_false(is_there(world, "guest.do=mine more=1"));
	assert_int_equal(start_and_stop(world, 1, "guest.do=mine more=1"), 1);
	assert_int_equal(start_and_stop(world, 1, "guest.do=mine more=1"), 2);
	assert_int_equal(count_files(world, "templates", path), 1);
}

/* A file that is not whole is of no use, and in nobody's way. */
static void does_without_a_damaged_one(void **state)
{
	struct world *world = *state;
	char path[2 * PATH];
	struct stat about;
	open_launcher(world, "1MiB");
	assert_int_equal(start_and_stop(world, 1, "guest.do=mine"), 1);
	assert_int_equal(count_files(world, "templates", path), 1);
	assert_int_equal(stat(path, &about), 0);
	assert_int_equal(truncate(path, about.st_size - 1), 0);
	assert_int_equal(start_and_stop(world, 1, "guest.do=mine"), 1);
	assert_int_equal(start_and_stop(world, 1, "guest.do=mine"), 2);
}

static void keeps_within_bounds(void **state)
{
	struct world *world = *state;
	char path[2 * PATH];
	open_launcher(world, "48KiB");
	assert_int_equal(start_and_stop(world, 1, "guest.do=mine"), 1);
	assert_int_equal(start_and_stop(world, 2, "guest.do=mine more=1"), 1);
	assert_int_equal(start_and_stop(world, 3, "guest.do=mine more=2"), 1);
	assert_true(count_files(world, "templates", path) < 3);
	assert_false(is_there(world, "guest.do=mine"));
	assert_true(is_there(world, "guest.do=mine more=2"));
	launched_close(&world->base);
	open_launcher(world, "0B");
	assert_int_equal(count_files(world, "templates", path), 0);
	assert_int_equal(start(world, 1, "guest.do=mine"), 1);
	stop(world);
	assert_int_equal(count_files(world, "templates", path), 0);
}

static void runs_on_where_the_disk_takes_nothing(void **state)
{
	struct world *world = *state;
	char path[PATH];
	struct error err = ERROR_INIT;
	open_launcher(world, "0B");
	start(world, 1, "guest.do=mine");
	/* Where the folder should be is a file. */
	snprintf(path, sizeof(path), "%s/saved", world->base.state_dir);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	const struct launcher_ops *ops = world->base.launcher->ops;
	assert_int_equal(
		ops->suspend(world->base.launcher, world->id, LAUNCHER_REST_DISK, &err), 0);
	WAIT(world->counts[LAUNCHER_OPERATION_FAILED]);
	assert_non_null(strstr(world->error.message, "cannot be kept"));
	/* It is as it was: it can be paused, and runs again. */
	assert_int_equal(
		ops->suspend(world->base.launcher, world->id, LAUNCHER_REST_MEMORY, &err), 0);
	assert_int_equal(ops->resume(world->base.launcher, world->id, &err), 0);
	WAIT(world->counts[LAUNCHER_RESUMED]);
	assert_int_equal(world->counts[LAUNCHER_SUSPENDED], 1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(
		ops->suspend(world->base.launcher, world->id, LAUNCHER_REST_DISK, &err), 0);
	WAIT(world->counts[LAUNCHER_SUSPENDED] == 2);
	stop(world);
}

/* One that never waits would run for as long as somebody tries to keep it. */
static void leaves_a_restless_guest_alone(void **state)
{
	struct world *world = *state;
	struct error err = ERROR_INIT;
	open_launcher(world, "0B");
	const struct launcher_ops *ops = world->base.launcher->ops;
	begin(world, 1, "guest.do=spin");
	WAIT(strstr(world->console, "ready after"));
	for (unsigned round = 1; round <= 2; round++) {
		assert_int_equal(
			ops->suspend(world->base.launcher, world->id, LAUNCHER_REST_MEMORY, &err),
			0);
		WAIT(world->counts[LAUNCHER_SUSPENDED] == round);
		assert_int_equal(
			ops->suspend(world->base.launcher, world->id, LAUNCHER_REST_DISK, &err), 0);
		WAIT(world->counts[LAUNCHER_OPERATION_FAILED] == round);
		assert_non_null(strstr(world->error.message, "did not come to rest"));
		assert_int_equal(
			ops->suspend(world->base.launcher, world->id, LAUNCHER_REST_DISK, &err),
			-EBUSY);
		assert_non_null(strstr(err.message, "left alone"));
		/* Who has it run again may have it kept again. */
		assert_int_equal(ops->resume(world->base.launcher, world->id, &err), 0);
		WAIT(world->counts[LAUNCHER_RESUMED] == round);
	}
	stop(world);
}

static void refuses_a_damaged_guest(void **state)
{
	struct world *world = *state;
	char path[2 * PATH];
	struct error err = ERROR_INIT;
	open_launcher(world, "0B");
	start(world, 1, "guest.do=mine");
	const struct launcher_ops *ops = world->base.launcher->ops;
	assert_int_equal(
		ops->suspend(world->base.launcher, world->id, LAUNCHER_REST_DISK, &err), 0);
	WAIT(world->counts[LAUNCHER_SUSPENDED]);
	assert_int_equal(count_files(world, "saved", path), 1);
	assert_int_equal(truncate(path, 1000), 0);
	assert_true(ops->resume(world->base.launcher, world->id, &err) < 0);
	assert_non_null(strstr(err.message, "not all of one"));
	stop(world);
	assert_int_equal(count_files(world, "saved", path), 0);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_world, unmake_world)
	const struct CMUnitTest tests[] = {
		CASE(begins_from_what_was_ready),
		CASE(makes_another_one_of_something_else),
		CASE(does_without_a_damaged_one),
		CASE(keeps_within_bounds),
		CASE(runs_on_where_the_disk_takes_nothing),
		CASE(leaves_a_restless_guest_alone),
		CASE(refuses_a_damaged_guest),
	};
	if (argc != 3)
		return 2;
	guest_image = argv[1];
	mode = argv[2];
	if (!launched_can_run(SUMMON_VMM, mode))
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
