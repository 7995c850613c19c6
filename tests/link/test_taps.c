/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/link/net.h"

static int loop_setup(void **state)
{
	*state = uv_loop_new();
	return *state ? 0 : -1;
}

static int loop_teardown(void **state)
{
	net_run_out(*state);
	if (uv_loop_close(*state) != 0)
		return -1;
	free(*state);
	return 0;
}

static bool taps_are(void *ctx)
{
	return net_count("stap") == *(unsigned *)ctx;
}

static void run_until_taps_are(uv_loop_t *loop, unsigned count)
{
	if (!net_run_until(loop, taps_are, &count))
		fail_msg("%u taps, and not %u", net_count("stap"), count);
}

static void taps_are_ports_without_ipv6(void **state)
{
	struct link *link = net_link(*state, 0);
	char tap[IFNAMSIZ];
	assert_int_equal(net_take(link, tap, NULL), 0);
	assert_int_equal(strncmp(tap, "stap", 4), 0);
	assert_true(net_ip_says("master sbr0", "link show %s", tap));
	assert_true(net_ip_says("persist on", "-d link show %s", tap));
	assert_true(net_ip_says("UP", "link show %s", tap));
	/* As a hypervisor takes it: by name, after which it has a carrier. */
	int fd = net_tap_open(tap);
	assert_true(net_ip_says("LOWER_UP", "link show %s", tap));
	assert_false(net_ip_says("inet6", "addr show dev %s", tap));
	close(fd);
	link_tap_give(link, tap);
	run_until_taps_are(*state, 0);
	net_link_end(*state, link);
}

static void spares_are_taken_and_refilled(void **state)
{
	struct link *link = net_link(*state, 3);
	char first[IFNAMSIZ], second[IFNAMSIZ];
	assert_int_equal(net_count("stap"), 0);
	assert_int_equal(link_taps_settle(link, NULL), 0);
	assert_int_equal(net_count("stap"), 3);
	assert_int_equal(net_take(link, first, NULL), 0);
	assert_int_equal(net_take(link, second, NULL), 0);
	assert_string_not_equal(first, second);
	/* Nothing was made meanwhile; that is for later turns. */
	assert_int_equal(net_count("stap"), 3);
	run_until_taps_are(*state, 5);
	net_run_out(*state); /* and then it is at rest */
	assert_int_equal(net_count("stap"), 5);
	link_tap_give(link, first);
	link_tap_give(link, first);
	link_tap_give(link, "lo");
	link_tap_give(link, "stap999");
	run_until_taps_are(*state, 4);
	assert_false(net_exists(first));
	assert_true(net_exists(second));
	/* The end removes the spares and leaves what a guest holds. */
	link_destroy(link, false);
	net_run_out(*state);
	assert_int_equal(net_count("stap"), 1);
	assert_true(net_exists(second));
	net_ip("link del %s", second);
	net_ip("link del sbr0");
}

static void lost_spares_are_not_handed_out(void **state)
{
	struct link *link = net_link(*state, 2);
	char tap[IFNAMSIZ];
	assert_int_equal(link_taps_settle(link, NULL), 0);
	net_ip("link del stap0");
	net_ip("link del stap1");
	assert_int_equal(net_take(link, tap, NULL), 0);
	assert_true(net_exists(tap));
	net_link_end(*state, link);
	net_ip("link del %s", tap);
}

static void taken_names_are_passed_over(void **state)
{
	struct link *link = net_link(*state, 0);
	char tap[IFNAMSIZ];
	net_ip("tuntap add stap0 mode tap");
	net_ip("link add stap1 type bridge");
	assert_int_equal(net_take(link, tap, NULL), 0);
	assert_string_equal(tap, "stap2");
	net_ip("link del stap1");
	link_tap_give(link, tap);
	net_link_end(*state, link);
	assert_true(net_exists("stap0"));
	net_ip("link del stap0");
}

