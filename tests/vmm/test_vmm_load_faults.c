/* SPDX-License-Identifier: ISC */
/* test_vmm_load_faults FAULTY-MONITOR GUEST-IMAGE MODE: a shell that loads what a guest begins with, and one
 * call fails, for each call of that in the launcher, and in the monitor from its beginning on: of an image,
 * and of a template. The next guest starts all the same, nothing is left, and the next shell loads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/vmm/vmm.h"
#include "tests/vmm/faults.h"
#include "tests/vmm/launched.h"

#define MOST 200 /* calls of one kind */

static const char *monitor, *image, *mode;

/* Calls that only the launcher makes are not in faults.c. */
FAULT_WRAP(fstat64, -1)
FAULT_WRAP(malloc, 0)

struct world {
	struct launched base;
	char monitor[64], doing[200];
	struct fault_plan *plan;
	bool from_template;
	bool was_there; /* the shell that is to load */
	struct instance_id id;
	unsigned counts[LAUNCHER_REGAINED + 1];
	struct error error;
	unsigned files, names; /* without shells */
};

static void on_event(void *ctx, const struct launcher_event *event)
{
	struct world *world = ctx;
	world->counts[event->type]++;
	if (event->error.code < 0)
		world->error = event->error;
}

static const char *describe(void *ctx)
{
	struct world *world = ctx;
	snprintf(world->doing, sizeof(world->doing),
		" after %s: %s, call %u; files %u of %u, names %u of %u; %.60s", world->plan->call,
		strerror(world->plan->error), world->plan->when, launched_count("/proc/self/fd"),
		world->files, launched_count(world->base.state_dir), world->names,
		world->error.message);
	return world->doing;
}

#define WAIT(condition) LAUNCHED_WAIT(&world->base, condition)

static struct vmm *vmm_of(const struct world *world)
{
	return (struct vmm *)world->base.launcher;
}

static int make_world(void **state)
{
	static struct world world;
	world = (struct world){0};
	if (launched_init(&world.base, "load") < 0)
		return -1;
	snprintf(world.monitor, sizeof(world.monitor), "%s.monitor", world.base.state_dir);
	world.plan = faults_make(world.monitor, monitor);
	if (!world.plan)
		return -1;
	world.base.doing = describe;
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

static void open_world(struct world *world)
{
	const struct launcher_setting settings[] = {
		{"monitor", world->monitor}, {"mode", mode}, {"shells", "0"}};
	assert_int_equal(launched_create(&world->base, settings, on_event, world, NULL), 0);
	assert_int_equal(world->base.launcher->ops->list(world->base.launcher, NULL), 0);
	WAIT(world->counts[LAUNCHER_LISTED] && vmm_of(world)->spare);
}

/* ---- a guest, and a shell ---- */

static struct guest_spec make_spec(const struct world *world)
{
	return (struct guest_spec){.service = "a.example",
		.kernel = image,
		.cmdline = "guest.do=mine",
		.memory = 32 << 20,
		.vcpus = 1,
		.tap_fd = -1,
		.from_template = world->from_template,
		.expected = 1,
		.kin = world};
}

static void start(struct world *world)
{
	const struct guest_spec spec = make_spec(world);
	const struct launcher_ops *ops = world->base.launcher->ops;
	memset(world->counts, 0, sizeof(world->counts));
	world->error = (struct error)ERROR_INIT;
	world->id = (struct instance_id){1, world->id.generation + 1};
	assert_int_equal(
		ops->start(world->base.launcher, world->id, &spec, LAUNCHER_START_RUNNING, NULL),
		0);
	WAIT(world->counts[LAUNCHER_READY] || world->counts[LAUNCHER_START_FAILED] ||
		world->counts[LAUNCHER_EXITED]);
	if (!world->counts[LAUNCHER_READY])
		fail_msg("after %s: %s", world->plan->call, world->error.message);
	WAIT(!world->from_template || ops->has_template(world->base.launcher, &spec));
	assert_int_equal(
		ops->stop(world->base.launcher, world->id, LAUNCHER_STOP_DESTROY, NULL), 0);
	WAIT(world->counts[LAUNCHER_EXITED]);
}

static void expect(struct world *world, unsigned shells)
{
	/* After one that has ended by itself, the next one comes later. */
	uv_timer_stop(&vmm_of(world)->shell_timer);
	world->base.launcher->ops->expect(world->base.launcher, shells, 0);
}

/* It has loaded, or will not. */
static bool is_settled(struct world *world)
{
	const struct vmm_guest *shell = vmm_of(world)->shells;
	if (!shell)
		return world->was_there;
	world->was_there = true;
	return vmm_of(world)->in_flight == 0 && (!shell->ahead || shell->is_loaded);
}

/* No descriptor, process or name is left. */
static bool is_clean(const struct world *world)
{
	return !vmm_of(world)->shells && vmm_of(world)->spare &&
	       launched_count("/proc/self/fd") == world->files &&
	       launched_count(world->base.state_dir) == world->names &&
	       waitpid(-1, NULL, WNOHANG) < 0;
}

/* ---- the calls ---- */

/* Whether it was loaded. */
static bool try_one(struct world *world, enum fault_side side)
{
	world->was_there = false;
	world->plan->side = side;
	expect(world, 1);
	WAIT(is_settled(world));
	world->plan->side = FAULT_NOWHERE;
	bool is_loaded = vmm_ahead_any(vmm_of(world));
	print_message("# %s, call %u: %s\n", world->plan->call, world->plan->when,
		is_loaded               ? "loaded"
		: vmm_of(world)->shells ? "not loaded"
					: "gone");
	start(world);
	expect(world, 0);
	WAIT(is_clean(world));
	return is_loaded;
}

static void try_all(
	struct world *world, enum fault_side side, const struct fault *faults, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bool has_struck = true;
		for (unsigned when = 1; has_struck; when++) {
			assert_true(when < MOST);
			faults_plan(world->plan, &faults[i], when);
			bool is_loaded = try_one(world, side);
			has_struck = world->plan->count >= when;
			assert_true(is_loaded || has_struck);
			assert_true(has_struck || when > 1);
		}
	}
}

