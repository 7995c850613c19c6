/* SPDX-License-Identifier: ISC */
/* A guest's link while one call fails, for each call that is made for it: what fails is said in words
 * that name it, nothing is left of that guest, and the next one gets its link. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "launcher/link/doorbell.h"
#include "launcher/link/readiness.h"
#include "launcher/link/usage.h"
#include "tests/link/faults.h"
#include "tests/link/net.h"

#define MOST      200 /* calls of one kind */
#define BELL      "sbell"
#define ADDRESSES 3

/* All of ours that the kernel has, but for whether somebody is behind a device just now. */
#define LOOK                                                                                       \
	"{ ip -br link | cut -d' ' -f1; ip route show table all proto 76; "                        \
	"ip -6 route show table all proto 76; ip neigh show nud permanent; "                       \
	"ip neigh show proxy; ip -6 neigh show proxy; } 2>&1 | sed 's/ linkdown//; "               \
	"s/stap[0-9]*/stap/' | sort"

struct fault {
	const char *call;
	int error;
};

/* Each call once; then what else some of them may say. */
static const struct fault faults[] = {
	{"bind", ENOMEM},
	{"calloc", ENOMEM},
	{"if_nametoindex", EMFILE},
	{"ioctl", ENOMEM},
	{"malloc", ENOMEM},
	{"netlink", ENOBUFS},
	{"nlmsg_alloc_simple", ENOMEM},
	{"open64", EMFILE},
	{"reallocarray", ENOMEM},
	{"recvfrom", ENOBUFS},
	{"sendto", ENOBUFS},
	{"setsockopt", ENOMEM},
	{"socket", EMFILE},
	{"uv_poll_init", ENOMEM},
	{"write", ENOMEM},
	{"ioctl", EBUSY},
	{"netlink", EBUSY},
	{"netlink", ENODEV},
};
#define EACH 15
#define ALL  (sizeof(faults) / sizeof(faults[0]))

/* What a guest has of its host. */
struct guest {
	struct link_tap tap;
	struct readiness *frame, *tcp;
	struct claims *claims;
	int usage;
};

struct world {
	uv_loop_t loop;
	struct link *link;
	struct doorbell *bell;
	struct ip_address addresses[ADDRESSES]; /* one is outside the pool */
	enum link_tap_use use;
	struct guest guest;
	char before[4096], now[4096];
	unsigned files, devices;
};

/* --- what there is --- */

static void look(char text[4096])
{
	fflush(stdout);
	FILE *output = popen(LOOK, "r");
	assert_non_null(output);
	text[fread(text, 1, 4095, output)] = '\0';
	assert_int_equal(pclose(output), 0);
}

static bool is_as_before(void *ctx)
{
	struct world *world = ctx;
	if (net_files() != world->files || net_count("") != world->devices)
		return false;
	look(world->now);
	return strcmp(world->before, world->now) == 0;
}

static void remember(struct world *world)
{
	look(world->before);
	world->files = net_files();
	world->devices = net_count("");
}

static void expect_nothing_left(struct world *world, const struct fault *fault, unsigned when)
{
	if (!net_run_until(&world->loop, is_as_before, world))
		fail_msg("%s, %s, call %u: %u files of %u, and of\n%s is left\n%s", fault->call,
			strerror(fault->error), when, net_files(), world->files, world->before,
			world->now);
}

/* What failed, and before it, when. */
static void expect_words(const struct fault *fault, unsigned when, const struct error *err)
{
	const char *what = strstr(err->message, strerror(fault->error));
	bool said = what && what - err->message > (ptrdiff_t)strlen(": ");
	print_message(
		"# %s, %s, call %u: %s\n", fault->call, strerror(fault->error), when, err->message);
	if (strcmp(fault->call, "uv_poll_init") == 0 && strstr(err->message, uv_strerror(-ENOMEM)))
		said = true;
	if (fault->error == ENOMEM && strncmp(err->message, "no memory ", 10) == 0)
		said = true;
	if (err->code >= 0 || !said)
		fail_msg("'%s' does not say '%s'", err->message, strerror(fault->error));
}

