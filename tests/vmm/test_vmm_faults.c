/* SPDX-License-Identifier: ISC */
/* test_vmm_faults FAULTY-MONITOR GUEST-IMAGE MODE: a start in which one call fails, for each call of a
 * start, in the launcher and in the monitor: of a start from nothing, of one that makes a template, one
 * from a template, and one of a shell that has loaded the image. It ends well, or in words that name the
 * stage; nothing is left of it, and the next start succeeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/vmm/vmm.h"
#include "tests/vmm/faults.h"
#include "tests/vmm/launched.h"

#define MOST      100 /* calls of one kind */
#define TAP       "fault0"
#define TAP_FLAGS (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)

static const char *monitor, *image, *mode;

/* Calls that only the launcher makes are not in faults.c. */
FAULT_WRAP(calloc, 0)
FAULT_WRAP(uv_poll_init, -errno)

/* What a guest begins with. */
enum kind { FROM_NOTHING, MAKES_TEMPLATE, FROM_TEMPLATE, FROM_SHELL };

struct world {
	struct launched base;
	enum kind kind;
	enum fault_side side;
	bool has_shells;
	bool without_spare; /* another start has used up what is ready */
	unsigned number;    /* of what makes a template */
	char monitor[64], doing[160];
	struct fault_plan *plan;
	struct instance_id id;
	unsigned counts[LAUNCHER_REGAINED + 1];
	struct error error;
	unsigned files, names; /* before the start */
	bool other_is_over;
	bool has_tap;
	int tap; /* -1, or held open */
};

static void on_event(void *ctx, const struct launcher_event *event)
{
	struct world *world = ctx;
	bool is_over = event->type == LAUNCHER_EXITED || event->type == LAUNCHER_START_FAILED;
	world->other_is_over |= is_over && !instance_id_equal(event->id, world->id);
	if (event->type != LAUNCHER_LISTED && !instance_id_equal(event->id, world->id))
		return;
	world->counts[event->type]++;
	if (event->error.code < 0)
		world->error = event->error;
}

static const char *describe(void *ctx)
{
	struct world *world = ctx;
	const struct fault_plan *plan = world->plan;
	snprintf(world->doing, sizeof(world->doing),
		" after %s: %s, call %u; files %u of %u, names %u of %u", plan->call,
		strerror(plan->error), plan->when, launched_count("/proc/self/fd"), world->files,
		launched_count(world->base.state_dir), world->names);
	return world->doing;
}

/* ---- the world ---- */

#define WAIT(condition) LAUNCHED_WAIT(&world->base, condition)

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