static void try_both(struct world *world, const struct fault *here, size_t count)
{
	static const struct fault there[] = {{"madvise", ENOMEM}, {"mmap64", ENOMEM},
		{"pread64", EIO}, {"recvmsg", ENOMEM}, {"recvmsg", EIO}, {"send", ENOBUFS},
		{"send", EPIPE}, {"syscall", ENOMEM}};
	static const struct fault of_kvm = {"ioctl", ENOMEM};
	static const struct fault of_a_process = {"mprotect", ENOMEM};
	for (unsigned i = 0; i < 2; i++) /* what it is has to be seen, and be made */
		start(world);
	WAIT(vmm_of(world)->spare);
	world->files = launched_count("/proc/self/fd");
	world->names = launched_count(world->base.state_dir);
	try_all(world, FAULT_LAUNCHER, here, count);
	try_all(world, FAULT_MONITOR, there, sizeof(there) / sizeof(there[0]));
	try_all(world, FAULT_MONITOR, strcmp(mode, "kvm") == 0 ? &of_kvm : &of_a_process, 1);
}

static void survives_faults_while_an_image_is_loaded(void **state)
{
	static const struct fault here[] = {
		{"fstat64", EIO}, {"malloc", ENOMEM}, {"open64", EMFILE}, {"sendmsg", ENOBUFS}};
	struct world *world = *state;
	open_world(world);
	try_both(world, here, sizeof(here) / sizeof(here[0]));
}

static void survives_faults_while_a_template_is_loaded(void **state)
{
	static const struct fault here[] = {{"lseek64", EIO}, {"malloc", ENOMEM},
		{"open64", EMFILE}, {"pread64", EIO}, {"sendmsg", ENOBUFS}};
	static const struct fault there = {"lseek64", EIO};
	struct world *world = *state;
	world->from_template = true;
	open_world(world);
	try_both(world, here, sizeof(here) / sizeof(here[0]));
	try_all(world, FAULT_MONITOR, &there, 1);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_world, unmake_world)
	const struct CMUnitTest tests[] = {
		CASE(survives_faults_while_an_image_is_loaded),
		CASE(survives_faults_while_a_template_is_loaded),
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