/* --- the world --- */

static void on_ring(void *ctx, const struct packet *packet)
{
	(void)ctx;
	(void)packet;
}

static bool is_ours(void *ctx, const struct ip_address *address)
{
	(void)ctx;
	(void)address;
	return false;
}

static int open_world(struct world *world, unsigned spare_taps, struct error *err)
{
	const struct link_config config = {.bridge = "sbr0",
		.address = net_prefix("10.77.0.1/16"),
		.address6 = net_prefix("fd77::1/64"),
		.tap_prefix = "stap",
		.spare_taps = spare_taps,
		.spare_headers = true};
	const struct doorbell_config bell = {.device = BELL,
		.pool = net_prefix("10.77.0.0/17"),
		.pool6 = net_prefix("fd77::/112"),
		.limits = {16, 64, 1 << 20},
		.rang = on_ring,
		.is_ours = is_ours,
		.is_guests = net_no_guests,
		.ctx = world};
	int rc = link_create(&world->loop, &config, &world->link, err);
	if (rc >= 0)
		rc = doorbell_create(&world->loop, world->link, &bell, &world->bell, err);
	return rc;
}

static void close_world(struct world *world)
{
	doorbell_destroy(world->bell, true);
	link_destroy(world->link, true);
	world->bell = NULL;
	world->link = NULL;
	net_run_out(&world->loop);
}

static int make_world(void **state)
{
	static const char *const texts[ADDRESSES] = {"10.77.0.5", "fd77::5", "10.77.200.5"};
	struct world *world = calloc(1, sizeof(*world));
	uv_loop_init(&world->loop);
	for (size_t i = 0; i < ADDRESSES; i++)
		world->addresses[i] = net_address(texts[i]);
	world->guest.usage = world->guest.tap.fd = -1;
	*state = world;
	return 0;
}

static int unmake_world(void **state)
{
	struct world *world = *state;
	close_world(world);
	if (uv_loop_close(&world->loop) != 0)
		return -1;
	free(world);
	return 0;
}

static void open_whole(struct world *world, unsigned spare_taps)
{
	struct error err = ERROR_INIT;
	if (open_world(world, spare_taps, &err) < 0 || link_taps_settle(world->link, &err) < 0)
		fail_msg("%s", err.message);
	remember(world);
}

/* --- a guest --- */

static const struct mac_address mac = GUEST_MAC;

static void on_seen(void *ctx, uint64_t at)
{
	(void)ctx;
	(void)at;
}

static void on_claim(void *ctx, bool is_answer)
{
	(void)ctx;
	(void)is_answer;
}

static int tie(struct world *world, struct error *err)
{
	struct guest *guest = &world->guest;
	int rc = link_tap_take(world->link, world->use, &guest->tap, err);
	if (rc >= 0 && guest->tap.fd >= 0)
		rc = link_tap_narrow(guest->tap.fd, &mac, world->addresses, ADDRESSES, err);
	if (rc >= 0)
		rc = link_place(world->link, guest->tap.name, &mac, err);
	for (size_t i = 0; rc >= 0 && i < ADDRESSES; i++)
		rc = doorbell_admit(world->bell, &world->addresses[i], err);
	for (size_t i = 0; rc >= 0 && i < ADDRESSES; i++)
		rc = link_prepare(world->link, &world->addresses[i], &mac, err);
	return rc;
}

static int watch(struct world *world, struct error *err)
{
	struct guest *guest = &world->guest;
	int rc = readiness_first_frame(
		&world->loop, guest->tap.name, &mac, on_seen, NULL, &guest->frame, err);
	if (rc >= 0)
		rc = readiness_tcp(&world->loop, "sbr0", &world->addresses[0], 80, on_seen, NULL,
			&guest->tcp, err);
	for (size_t i = 0; rc >= 0 && i < 3;
		i++) /* attempts that fail, which are none of our errors */
		uv_run(&world->loop, UV_RUN_ONCE);
	for (size_t i = 0; rc >= 0 && i < ADDRESSES; i++)
		rc = link_open(world->link, &world->addresses[i], err);
	if (rc >= 0) {
		link_catch_up(world->link, guest->tap.name);
		doorbell_announce(world->bell, &world->addresses[0], &mac);
		rc = guest->usage = usage_open(guest->tap.name, &mac, err);
	}
	return rc;
}

