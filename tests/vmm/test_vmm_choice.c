/* SPDX-License-Identifier: ISC */
/* What shells load ahead: launcher/vmm/ahead.c, with files that are always there for images. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launcher/vmm/vmm.h"

#define MEMORY (32ull << 20)
#define IMAGE  "/bin/cat"
#define OTHER  "/bin/sh"
#define THIRD  "/bin/ls"

struct world {
	struct vmm vmm;
	struct vmm_guest shells[8];
	int sockets[2]; /* what shells are told is not read here: it fits into the socket */
};

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	*state = world;
	return !world || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, world->sockets) < 0;
}

static void end(struct vmm_guest *shell)
{
	free(shell->ahead);
	shell->ahead = NULL;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	for (size_t i = 0; i < sizeof(world->shells) / sizeof(world->shells[0]); i++)
		end(&world->shells[i]);
	vmm_ahead_finish(&world->vmm);
	close(world->sockets[0]);
	close(world->sockets[1]);
	free(world);
	return 0;
}

/* `kin` wants `expected` shells. */
static void start(struct world *world, const char *service, const char *image, const void *kin,
	unsigned expected)
{
	const struct guest_spec spec = {.service = service,
		.kernel = image,
		.memory = MEMORY,
		.kin = kin,
		.expected = expected};
	struct vmm_ahead ahead;
	assert_true(vmm_ahead_of(&world->vmm, &spec, NULL, &ahead));
	vmm_ahead_note(&world->vmm, &ahead);
}

/* Makes so many, the first one first; those before them are gone. */
static void fill(struct world *world, unsigned count)
{
	world->vmm.shells = NULL;
	for (unsigned i = 0; i < count; i++) {
		struct vmm_guest *shell = &world->shells[i];
		end(shell);
		*shell = (struct vmm_guest){
			.socket = world->sockets[0], .memory = MEMORY, .next = world->vmm.shells};
		world->vmm.shells = shell;
		vmm_ahead_load(&world->vmm, shell);
	}
}

static void assert_loaded(const struct world *world, unsigned number, const char *image)
{
	const struct vmm_ahead *ahead = world->shells[number].ahead;
	if (!image)
		assert_null(ahead);
	else
		assert_string_equal(ahead ? ahead->path : "nothing", image);
}

static void what_is_started_of_late_is_likely(void **state)
{
	struct world *world = *state;
	fill(world, 1);
	assert_loaded(world, 0, NULL);
	start(world, "a", IMAGE, NULL, 0);
	fill(world, 1);
	assert_loaded(world, 0, NULL); /* one start says nothing yet */
	start(world, "a", IMAGE, NULL, 0);
	start(world, "b", OTHER, NULL, 0);
	fill(world, 2);
	assert_loaded(world, 0, IMAGE);
	assert_loaded(world, 1, NULL);
	start(world, "a", IMAGE, NULL, 0);
	start(world, "a", IMAGE, NULL, 0);
	fill(world, 2);
	assert_loaded(world, 1, IMAGE);
}

static void it_is_forgotten(void **state)
{
	struct world *world = *state;
	start(world, "a", IMAGE, NULL, 0);
	start(world, "a", IMAGE, NULL, 0);
	for (unsigned i = 0; i < 7; i++)
		start(world, "b", OTHER, NULL, 0);
	fill(world, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_loaded(world, i, OTHER);
}

static void a_policy_has_its_own(void **state)
{
	struct world *world = *state;
	world->vmm.shells_expected = 2;
	start(world, "a", IMAGE, "one", 1);
	start(world, "b", OTHER, "two", 1);
	for (unsigned i = 0; i < 20; i++)
		start(world, "c", THIRD, NULL, 0);
	fill(world, 3);
	assert_loaded(world, 0, OTHER);
	assert_loaded(world, 1, IMAGE);
	assert_loaded(world, 2, THIRD);
}

static void its_services_have_one_each(void **state)
{
	struct world *world = *state;
	world->vmm.shells_expected = 3;
	start(world, "a", IMAGE, "one", 3);
	start(world, "b", OTHER, "one", 3);
	fill(world, 3);
	assert_loaded(world, 0, OTHER);
	assert_loaded(world, 1, IMAGE);
	assert_loaded(world, 2, OTHER);
}

static void it_is_no_more_than_policies_want_now(void **state)
{
	struct world *world = *state;
	start(world, "a", IMAGE, "gone", 2);
	start(world, "b", OTHER, "one", 1);
	world->vmm.shells_expected = 1;
	fill(world, 2);
	assert_loaded(world, 0, OTHER);
	assert_loaded(world, 1, NULL);
	world->vmm.shells_expected = 0;
	fill(world, 1);
	assert_loaded(world, 0, NULL);
}

/* The service now begins with something else; or another one with the same. */
static void what_is_past_is_not_wanted(void **state)
{
	struct world *world = *state;
	world->vmm.shells_expected = 2;
	start(world, "a", IMAGE, "one", 2);
	start(world, "a", OTHER, "one", 2);
	start(world, "b", OTHER, NULL, 0);
	fill(world, 2);
	assert_loaded(world, 0, OTHER);
	assert_loaded(world, 1, OTHER);
}

static void a_file_that_is_gone_is_not_wanted(void **state)
{
	struct world *world = *state;
	char path[] = "/tmp/summond-choice-XXXXXX";
	int file = mkstemp(path);
	assert_true(file >= 0);
	close(file);
	start(world, "a", IMAGE, "one", 2);
	start(world, "b", path, "one", 2);
	assert_int_equal(unlink(path), 0);
	world->vmm.shells_expected = 2;
	fill(world, 2);
	assert_loaded(world, 0, NULL);
	assert_loaded(world, 1, IMAGE);
}

/* Of those with the same price the oldest; what a policy wanted comes last. */
static void a_start_takes_what_nobody_waits_for(void **state)
{
	struct world *world = *state;
	bool ready;
	world->vmm.shells_expected = 1;
	start(world, "a", IMAGE, "one", 1);
	start(world, "c", THIRD, NULL, 0);
	start(world, "c", THIRD, NULL, 0);
	fill(world, 3);
	assert_loaded(world, 0, IMAGE);
	assert_loaded(world, 1, THIRD);
	assert_loaded(world, 2, NULL);
	for (unsigned i = 0; i < 3; i++) {
		static const unsigned wanted[] = {2, 1, 0};
		struct vmm_guest *shell = vmm_shell_take(&world->vmm, MEMORY, &ready, NULL);
		assert_true(ready);
		assert_ptr_equal(shell, &world->shells[wanted[i]]);
		shell->is_unfit = true;
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_is_started_of_late_is_likely),
		CASE(it_is_forgotten),
		CASE(a_policy_has_its_own),
		CASE(its_services_have_one_each),
		CASE(it_is_no_more_than_policies_want_now),
		CASE(what_is_past_is_not_wanted),
		CASE(a_file_that_is_gone_is_not_wanted),
		CASE(a_start_takes_what_nobody_waits_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