static void adopted_taps_survive_a_restart(void **state)
{
	struct link *link = net_link(*state, 2);
	char kept[IFNAMSIZ], lost[IFNAMSIZ];
	assert_int_equal(link_taps_settle(link, NULL), 0);
	assert_int_equal(net_take(link, kept, NULL), 0);
	assert_int_equal(net_take(link, lost, NULL), 0);
	unsigned lost_index = if_nametoindex(lost);
	link_destroy(link, false);
	net_run_out(*state);
	net_ip("link add stap7x type bridge");
	net_ip("link add stap77 type bridge");

	link = net_link(*state, 2);
	assert_int_equal(link_tap_adopt(link, kept, NULL), 0);
	assert_int_equal(link_tap_adopt(link, kept, NULL), 0);
	assert_int_equal(link_taps_settle(link, NULL), 0);
	/* The adopted one, two spares, and two that are no taps of ours. */
	run_until_taps_are(*state, 5);
	assert_true(net_exists(kept));
	/* By its index: a spare one may have its name, if it was gone by then. */
	assert_null(if_indextoname(lost_index, lost));
	link_tap_give(link, kept);
	run_until_taps_are(*state, 4);
	assert_false(net_exists(kept));
	net_ip("link del stap7x");
	net_ip("link del stap77");
	net_link_end(*state, link);
	assert_int_equal(net_count("stap"), 0);
}

static void only_own_taps_are_adopted(void **state)
{
	struct link *link = net_link(*state, 0);
	struct error err = ERROR_INIT;
	assert_int_equal(link_tap_adopt(link, "stap0", &err), -ENODEV);
	assert_non_null(strstr(err.message, "stap0"));
	assert_int_equal(link_tap_adopt(link, "lo", &err), -EINVAL);
	assert_non_null(strstr(err.message, "no tap"));
	assert_int_equal(link_tap_adopt(link, "a-name-too-long-by-far", &err), -EINVAL);
	net_ip("link add sbr1 type bridge");
	net_ip("tuntap add stap5 mode tap");
	net_ip("link set stap5 master sbr1");
	assert_int_equal(link_tap_adopt(link, "stap5", &err), -EINVAL);
	assert_non_null(strstr(err.message, "another bridge"));
	/* Nor does settling touch it. */
	assert_int_equal(link_taps_settle(link, NULL), 0);
	net_run_out(*state);
	assert_true(net_exists("stap5"));
	/* One whose bridge went away comes back. */
	net_ip("link del sbr1");
	assert_int_equal(link_tap_adopt(link, "stap5", NULL), 0);
	assert_true(net_ip_says("master sbr0", "link show stap5"));
	link_tap_give(link, "stap5");
	net_link_end(*state, link);
	assert_false(net_exists("stap5"));
}

static void counters_count_both_ways(void **state)
{
	struct link *link = net_link(*state, 0);
	struct ip_address guest = net_address("10.77.0.5");
	struct mac_address mac = GUEST_MAC;
	struct link_counters before, after;
	struct error err = ERROR_INIT;
	char tap[IFNAMSIZ];
	uint8_t frame[2048];
	assert_int_equal(net_take(link, tap, NULL), 0);
	int fd = net_tap_open(tap);
	net_tap_await(tap);
	assert_int_equal(net_link_up(link, &guest, &mac, NULL), 0);
	assert_int_equal(link_read_counters(link, tap, &before, NULL), 0);
	net_tap_send(fd, &mac);
	net_tap_send(fd, &mac);
	assert_int_equal(net_send_udp(&guest, 4000), 0);
	net_tap_receive_udp(fd, 4000, frame, sizeof(frame));
	assert_int_equal(link_read_counters(link, tap, &after, NULL), 0);
	assert_int_equal(after.sent_frames - before.sent_frames, 2);
	assert_int_equal(after.sent_bytes - before.sent_bytes, 2 * 60);
	assert_true(after.received_frames > before.received_frames);
	assert_true(after.received_bytes > before.received_bytes);
	close(fd);
	link_tap_give(link, tap);
	net_run_out(*state);
	assert_int_equal(link_read_counters(link, tap, &after, &err), -ENODEV);
	assert_non_null(strstr(err.message, tap));
	net_link_end(*state, link);
}

/* A given tap is deleted even where a dying hypervisor still has it open. */
static void open_taps_are_deleted(void **state)
{
	struct link *link = net_link(*state, 0);
	char tap[IFNAMSIZ];
	assert_int_equal(net_take(link, tap, NULL), 0);
	int fd = net_tap_open(tap);
	link_tap_give(link, tap);
	run_until_taps_are(*state, 0);
	close(fd);
	net_link_end(*state, link);
}

/* Of what waits in a tap that is open. */
static int first_udp_port(int fd, enum link_tap_use use)
{
	uint8_t frame[2048];
	size_t begin = use == LINK_TAP_HEADERS ? sizeof(struct virtio_net_hdr) : 0;
	const uint8_t *ip = frame + begin + 14;
	ssize_t size;
	while ((size = read(fd, frame, sizeof(frame))) > 0)
		if (size >= (ssize_t)begin + 42 && ip[0] == 0x45 && ip[9] == IPPROTO_UDP)
			return ip[22] << 8 | ip[23];
	return -1;
}

