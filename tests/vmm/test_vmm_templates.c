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
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/launcher.h"

#define HANG_MS 20000
#define PATH    128

static const char *guest_image, *mode;

struct world {
	uv_loop_t loop;
	uv_timer_t hang;
	struct launcher *launcher;
	char state_dir[32], image[PATH];
	struct instance_id id; /* of the guest in hand */
	unsigned counts[LAUNCHER_REGAINED + 1];
	struct error error;
	char console[4096];
	size_t console_size;
	bool closed;
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
	const struct launcher_config config = {.loop = &world->loop,
		.identity = "0123456789abcdef",
		.state_dir = world->state_dir,
		.settings = settings,
		.setting_count = 3,
		.on_event = on_event,
		.ctx = world};
	struct error err = ERROR_INIT;
	memset(world->counts, 0, sizeof(world->counts));
	if (launcher_backend_find("vmm")->create(&config, &world->launcher, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(world->launcher->ops->list(world->launcher, NULL), 0);
	WAIT(world->counts[LAUNCHER_LISTED]);
}

static void close_launcher(struct world *world)
{
	world->closed = false;
	world->launcher->ops->destroy(world->launcher, on_closed, world);
	WAIT(world->closed);
	world->launcher = NULL;
}

static int make_world(void **state)
{
	static struct world world;
	memset(&world, 0, sizeof(world));
	strcpy(world.state_dir, "/tmp/summond-tmpl-XXXXXX");
	if (!mkdtemp(world.state_dir) || uv_loop_init(&world.loop) < 0)
		return -1;
	snprintf(world.image, sizeof(world.image), "%s/image", world.state_dir);
	copy_image(&world);
	uv_timer_init(&world.loop, &world.hang);
	*state = &world;
	return 0;
}

static int unmake_world(void **state)
{
	struct world *world = *state;
	char command[PATH];
	if (world->launcher)
		close_launcher(world);
	uv_close((uv_handle_t *)&world->hang, NULL);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	snprintf(command, sizeof(command), "rm -r %s", world->state_dir);
	return uv_loop_close(&world->loop) < 0 || system(command) != 0 ? -1 : 0;
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

/* Returns how many lives its memory has had, by what it says. */
static unsigned start(struct world *world, uint32_t slot, const char *cmdline)
{
	const struct guest_spec spec = make_spec(world, cmdline);
	struct error err = ERROR_INIT;
	world->id = (struct instance_id){slot, world->id.generation + 1};
	world->console_size = 0;
	memset(world->console, 0, sizeof(world->console));
	memset(world->counts, 0, sizeof(world->counts));
	if (world->launcher->ops->start(
		    world->launcher, world->id, &spec, LAUNCHER_START_RUNNING, &err) < 0)
		fail_msg("%s", err.message);
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
	assert_int_equal(
		world->launcher->ops->stop(world->launcher, world->id, LAUNCHER_STOP_DESTROY, NULL),
		0);
	WAIT(world->counts[LAUNCHER_EXITED]);
}

static bool is_there(struct world *world, const char *cmdline)
{
	const struct guest_spec spec = make_spec(world, cmdline);
	return world->launcher->ops->has_template(world->launcher, &spec);
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
	snprintf(place, sizeof(place), "%s/%s", world->state_dir, folder);
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
	close_launcher(world);
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
	close_launcher(world);
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
	snprintf(path, sizeof(path), "%s/saved", world->state_dir);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	const struct launcher_ops *ops = world->launcher->ops;
	assert_int_equal(ops->suspend(world->launcher, world->id, LAUNCHER_REST_DISK, &err), 0);
	WAIT(world->counts[LAUNCHER_OPERATION_FAILED]);
	assert_non_null(strstr(world->error.message, "cannot be kept"));
	/* It is as it was: it can be paused, and runs again. */
	assert_int_equal(ops->suspend(world->launcher, world->id, LAUNCHER_REST_MEMORY, &err), 0);
	assert_int_equal(ops->resume(world->launcher, world->id, &err), 0);
	WAIT(world->counts[LAUNCHER_RESUMED]);
	assert_int_equal(world->counts[LAUNCHER_SUSPENDED], 1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ops->suspend(world->launcher, world->id, LAUNCHER_REST_DISK, &err), 0);
	WAIT(world->counts[LAUNCHER_SUSPENDED] == 2);
	stop(world);
}

static void refuses_a_damaged_guest(void **state)
{
	struct world *world = *state;
	char path[2 * PATH];
	struct error err = ERROR_INIT;
	open_launcher(world, "0B");
	start(world, 1, "guest.do=mine");
	const struct launcher_ops *ops = world->launcher->ops;
	assert_int_equal(ops->suspend(world->launcher, world->id, LAUNCHER_REST_DISK, &err), 0);
	WAIT(world->counts[LAUNCHER_SUSPENDED]);
	assert_int_equal(count_files(world, "saved", path), 1);
	assert_int_equal(truncate(path, 1000), 0);
	assert_true(ops->resume(world->launcher, world->id, &err) < 0);
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
		CASE(refuses_a_damaged_guest),
	};
	char check[256];
	if (argc != 3)
		return 2;
	guest_image = argv[1];
	mode = argv[2];
	snprintf(check, sizeof(check), SUMMON_VMM " --check --mode=%s > /dev/null", mode);
	if (system(check) != 0) {
		printf("1..0 # SKIP mode %s does not work here\n", mode);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
