/* SPDX-License-Identifier: ISC */
/* test_vmm_faults FAULTY-MONITOR GUEST-IMAGE MODE: a start in which one call fails, for each call of a
 * start, in the launcher and in the monitor. It ends well, or in words that name the stage; nothing is
 * left of it, and the next start succeeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/launcher.h"
#include "tests/vmm/faults.h"

#define HANG_MS   20000
#define MOST      100 /* calls of one kind */
#define TAP       "fault0"
#define TAP_FLAGS (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)

static const char *monitor, *image, *mode;

/* Calls that only the launcher makes are not in faults.c. */
FAULT_WRAP(calloc, 0)
FAULT_WRAP(uv_poll_init, -errno)

struct world {
	uv_loop_t loop;
	uv_timer_t hang;
	struct launcher *launcher;
	char state_dir[32], monitor[64], plan_path[80];
	struct fault_plan *plan;
	struct instance_id id;
	unsigned counts[LAUNCHER_REGAINED + 1];
	struct error error;
	unsigned files; /* open before the start */
	bool has_tap, closed;
	int tap; /* -1, or held open */
};

static void on_event(void *ctx, const struct launcher_event *event)
{
	struct world *world = ctx;
	world->counts[event->type]++;
	if (event->error.code < 0)
		world->error = event->error;
}

static void on_closed(void *ctx)
{
	((struct world *)ctx)->closed = true;
}

static void on_hang(uv_timer_t *timer)
{
	const struct fault_plan *plan = ((struct world *)timer->data)->plan;
	fail_msg("nothing happens after %s: %s, call %u", plan->call, strerror(plan->error),
		plan->when);
}

/* ---- the world ---- */

#define WAIT(condition)                                                                            \
	do {                                                                                       \
		uv_timer_start(&world->hang, on_hang, HANG_MS, 0);                                 \
		while (!(condition))                                                               \
			uv_run(&world->loop, UV_RUN_ONCE);                                         \
		uv_timer_stop(&world->hang);                                                       \
	} while (0)

/* Attached to our tap, or -1. */
static int open_tap(void)
{
	struct ifreq request = {.ifr_name = TAP, .ifr_flags = TAP_FLAGS};
	int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap >= 0 && ioctl(tap, TUNSETIFF, &request) < 0) {
		close(tap);
		tap = -1;
	}
	return tap;
}

/* In a network of its own, where that may be had. */
static bool make_tap(void)
{
	CLEANUP(close) int tap = unshare(CLONE_NEWNET) < 0 ? -1 : open_tap();
	return tap >= 0 && ioctl(tap, TUNSETPERSIST, 1) == 0;
}

static unsigned count_entries(const char *path)
{
	unsigned count = 0;
	CLEANUP(closedir) DIR *dir = opendir(path);
	while (dir && readdir(dir))
		count++;
	return count;
}