/* Before a guest has sent anything, and where another one says that it is this one. */
static void a_placed_guest_is_sent_to_alone(void **state)
{
	struct link *link = net_link(*state, 0);
	struct ip_address guest = net_address("10.77.0.5");
	struct mac_address mac = GUEST_MAC;
	char taps[2][IFNAMSIZ];
	uint8_t frame[2048];
	int fds[2];
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(net_take(link, taps[i], NULL), 0);
		fds[i] = net_tap_open(taps[i]);
		net_tap_await(taps[i]);
	}
	assert_int_equal(link_place(link, taps[0], &mac, NULL), 0);
	assert_int_equal(link_place(link, taps[0], &mac, NULL), 0);
	assert_int_equal(link_place(link, "lo", &mac, NULL), -ENODEV);
	assert_int_equal(net_link_up(link, &guest, &mac, NULL), 0);
	net_tap_send(fds[1], &mac);
	assert_int_equal(net_send_udp(&guest, 4000), 0);
	net_tap_receive_udp(fds[0], 4000, frame, sizeof(frame));
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(first_udp_port(fds[1], LINK_TAP_HEADERS), -1);
	for (size_t i = 0; i < 2; i++) {
		close(fds[i]);
		link_tap_give(link, taps[i]);
	}
	net_run_out(*state);
	net_link_end(*state, link);
}

/* A bridge hears of its first port's carrier a moment late. */
static bool bridge_is_up(void *ctx)
{
	(void)ctx;
	return net_ip_says("state UP", "link show sbr0");
}

/* As a spare one is handed out, with the network's noise of before left behind. */
static void open_taps_forward_at_once(void **state)
{
	static const enum link_tap_use ways[] = {LINK_TAP_PLAIN, LINK_TAP_HEADERS};
	struct ip_address guest = net_address("10.77.0.5");
	struct mac_address mac = GUEST_MAC;
	struct link *link = net_link(*state, 2);
	assert_int_equal(link_taps_settle(link, NULL), 0);
	assert_true(net_run_until(*state, bridge_is_up, NULL));
	assert_int_equal(net_link_up(link, &guest, &mac, NULL), 0);
	for (size_t i = 0; i < 2; i++) { /* the second is no spare one: it is made now */
		struct link_tap tap;
		assert_int_equal(net_send_udp(&guest, 4001), 0);
		assert_int_equal(link_tap_take(link, ways[i], &tap, NULL), 0);
		assert_int_equal(net_send_udp(&guest, 4000), 0);
		assert_true(net_ip_says("state forwarding", "-d link show %s", tap.name));
		assert_int_equal(net_ip_says("vnet_hdr on", "-d link show %s", tap.name),
			ways[i] == LINK_TAP_HEADERS);
		assert_int_equal(first_udp_port(tap.fd, ways[i]), 4000);
		close(tap.fd);
		link_tap_give(link, tap.name);
	}
	net_link_end(*state, link);
}

static void many_taps(void **state)
{
	enum { MANY = 200 };
	struct link *link = net_link(*state, 4);
	static char names[MANY][IFNAMSIZ];
	assert_int_equal(link_taps_settle(link, NULL), 0);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(net_take(link, names[i], NULL), 0);
	run_until_taps_are(*state, MANY + 4);
	for (size_t i = 0; i < MANY; i++)
		link_tap_give(link, names[i]);
	/* Ended while the deletions are under way: they are completed. */
	net_link_end(*state, link);
	assert_int_equal(net_count("stap"), 0);
	assert_false(net_exists("sbr0"));
}

#define TAP_TEST(function) cmocka_unit_test_setup_teardown(function, loop_setup, loop_teardown)

int main(void)
{
	net_isolate();
	const struct CMUnitTest tests[] = {
		TAP_TEST(taps_are_ports_without_ipv6),
		TAP_TEST(spares_are_taken_and_refilled),
		TAP_TEST(lost_spares_are_not_handed_out),
		TAP_TEST(taken_names_are_passed_over),
		TAP_TEST(adopted_taps_survive_a_restart),
		TAP_TEST(only_own_taps_are_adopted),
		TAP_TEST(counters_count_both_ways),
		TAP_TEST(open_taps_are_deleted),
		TAP_TEST(a_placed_guest_is_sent_to_alone),
		TAP_TEST(open_taps_forward_at_once),
		TAP_TEST(many_taps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