static void open_launcher(struct world *world, const char *shells)
{
	const struct launcher_setting settings[] = {
		{"monitor", world->monitor}, {"mode", mode}, {"shells", shells}};
	struct error err = ERROR_INIT;
	if (launched_create(&world->base, settings, on_event, world, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(world->base.launcher->ops->list(world->base.launcher, NULL), 0);
	WAIT(world->counts[LAUNCHER_LISTED]);
	WAIT(launched_count(world->base.state_dir) == 3 + strtoul(shells, NULL, 10)); /* . and .. */
}

static int make_world(void **state)
{
	static struct world world;
	world = (struct world){.tap = -1};
	if (launched_init(&world.base, "fault") < 0)
		return -1;
	snprintf(world.monitor, sizeof(world.monitor), "%s.monitor", world.base.state_dir);
	world.plan = faults_make(world.monitor, monitor);
	if (!world.plan)
		return -1;
	world.base.doing = describe;
	world.has_tap = make_tap();
	if (!world.has_tap)
		print_message("# without a tap: there is no right to make one\n");
	open_launcher(&world, "0");
	*state = &world;
	return 0;
}

static int unmake_world(void **state)
{
	struct world *world = *state;
	char command[64];
	launched_close(&world->base);
	faults_remove(world->monitor);
	/* Templates may be there, and nothing else. */
	snprintf(command, sizeof(command), "rm -rf %s/templates", world->base.state_dir);
	return system(command) != 0 ? -1 : launched_finish(&world->base);
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
	if (launched_count("/proc/self/fd") != world->files ||
		launched_count(world->base.state_dir) != world->names ||
		(!world->has_shells && waitpid(-1, NULL, WNOHANG) >= 0))
		return false;
	if (!world->has_tap || world->tap >= 0)
		return true;
	tap = open_tap();
	return tap >= 0;
}

static struct guest_spec make_spec(struct world *world, char line[64])
{
	bool makes = world->kind == MAKES_TEMPLATE;
	snprintf(line, 64, "guest.do=mine more=%u", makes ? ++world->number : world->number);
	return (struct guest_spec){.service = "a.example",
		.kernel = image,
		.initrd = image,
		.cmdline = line,
		.memory = 32 << 20,
		.vcpus = 1,
		.tap = world->has_tap ? TAP : NULL,
		.tap_fd = world->tap,
		.from_template = makes || world->kind == FROM_TEMPLATE};
}

/* One that has no tap. */
static struct instance_id start_other(struct world *world, const struct guest_spec *spec)
{
	const struct instance_id id = {2, world->id.generation};
	struct guest_spec other = *spec;
	other.tap = NULL;
	other.tap_fd = -1;
	world->other_is_over = false;
	assert_int_equal(world->base.launcher->ops->start(
				 world->base.launcher, id, &other, LAUNCHER_START_RUNNING, NULL),
		0);
	return id;
}

static void stop_other(struct world *world, struct instance_id id)
{
	assert_int_equal(world->base.launcher->ops->stop(
				 world->base.launcher, id, LAUNCHER_STOP_DESTROY, NULL),
		0);
	WAIT(world->other_is_over);
}

/* The last fault may have struck when the shell was made: then it is used up; and what is likely may have
 * to be seen again. */
static void wait_for_shell(struct world *world, const struct guest_spec *spec)
{
	const struct vmm *vmm = (const struct vmm *)world->base.launcher;
	WAIT(vmm->shells);
	for (unsigned i = 0; i < 3 && !vmm->shells->ahead; i++) {
		stop_other(world, start_other(world, spec));
		WAIT(vmm->shells);
	}
	WAIT(vmm_ahead_any(vmm) && vmm->spare);
}

/* Up to its end, which is asked for where the guest is ready. Returns whether it was. */
static bool start(struct world *world, enum fault_side side)
{
	char line[64];
	struct instance_id other = {0};
	const struct guest_spec spec = make_spec(world, line);
	const struct launcher_ops *ops = world->base.launcher->ops;
	if (world->kind == FROM_SHELL)
		wait_for_shell(world, &spec);
	WAIT(((struct vmm *)world->base.launcher)->spare);
	memset(world->counts, 0, sizeof(world->counts));
	world->error = (struct error)ERROR_INIT;
	world->files = launched_count("/proc/self/fd");
	world->names = launched_count(world->base.state_dir);
	world->id = (struct instance_id){1, world->id.generation + 1};
	if (world->without_spare)
		other = start_other(world, &spec);
	world->plan->side = side;
	int r = ops->start(
		world->base.launcher, world->id, &spec, LAUNCHER_START_RUNNING, &world->error);
	if (r == 0)
		WAIT(world->counts[LAUNCHER_READY] || is_over(world));
	bool was_ready = world->counts[LAUNCHER_READY];
	if (r == 0 && !is_over(world))
		assert_int_equal(
			ops->stop(world->base.launcher, world->id, LAUNCHER_STOP_DESTROY, NULL), 0);
	if (r == 0)
		WAIT(is_over(world));
	assert_int_equal(
		world->counts[LAUNCHER_STARTED] + world->counts[LAUNCHER_START_FAILED], r == 0);
	world->plan->side = FAULT_NOWHERE;
	if (other.slot)
		stop_other(world, other);
	WAIT(is_clean(world));
	return was_ready;
}

/* ---- the calls ---- */

static void try_one(struct world *world, const struct fault *fault, unsigned when)
{
	const char *message = world->error.message, *what = strerror(fault->error);
	bool was_ready = start(world, world->side);
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
			faults_plan(plan, &faults[i], when);
			world->side = side;
			try_one(world, &faults[i], when);
			if (plan->count < when) {
				assert_true(when > 1);
				break;
			}
			if (!start(world, FAULT_NOWHERE))
				fail_msg("after %s: %s", faults[i].call, world->error.message);
		}
}

static void survives_faults_in_the_launcher(void **state)
{
	static const struct fault faults[] = {
		{"clone", EAGAIN},
		{"clone", ENOMEM},
		{"ioctl", EBUSY},
		{"open64", EMFILE},
		{"rename", ENOSPC},
		{"sendmsg", ENOBUFS},
		{"uv_poll_init", ENOMEM},
	};
	try_all(*state, FAULT_LAUNCHER, faults, sizeof(faults) / sizeof(faults[0]));
}

static void survives_faults_without_a_spare_socket(void **state)
{
	static const struct fault faults[] = {
		{"bind", ENOSPC},
		{"calloc", ENOMEM},
		{"connect", EAGAIN},
		{"listen", EADDRINUSE},
		{"socket", EMFILE},
	};
	struct world *world = *state;
	world->without_spare = true;
	try_all(world, FAULT_LAUNCHER, faults, sizeof(faults) / sizeof(faults[0]));
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

static const struct fault of_files_here[] = {
	{"open64", EMFILE}, {"rename", ENOSPC}, {"sendmsg", ENOBUFS}};
static const struct fault of_files_there[] = {{"getrandom", EAGAIN}, {"lseek64", EIO},
	{"madvise", ENOMEM}, {"mmap64", ENOMEM}, {"pread64", EIO}, {"recvmsg", ENOMEM},
	{"send", ENOBUFS}, {"syscall", ENOMEM}};

static void try_files(struct world *world)
{
	try_all(world, FAULT_LAUNCHER, of_files_here,
		sizeof(of_files_here) / sizeof(of_files_here[0]));
	try_all(world, FAULT_MONITOR, of_files_there,
		sizeof(of_files_there) / sizeof(of_files_there[0]));
}

static void survives_faults_while_a_template_is_made(void **state)
{
	struct world *world = *state;
	char folder[64];
	world->kind = MAKES_TEMPLATE;
	snprintf(folder, sizeof(folder), "%s/templates", world->base.state_dir);
	assert_int_equal(mkdir(folder, 0700), 0);
	try_files(world);
}

static void survives_faults_with_a_template(void **state)
{
	struct world *world = *state;
	char line[64];
	world->kind = FROM_TEMPLATE;
	const struct guest_spec spec = make_spec(world, line);
	const struct instance_id other = start_other(world, &spec);
	WAIT(world->base.launcher->ops->has_template(world->base.launcher, &spec));
	stop_other(world, other);
	assert_true(start(world, FAULT_NOWHERE));
	try_files(world);
	assert_true(world->base.launcher->ops->has_template(world->base.launcher, &spec));
}

/* Where a shell cannot be used, there is another way. */
static void survives_faults_of_a_shell_that_has_loaded(void **state)
{
	static const struct fault there[] = {{"getrandom", EAGAIN}, {"lseek64", EIO},
		{"pread64", EIO}, {"recvmsg", ENOMEM}, {"send", ENOBUFS}};
	struct world *world = *state;
	launched_close(&world->base);
	memset(world->counts, 0, sizeof(world->counts));
	open_launcher(world, "1");
	world->has_shells = true;
	for (unsigned i = 0; i < 2; i++) /* what is likely has to be seen */
		assert_true(start(world, FAULT_NOWHERE));
	world->kind = FROM_SHELL;
	try_all(world, FAULT_LAUNCHER, of_files_here,
		sizeof(of_files_here) / sizeof(of_files_here[0]));
	try_all(world, FAULT_MONITOR, there, sizeof(there) / sizeof(there[0]));
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_world, unmake_world)
	const struct CMUnitTest tests[] = {
		CASE(survives_faults_in_the_launcher),
		CASE(survives_faults_without_a_spare_socket),
		CASE(survives_faults_with_a_tap_that_is_open),
		CASE(survives_faults_in_the_monitor),
		CASE(survives_faults_in_what_runs_the_guest),
		CASE(survives_faults_while_a_template_is_made),
		CASE(survives_faults_with_a_template),
		CASE(survives_faults_of_a_shell_that_has_loaded),
	};
	CLEANUP(free) char *whole = argc == 4 ? realpath(argv[1], NULL) : NULL;
	if (!whole)
		return 2;
	monitor = whole;
	image = argv[2];
	mode = argv[3];
	if (!launched_can_run(monitor, mode))
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