static int part(struct world *world, struct error *err)
{
	struct guest *guest = &world->guest;
	int rc = doorbell_hear(
		world->bell, guest->tap.name, &mac, on_claim, NULL, &guest->claims, err);
	for (size_t i = 0; rc >= 0 && i < ADDRESSES; i++)
		rc = link_close(world->link, &world->addresses[i], err);
	return rc;
}

static int begin(struct world *world, struct error *err)
{
	int rc = tie(world, err);
	if (rc >= 0)
		rc = watch(world, err);
	return rc < 0 ? rc : part(world, err);
}

/* Whatever it got to have. Returns how many of its addresses are still to be taken away. */
static unsigned end(struct world *world, struct error *err)
{
	struct guest *guest = &world->guest;
	unsigned failures = 0;
	readiness_cancel(guest->frame);
	readiness_cancel(guest->tcp);
	claims_end(guest->claims);
	if (guest->usage >= 0)
		usage_close(&world->loop, guest->usage);
	if (guest->tap.fd >= 0)
		close(guest->tap.fd);
	for (size_t i = 0; i < ADDRESSES; i++) {
		failures += link_down(world->link, &world->addresses[i], err) < 0;
		failures += doorbell_dismiss(world->bell, &world->addresses[i], err) < 0;
	}
	link_tap_give(world->link, guest->tap.name);
	*guest = (struct guest){.usage = -1, .tap.fd = -1};
	return failures;
}

static void expect_a_life(struct world *world, const struct fault *fault, unsigned when)
{
	struct error err = ERROR_INIT;
	if (begin(world, &err) < 0)
		fail_msg("after %s, call %u: %s", fault->call, when, err.message);
	assert_int_equal(end(world, &err), 0);
	expect_nothing_left(world, fault, when);
}

/* --- one call fails --- */

typedef void (*attempt_fn)(struct world *world, const struct fault *fault, unsigned when);

/* Calls `attempt` with each call failing, until it makes no more. */
static void try_all(struct world *world, attempt_fn attempt, size_t count)
{
	unsigned struck = 0;
	for (size_t i = 0; i < count; i++)
		for (unsigned when = 1;; when++) {
			assert_true(when < MOST);
			attempt(world, &faults[i], when);
			if (!faults_end())
				break;
			struck++;
		}
	assert_true(struck > 10);
}

static void try_a_beginning(struct world *world, const struct fault *fault, unsigned when)
{
	struct error err = ERROR_INIT;
	faults_begin(fault->call, fault->error, when);
	int rc = begin(world, &err);
	if (!faults_end())
		assert_int_equal(rc, 0);
	if (rc < 0)
		expect_words(fault, when, &err);
	assert_int_equal(end(world, &err), 0);
	expect_nothing_left(world, fault, when);
	if (rc < 0)
		expect_a_life(world, fault, when);
}

static void start(struct world *world, enum link_tap_use use, unsigned spare_taps, size_t count)
{
	world->use = use;
	open_whole(world, spare_taps);
	try_all(world, try_a_beginning, count);
}

static void a_start_with_a_tap_by_name(void **state)
{
	start(*state, LINK_TAP_BY_NAME, 0, EACH);
}

static void a_start_with_an_open_tap(void **state)
{
	start(*state, LINK_TAP_HEADERS, 0, ALL);
}

/* The thread that makes another one is hit, too. */
static void a_start_with_a_spare_tap(void **state)
{
	start(*state, LINK_TAP_HEADERS, 1, EACH);
}

