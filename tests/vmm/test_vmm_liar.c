/* SPDX-License-Identifier: ISC */
/* What the launcher believes of a monitor that lies, as one that its guest has taken over can. This
 * program is that monitor too: its guest's command line says what it does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/vmm/launched.h"
#include "summon-vmm/include/protocol.h"

#define HANG_MS   20000
#define HEAD_SIZE offsetof(struct control_message, text)

/* ---- the monitor ---- */

static void say(int peer, enum control_type type, int32_t code, const char *text, size_t size)
{
	struct control_message message = {.type = type, .code = code};
	memcpy(message.text, text, size);
	send(peer, &message, HEAD_SIZE + size, MSG_NOSIGNAL);
}

static void says_all_at_once(int peer)
{
	static const enum control_type types[] = {CONTROL_CREATED, CONTROL_CREATED, CONTROL_RESUMED,
		CONTROL_PAUSED, CONTROL_FACTS, CONTROL_BOOT, CONTROL_READY, CONTROL_MEASURED,
		CONTROL_KEPT, 9999, CONTROL_FAILED};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		say(peer, types[i], 77, "other\0other0\0", 13);
	say(peer, CONTROL_EXITED, 4711, "\x1b[2Jall is\nwell", 15);
}

static void cuts_a_message(int peer)
{
	say(peer, CONTROL_CREATED, 0, "", 0);
	send(peer, "?", 1, MSG_NOSIGNAL);
	pause();
}

static void sends_too_much(int peer)
{
	struct {
		struct control_message message;
		char more[9000];
	} large = {.message = {.type = CONTROL_OUTPUT}};
	say(peer, CONTROL_CREATED, 0, "", 0);
	memset(large.message.text, 'x', sizeof(large.message.text));
	for (int i = 0; i < 1000; i++)
		send(peer, &large, sizeof(large), MSG_NOSIGNAL);
}

static void never_answers(int peer)
{
	say(peer, CONTROL_CREATED, 0, "", 0);
	pause();
}

/* Serves whoever connects, with the facts of somebody else. */
static void has_facts(int peer, const char *facts, size_t size)
{
	struct control_message message;
	say(peer, CONTROL_CREATED, 0, "", 0);
	for (;;) {
		while (recv(peer, &message, sizeof(message), 0) > 0)
			if (message.type == CONTROL_ASK)
				say(peer, CONTROL_FACTS, 0, facts, size);
		peer = accept(CONTROL_FD, NULL, NULL);
	}
}

static int lie(void)
{
	static const struct {
		const char *word;
		void (*deed)(int peer);
	} deeds[] = {{"all", says_all_at_once}, {"cut", cuts_a_message}, {"much", sends_too_much},
		{"mute", never_answers}};
	struct control_message order;
	alarm(HANG_MS / 1000);
	listen(CONTROL_FD, 4);
	int peer = accept(CONTROL_FD, NULL, NULL);
	ssize_t size = recv(peer, &order, sizeof(order), 0);
	const char *words = order.text + sizeof(struct control_boot);
	if (size < (ssize_t)HEAD_SIZE || order.type != CONTROL_BOOT)
		return 1;
	words += strlen(words) + 1; /* the service */
	words += strlen(words) + 1; /* the tap */
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++)
		if (strcmp(words, deeds[i].word) == 0)
			deeds[i].deed(peer);
	if (strcmp(words, "true") == 0)
		has_facts(peer, "a.example\0\0", 11);
	if (strcmp(words, "tap") == 0)
		has_facts(peer, "a.example\0other0\0", 17);
	if (strcmp(words, "colours") == 0)
		has_facts(peer, "\x1b[2Ja\0\0", 7);
	if (strcmp(words, "endless") == 0)
		has_facts(peer, "a.example", 9);
	return 0;
}

/* ---- the launcher ---- */

struct world {
	struct launched base;
	char monitor[256];
	unsigned counts[LAUNCHER_REGAINED + 1];
	size_t output;
	enum launcher_exit exit;
	struct error error;
};

static void on_event(void *ctx, const struct launcher_event *event)
{
	struct world *world = ctx;
	world->counts[event->type]++;
	world->output += event->type == LAUNCHER_OUTPUT ? event->length : 0;
	world->exit = event->exit;
	world->error = event->error;
}

#define WAIT(condition) LAUNCHED_WAIT(&world->base, condition)

static void open_launcher(struct world *world)
{
	const struct launcher_setting settings[] = {
		{"monitor", world->monitor}, {"mode", "process"}, {"shells", "0"}};
	memset(world->counts, 0, sizeof(world->counts));
	assert_int_equal(launched_create(&world->base, settings, on_event, world, NULL), 0);
	assert_int_equal(world->base.launcher->ops->list(world->base.launcher, NULL), 0);
	WAIT(world->counts[LAUNCHER_LISTED]);
}

