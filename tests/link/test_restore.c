/* SPDX-License-Identifier: ISC */
/* What others change is heard of, what we change is not; and all of it can be put back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "launcher/link/doorbell.h"
#include "tests/link/net.h"

struct scene {
	uv_loop_t loop;
	struct link *link;
	struct doorbell *bell;
	unsigned told, before;
};

static const struct mac_address mac = GUEST_MAC;

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

static void on_change(void *ctx)
{
	((struct scene *)ctx)->told++;
}

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	const struct doorbell_config config = {.device = "sbell",
		.pool = net_prefix("10.77.0.0/17"),
		.pool6 = net_prefix("fd77::/112"),
		.limits = {16, 64, 1 << 20},
		.rang = on_ring,
		.is_ours = is_ours,
		.is_guests = net_no_guests,
		.ctx = scene};
	uv_loop_init(&scene->loop);
	scene->link = net_link(&scene->loop, 1);
	*state = scene;
	return doorbell_create(&scene->loop, scene->link, &config, &scene->bell, NULL) < 0 ||
			       link_taps_settle(scene->link, NULL) < 0 ||
			       doorbell_watch(scene->bell, on_change, scene, NULL) < 0
		       ? -1
		       : 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;
	doorbell_destroy(scene->bell, true);
	net_link_end(&scene->loop, scene->link);
	if (uv_loop_close(&scene->loop) != 0)
		return -1;
	free(scene);
	return 0;
}

static bool was_told(void *ctx)
{
	const struct scene *scene = ctx;
	return scene->told > scene->before;
}

static void expect_told(struct scene *scene)
{
	assert_true(net_run_until(&scene->loop, was_told, scene));
	scene->before = scene->told;
}

static int restore(struct scene *scene, struct error *err)
{
	int link = link_restore(scene->link, err);
	int bell = link < 0 ? link : doorbell_restore(scene->bell, err);
	return bell < 0 ? bell : link + bell;
}

static void what_we_do_is_not_told(void **state)
{
	struct scene *scene = *state;
	struct ip_address guests[] = {net_address("10.77.0.5"), net_address("fd77::5")};
	struct ip_address outside = net_address("10.77.200.5");
	char tap[IFNAMSIZ];
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(link_prepare(scene->link, &guests[i], &mac, NULL), 1);
		assert_int_equal(link_prepare(scene->link, &guests[i], &mac, NULL), 0);
		assert_int_equal(link_open(scene->link, &guests[i], NULL), 1);
		assert_int_equal(link_open(scene->link, &guests[i], NULL), 0);
		assert_int_equal(link_down(scene->link, &guests[i], NULL), 0);
	}
	assert_int_equal(doorbell_admit(scene->bell, &outside, NULL), 1);
	assert_int_equal(doorbell_dismiss(scene->bell, &outside, NULL), 0);
	assert_int_equal(net_take(scene->link, tap, NULL), 0);
	link_tap_give(scene->link, tap);
	assert_int_equal(restore(scene, NULL), 0);
	/* What is told after it would have been told before. */
	assert_int_equal(scene->told, 0);
	net_ip("link set sbell down");
	expect_told(scene);
	assert_int_equal(scene->told, 1);
	net_ip("link set sbell up");
	expect_told(scene);
	assert_int_equal(restore(scene, NULL), 2); /* the pools' routes */
}

static void what_others_do_is_told(void **state)
{
	static const struct {
		const char *what;
		int missing;
	} harm[] = {
		{"addr del fd77::1/64 dev sbr0", -1}, /* routes go with it, as this kernel likes */
		{"route flush dev sbell proto 76", 1},
		{"-6 route flush dev sbell proto 76", 1},
		{"route flush dev sbr0 proto 76", 1},
		{"link del sbell", 3},
	};
	struct scene *scene = *state;
	for (size_t i = 0; i < sizeof(harm) / sizeof(harm[0]); i++) {
		net_ip("%s", harm[i].what);
		expect_told(scene);
		int missing = restore(scene, NULL);
		assert_true(harm[i].missing < 0 ? missing > 0 : missing == harm[i].missing);
		assert_int_equal(restore(scene, NULL), 0);
	}
	struct ip_address guest = net_address("10.77.0.5");
	assert_int_equal(link_prepare(scene->link, &guest, &mac, NULL), 1);
	net_ip("neigh del 10.77.0.5 dev sbr0");
	expect_told(scene);
	assert_int_equal(link_prepare(scene->link, &guest, &mac, NULL), 1);
}

static void a_bridge_is_waited_for(void **state)
{
	struct scene *scene = *state;
	struct error err = ERROR_INIT;
	char tap[IFNAMSIZ];
	assert_int_equal(net_take(scene->link, tap, NULL), 0);
	net_ip("link set sbr0 down");
	expect_told(scene);
	assert_int_equal(restore(scene, &err), -ENETDOWN);
	assert_non_null(strstr(err.message, "bridge 'sbr0' was set down"));
	net_ip("link set sbr0 up");
	expect_told(scene);
	assert_true(restore(scene, &err) > 0);
	net_ip("link del sbr0");
	expect_told(scene);
	assert_int_equal(restore(scene, &err), -ENODEV);
	assert_non_null(strstr(err.message, "bridge 'sbr0' is gone"));
	net_ip("tuntap add sbr0 mode tap");
	assert_int_equal(restore(scene, &err), -EEXIST);
	net_ip("link del sbr0");
	net_ip("link add sbr0 type bridge");
	assert_true(restore(scene, &err) > 0);
	assert_int_equal(link_tap_restore(scene->link, tap, &err), 0);
	assert_true(net_ip_says("master sbr0", "link show dev %s", tap));
	assert_true(net_ip_says("forward_delay 0", "-d link show dev sbr0"));
	assert_true(net_ip_says("fd77::1/64", "addr show dev sbr0"));
	assert_int_equal(restore(scene, &err), 0);
	assert_int_equal(link_tap_restore(scene->link, "stap999", &err), -ENODEV);
	link_tap_give(scene->link, tap);
}

static void a_doorbell_is_waited_for(void **state)
{
	struct scene *scene = *state;
	struct error err = ERROR_INIT;
	net_ip("link set sbell down");
	expect_told(scene);
	assert_int_equal(restore(scene, &err), -ENETDOWN);
	assert_non_null(strstr(err.message, "the doorbell 'sbell' was set down"));
	net_ip("link del sbell");
	net_ip("link add sbell type bridge");
	assert_true(restore(scene, &err) < 0);
	net_ip("link del sbell");
	assert_true(restore(scene, &err) > 0);
	assert_int_equal(restore(scene, &err), 0);
}

int main(void)
{
	net_isolate();
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(what_we_do_is_not_told),
		CASE(what_others_do_is_told),
		CASE(a_bridge_is_waited_for),
		CASE(a_doorbell_is_waited_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