/* What stays of its addresses, whoever asked hears; its tap is taken away some time. */
static void try_an_end(struct world *world, const struct fault *fault, unsigned when)
{
	struct error err = ERROR_INIT;
	if (fault->error == ENODEV) /* it is believed */
		return;
	assert_int_equal(begin(world, &err), 0);
	faults_begin(fault->call, fault->error, when);
	if (end(world, &err) > 0) {
		expect_words(fault, when, &err);
		for (size_t i = 0; i < ADDRESSES; i++) {
			assert_int_equal(link_down(world->link, &world->addresses[i], &err), 0);
			assert_int_equal(
				doorbell_dismiss(world->bell, &world->addresses[i], &err), 0);
		}
	}
	expect_nothing_left(world, fault, when);
}

static void an_end(void **state)
{
	struct world *world = *state;
	open_whole(world, 0);
	try_all(world, try_an_end, ALL);
}

static void try_to_open(struct world *world, const struct fault *fault, unsigned when)
{
	struct error err = ERROR_INIT;
	remember(world);
	faults_begin(fault->call, fault->error, when);
	if (open_world(world, 1, &err) < 0 || link_taps_settle(world->link, &err) < 0) {
		assert_true(faults_end());
		expect_words(fault, when, &err);
	}
	faults_end();
	close_world(world);
	expect_nothing_left(world, fault, when);
}

static void our_own_beginning(void **state)
{
	try_all(*state, try_to_open, EACH);
}

static bool keep_none(void *ctx, const struct ip_address *address)
{
	(void)ctx;
	(void)address;
	return false;
}

static int take_over(struct world *world, const char *tap, struct error *err)
{
	int rc = link_tap_adopt(world->link, tap, err);
	if (rc >= 0)
		rc = link_taps_settle(world->link, err);
	if (rc >= 0)
		rc = doorbell_prune(world->bell, keep_none, NULL, err);
	return rc < 0 ? rc : link_prune(world->link, keep_none, NULL, err);
}

/* A guest of an earlier life, whose service is gone. */
static void try_to_take_over(struct world *world, const struct fault *fault, unsigned when)
{
	struct error err = ERROR_INIT;
	char tap[IFNAMSIZ];
	assert_true(tie(world, &err) >= 0);
	memcpy(tap, world->guest.tap.name, sizeof(tap));
	doorbell_destroy(world->bell, false);
	link_destroy(world->link, false);
	net_run_out(&world->loop);
	assert_int_equal(open_world(world, 0, &err), 0);
	faults_begin(fault->call, fault->error, when);
	if (take_over(world, tap, &err) < 0) {
		if (!faults_end())
			fail_msg("%s", err.message);
		expect_words(fault, when, &err);
		assert_int_equal(take_over(world, tap, &err), 0);
	}
	faults_end();
	link_tap_give(world->link, tap);
	expect_nothing_left(world, fault, when);
}

static void a_guest_of_an_earlier_life(void **state)
{
	struct world *world = *state;
	open_whole(world, 0);
	try_all(world, try_to_take_over, ALL);
}

static int restore(struct world *world, struct error *err)
{
	int rc = link_restore(world->link, err);
	return rc < 0 ? rc : doorbell_restore(world->bell, err);
}

static void try_to_restore(struct world *world, const struct fault *fault, unsigned when)
{
	struct error err = ERROR_INIT;
	net_ip("link set sbr0 down");
	net_ip("link set sbr0 up");
	net_ip("link del sbell");
	faults_begin(fault->call, fault->error, when);
	if (restore(world, &err) < 0) {
		assert_true(faults_end());
		expect_words(fault, when, &err);
		assert_true(restore(world, &err) > 0);
	}
	faults_end();
	expect_nothing_left(world, fault, when);
}

static void what_others_have_changed(void **state)
{
	struct world *world = *state;
	open_whole(world, 0);
	try_all(world, try_to_restore, EACH);
}

int main(void)
{
	net_isolate();
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_world, unmake_world)
	const struct CMUnitTest tests[] = {
		CASE(a_start_with_a_tap_by_name),
		CASE(a_start_with_an_open_tap),
		CASE(a_start_with_a_spare_tap),
		CASE(an_end),
		CASE(our_own_beginning),
		CASE(a_guest_of_an_earlier_life),
		CASE(what_others_have_changed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