static int make_world(void **state)
{
	static struct world world;
	world = (struct world){0};
	ssize_t size = readlink("/proc/self/exe", world.monitor, sizeof(world.monitor) - 1);
	if (size < 0 || launched_init(&world.base, "liar") < 0)
		return -1;
	*state = &world;
	open_launcher(&world);
	return 0;
}

/* A folder that is not empty stays, and fails the test. */
static int unmake_world(void **state)
{
	return launched_finish(&((struct world *)*state)->base);
}

static const struct instance_id id = {1, 1};

static void start(struct world *world, const char *lie)
{
	const struct guest_spec spec = {.service = "a.example",
		.kernel = "/dev/null",
		.cmdline = lie,
		.memory = 32 << 20,
		.vcpus = 1};
	struct error err = ERROR_INIT;
	if (world->base.launcher->ops->start(
		    world->base.launcher, id, &spec, LAUNCHER_START_RUNNING, &err) < 0)
		fail_msg("%s", err.message);
	WAIT(world->counts[LAUNCHER_STARTED]);
}

static void wait_for_end(struct world *world)
{
	WAIT(world->counts[LAUNCHER_EXITED]);
	assert_int_equal(world->counts[LAUNCHER_STARTED] + world->counts[LAUNCHER_FOUND], 1);
	assert_int_equal(world->counts[LAUNCHER_START_FAILED], 0);
	assert_int_equal(world->counts[LAUNCHER_EXITED], 1);
}

static void believes_what_was_asked_for(void **state)
{
	struct world *world = *state;
	start(world, "all");
	wait_for_end(world);
	assert_int_equal(world->counts[LAUNCHER_RESUMED] + world->counts[LAUNCHER_SUSPENDED], 0);
	assert_int_equal(world->counts[LAUNCHER_FOUND], 0);
	assert_int_equal(world->counts[LAUNCHER_MEASURED], 0);
	assert_int_equal(world->exit, LAUNCHER_EXIT_CRASHED);
	assert_string_equal(world->error.message, "?[2Jall is?well");
}

static void ends_what_does_not_speak(void **state)
{
	struct world *world = *state;
	start(world, "cut");
	wait_for_end(world);
	assert_int_equal(world->exit, LAUNCHER_EXIT_CRASHED);
}

static void cuts_what_is_too_long(void **state)
{
	struct world *world = *state;
	start(world, "much");
	wait_for_end(world);
	assert_in_range(world->output, 1, 1000 * CONTROL_TEXT_MAX);
}

static void can_end_one_that_never_answers(void **state)
{
	struct world *world = *state;
	const struct launcher_ops *ops = world->base.launcher->ops;
	start(world, "mute");
	assert_int_equal(ops->measure(world->base.launcher, id, NULL), 0);
	assert_int_equal(ops->suspend(world->base.launcher, id, LAUNCHER_REST_MEMORY, NULL), 0);
	assert_int_equal(ops->stop(world->base.launcher, id, LAUNCHER_STOP_SHUTDOWN, NULL), 0);
	assert_int_equal(ops->stop(world->base.launcher, id, LAUNCHER_STOP_DESTROY, NULL), 0);
	wait_for_end(world);
	assert_int_equal(world->exit, LAUNCHER_EXIT_DESTROYED);
}

static void finds_one_that_says_the_truth(void **state)
{
	struct world *world = *state;
	start(world, "true");
	launched_close(&world->base);
	open_launcher(world);
	assert_int_equal(world->counts[LAUNCHER_FOUND], 1);
	assert_int_equal(world->base.launcher->ops->stop(
				 world->base.launcher, id, LAUNCHER_STOP_DESTROY, NULL),
		0);
	wait_for_end(world);
}

/* It is not adopted, and nothing is left of it. */
static void ends_one_with_facts_of_others(void **state)
{
	struct world *world = *state;
	static const char *const lies[] = {"tap", "colours", "endless"};
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		start(world, lies[i]);
		launched_close(&world->base);
		open_launcher(world);
		assert_int_equal(world->counts[LAUNCHER_FOUND], 0);
	}
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_world, unmake_world)
	const struct CMUnitTest tests[] = {
		CASE(believes_what_was_asked_for),
		CASE(ends_what_does_not_speak),
		CASE(cuts_what_is_too_long),
		CASE(can_end_one_that_never_answers),
		CASE(finds_one_that_says_the_truth),
		CASE(ends_one_with_facts_of_others),
	};
	if (argc > 1 && strcmp(argv[1], "--check") == 0) {
		puts("process works: it says so");
		return 0;
	}
	return argc > 1 ? lie() : cmocka_run_group_tests(tests, NULL, NULL);
}