static void open_launcher(struct world *world)
{
	const struct launcher_setting settings[] = {
		{"monitor", world->monitor}, {"mode", mode}, {"shells", "0"}};
	const struct launcher_config config = {.loop = &world->loop,
		.identity = "0123456789abcdef",
		.state_dir = world->state_dir,
		.settings = settings,
		.setting_count = 3,
		.on_event = on_event,
		.ctx = world};
	struct error err = ERROR_INIT;
	if (launcher_backend_find("vmm")->create(&config, &world->launcher, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(world->launcher->ops->list(world->launcher, NULL), 0);
	WAIT(world->counts[LAUNCHER_LISTED]);
}

static int make_plan(struct world *world)
{
	snprintf(world->monitor, sizeof(world->monitor), "%s.monitor", world->state_dir);
	snprintf(world->plan_path, sizeof(world->plan_path), "%s" FAULT_PLAN, world->monitor);
	CLEANUP(close) int file = open(world->plan_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (symlink(monitor, world->monitor) < 0 || ftruncate(file, sizeof(*world->plan)) < 0)
		return -1;
	world->plan = faults_follow(world->plan_path, FAULT_LAUNCHER);
	return world->plan ? 0 : -1;
}

static int make_world(void **state)
{
	static struct world world;
	world = (struct world){.tap = -1, .state_dir = "/tmp/summond-fault-XXXXXX"};
	if (!mkdtemp(world.state_dir) || uv_loop_init(&world.loop) < 0 || make_plan(&world) < 0)
		return -1;
	uv_timer_init(&world.loop, &world.hang);
	world.hang.data = &world;
	world.has_tap = make_tap();
	if (!world.has_tap)
		print_message("# without a tap: there is no right to make one\n");
	open_launcher(&world);
	*state = &world;
	return 0;
}

static int unmake_world(void **state)
{
	struct world *world = *state;
	world->launcher->ops->destroy(world->launcher, on_closed, world);
	WAIT(world->closed);
	uv_close((uv_handle_t *)&world->hang, NULL);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	unlink(world->monitor);
	unlink(world->plan_path);
	return uv_loop_close(&world->loop) < 0 || rmdir(world->state_dir) < 0 ? -1 : 0;
}

/* ---- a start ---- */

static bool is_over(const struct world *world)
{
	return world->counts[LAUNCHER_START_FAILED] || world->counts[LAUNCHER_EXITED];
}

/* Descriptors, processes, names, and whoever holds the tap. */
static bool is_clean(const struct world *world)
{
	CLEANUP(close) int tap = -1;
	if (count_entries("/proc/self/fd") != world->files || waitpid(-1, NULL, WNOHANG) >= 0 ||
		count_entries(world->state_dir) != 2) /* . and .. */
		return false;
	if (!world->has_tap || world->tap >= 0)
		return true;
	tap = open_tap();
	return tap >= 0;
}

/* Up to its end, which is asked for where the guest is ready. Returns whether it was. */
static bool start(struct world *world)
{
	const struct guest_spec spec = {.service = "a.example",
		.kernel = image,
		.initrd = image,
		.cmdline = "guest.do=mine",
		.memory = 32 << 20,
		.vcpus = 1,
		.tap = world->has_tap ? TAP : NULL,
		.tap_fd = world->tap};
	const struct launcher_ops *ops = world->launcher->ops;
	memset(world->counts, 0, sizeof(world->counts));
	world->error = (struct error)ERROR_INIT;
	world->files = count_entries("/proc/self/fd");
	world->id = (struct instance_id){1, world->id.generation + 1};
	int r = ops->start(
		world->launcher, world->id, &spec, LAUNCHER_START_RUNNING, &world->error);
	if (r == 0)
		WAIT(world->counts[LAUNCHER_READY] || is_over(world));
	bool was_ready = world->counts[LAUNCHER_READY];
	if (r == 0 && !is_over(world))
		assert_int_equal(
			ops->stop(world->launcher, world->id, LAUNCHER_STOP_DESTROY, NULL), 0);
	if (r == 0)
		WAIT(is_over(world));
	assert_int_equal(
		world->counts[LAUNCHER_STARTED] + world->counts[LAUNCHER_START_FAILED], r == 0);
	world->plan->side = FAULT_NOWHERE;
	WAIT(is_clean(world));
	return was_ready;
}

/* ---- the calls ---- */

struct fault {
	const char *call;
	int error;
};

static void try_one(struct world *world, const struct fault *fault, unsigned when)
{
	const char *message = world->error.message, *what = strerror(fault->error);
	bool was_ready = start(world);
	print_message("# %s, call %u: %s\n", fault->call, when, was_ready ? "ready" : message);
	if (was_ready)
		return;
	if (fault->error == ENOMEM && strcmp(message, "out of memory") == 0)
		return;
	/* What failed, and before it, when. */
	assert_true(world->error.code < 0);
	assert_non_null(strstr(message, what));
	assert_true(strstr(message, what) - message > (ptrdiff_t)strlen(": "));
}

static void try_all(
	struct world *world, enum fault_side side, const struct fault *faults, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (unsigned when = 1;; when++) {
			struct fault_plan *plan = world->plan;
			assert_true(when < MOST);
			snprintf(plan->call, sizeof(plan->call), "%s", faults[i].call);
			plan->error = faults[i].error;
			plan->when = when;
			plan->count = 0;
			plan->side = side;
			try_one(world, &faults[i], when);
			if (plan->count < when) {
				assert_true(when > 1);
				break;
			}
			if (!start(world))
				fail_msg("after %s: %s", faults[i].call, world->error.message);
		}
}

static void survives_faults_in_the_launcher(void **state)
{
	static const struct fault faults[] = {
		{"bind", ENOSPC},
		{"calloc", ENOMEM},
		{"clone", EAGAIN},
		{"clone", ENOMEM},
		{"connect", EAGAIN},
		{"ioctl", EBUSY},
		{"listen", EADDRINUSE},
		{"open64", EMFILE},
		{"rename", ENOSPC},
		{"sendmsg", ENOBUFS},
		{"socket", EMFILE},
		{"uv_poll_init", ENOMEM},
	};
	try_all(*state, FAULT_LAUNCHER, faults, sizeof(faults) / sizeof(faults[0]));
}

static void survives_faults_with_a_tap_that_is_open(void **state)
{
	static const struct fault faults[] = {{"fcntl64", EMFILE}, {"ioctl", EBUSY}};
	struct world *world = *state;
	if (!world->has_tap)
		skip();
	world->tap = open_tap();
	try_all(world, FAULT_LAUNCHER, faults, sizeof(faults) / sizeof(faults[0]));
	close(world->tap);
}

static void survives_faults_in_the_monitor(void **state)
{
	static const struct fault faults[] = {
		{"accept4", EMFILE},
		{"close_range", ENOMEM},
		{"dup3", EMFILE},
		{"fcntl64", EPERM},
		{"getrandom", EAGAIN},
		{"getrlimit64", EPERM},
		{"listen", EADDRINUSE},
		{"lseek64", EIO},
		{"madvise", ENOMEM},
		{"mmap64", ENOMEM},
		{"open64", EMFILE},
		{"ppoll", ENOMEM},
		{"prctl", EPERM},
		{"pread64", EIO},
		{"recvmsg", ENOMEM},
		{"send", ENOBUFS},
		{"setrlimit64", EPERM},
		{"sigprocmask", EINVAL},
		{"syscall", ENOMEM},
	};
	try_all(*state, FAULT_MONITOR, faults, sizeof(faults) / sizeof(faults[0]));
}

static void survives_faults_in_what_runs_the_guest(void **state)
{
	static const struct fault of_kvm[] = {{"ioctl", ENOMEM}, {"ioctl", EBUSY}};
	static const struct fault of_a_process[] = {
		{"mprotect", ENOMEM}, {"sigaction", EINVAL}, {"sigaltstack", ENOMEM}};
	static const struct fault of_its_record = {"symlink", ENOSPC};
	if (strcmp(mode, "kvm") == 0) {
		try_all(*state, FAULT_MONITOR, of_kvm, 2);
		return;
	}
	try_all(*state, FAULT_MONITOR, of_a_process, 3);
	try_all(*state, FAULT_LAUNCHER, &of_its_record, 1);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_world, unmake_world)
	const struct CMUnitTest tests[] = {
		CASE(survives_faults_in_the_launcher),
		CASE(survives_faults_with_a_tap_that_is_open),
		CASE(survives_faults_in_the_monitor),
		CASE(survives_faults_in_what_runs_the_guest),
	};
	char check[512];
	CLEANUP(free) char *whole = argc == 4 ? realpath(argv[1], NULL) : NULL;
	if (!whole)
		return 2;
	monitor = whole;
	image = argv[2];
	mode = argv[3];
	snprintf(check, sizeof(check), "%s --check --mode=%s > /dev/null", monitor, mode);
	if (system(check) != 0) {
		printf("1..0 # SKIP %s cannot run guests here\n", mode);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
