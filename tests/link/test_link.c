/* SPDX-License-Identifier: ISC */
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

#include "tests/link/net.h"

static int loop_setup(void **state)
{
	*state = uv_loop_new();
	return *state ? 0 : -1;
}

/* Closing tells of each handle that a test left open. */
static int loop_teardown(void **state)
{
	net_run_out(*state);
	if (uv_loop_close(*state) != 0)
		return -1;
	free(*state);
	return 0;
}

static void bridge_is_made_and_used_again(void **state)
{
	struct link *link = net_link(*state, 0);
	assert_true(net_ip_says("forward_delay 0", "-d link show sbr0"));
	assert_true(net_ip_says("stp_state 0", "-d link show sbr0"));
	assert_true(net_ip_says("mcast_snooping 0", "-d link show sbr0"));
	assert_true(net_ip_says("UP", "link show sbr0"));
	assert_true(net_ip_says("10.77.0.1/16", "addr show dev sbr0"));
	assert_true(net_ip_says("fd77::1/64", "addr show dev sbr0"));
	assert_false(net_ip_says("tentative", "addr show dev sbr0 to fd77::1"));
	assert_false(net_ip_says("10.77.0.0/16", "route show table all"));
	assert_false(net_ip_says("fd77::/64", "-6 route show table all"));
	/* Without remove_all it stays, and a second life uses it as it is. */
	unsigned index = if_nametoindex("sbr0");
	link_destroy(link, false);
	net_run_out(*state);
	assert_int_equal(if_nametoindex("sbr0"), index);
	net_ip("link set sbr0 mtu 1400");
	link = net_link(*state, 0);
	assert_int_equal(if_nametoindex("sbr0"), index);
	assert_true(net_ip_says("mtu 1400", "link show sbr0"));
	/* The second life knows that the bridge is ours. */
	net_link_end(*state, link);
	assert_false(net_exists("sbr0"));
}

static void foreign_bridge_stays(void **state)
{
	net_ip("link add sbr0 type bridge forward_delay 500");
	net_ip("addr add 192.168.9.1/24 dev sbr0");
	struct link *link = net_link(*state, 0);
	assert_true(net_ip_says("forward_delay 500", "-d link show sbr0"));
	assert_true(net_ip_says("192.168.9.1/24", "addr show dev sbr0"));
	assert_true(net_ip_says("10.77.0.1/16", "addr show dev sbr0"));
	net_link_end(*state, link);
	assert_true(net_exists("sbr0"));
	net_ip("link del sbr0");
}

static void expect_refusal(
	uv_loop_t *loop, const struct link_config *config, int code, const char *words)
{
	struct link *link = NULL;
	struct error err = ERROR_INIT;
	unsigned before = net_count("");
	assert_int_equal(link_create(loop, config, &link, &err), code);
	assert_null(link);
	if (!strstr(err.message, words))
		fail_msg("'%s' does not say '%s'", err.message, words);
	assert_int_equal(net_count(""), before);
}

static void bad_configurations_are_refused(void **state)
{
	struct link_config good = {
		.bridge = "sbr0", .address = net_prefix("10.77.0.1/16"), .tap_prefix = "stap"};
	struct link_config config = good;
	config.bridge = "lo";
	expect_refusal(*state, &config, -EEXIST, "'lo' is a network device that is no bridge");
	net_ip("tuntap add sdum0 mode tun");
	config.bridge = "sdum0";
	expect_refusal(*state, &config, -EEXIST, "no bridge (tun)");
	net_ip("addr add 10.77.0.1/32 dev sdum0");
	expect_refusal(*state, &good, -EADDRINUSE, "'sdum0' has it already");
	net_ip("link del sdum0");
	config.bridge = "a-bridge-named-so";
	expect_refusal(*state, &config, -EINVAL, "1 to 15 are allowed");
	config.bridge = "a/b";
	expect_refusal(*state, &config, -EINVAL, "cannot name a network device");
	config = good;
	config.tap_prefix = "ninechars";
	expect_refusal(*state, &config, -EINVAL, "1 to 8 are allowed");
	config.tap_prefix = "";
	expect_refusal(*state, &config, -EINVAL, "tap prefix");
	config = good;
	config.address = (struct ip_prefix){0};
	expect_refusal(*state, &config, -EINVAL, "needs an IPv4 address");
	config = good;
	config.address6 = config.address;
	expect_refusal(*state, &config, -EINVAL, "IPv6 address");
	config = good;
	config.spare_taps = 1000000;
	expect_refusal(*state, &config, -EINVAL, "too many");
}

static void ipv6_is_quiet_without_an_address(void **state)
{
	struct link_config config = {
		.bridge = "sbr0", .address = net_prefix("10.77.0.1/16"), .tap_prefix = "stap"};
	struct link *link;
	struct error err = ERROR_INIT;
	assert_int_equal(link_create(*state, &config, &link, NULL), 0);
	assert_false(net_ip_says("inet6", "addr show dev sbr0"));
	struct ip_address guest = net_address("fd77::5");
	struct mac_address mac = GUEST_MAC;
	assert_int_equal(net_link_up(link, &guest, &mac, &err), -EAFNOSUPPORT);
	assert_non_null(strstr(err.message, "fd77::5"));
	net_link_end(*state, link);
}

static void switched_off_ipv6_is_named(void **state)
{
	net_ip("link add sbr0 type bridge");
	FILE *file = fopen("/proc/sys/net/ipv6/conf/sbr0/disable_ipv6", "w");
	assert_non_null(file);
	fputs("1", file);
	assert_int_equal(fclose(file), 0);
	struct link_config config = {.bridge = "sbr0",
		.address = net_prefix("10.77.0.1/16"),
		.address6 = net_prefix("fd77::1/64"),
		.tap_prefix = "stap"};
	expect_refusal(*state, &config, -EACCES, "disable_ipv6");
	net_ip("link del sbr0");
}

static void privileges_are_asked_for(void **state)
{
	struct link_config config = {
		.bridge = "sbr1", .address = net_prefix("10.79.0.1/16"), .tap_prefix = "stap"};
	struct link *link = net_link(*state, 0);
	struct ip_address guest = net_address("10.77.0.5");
	struct mac_address mac = GUEST_MAC;
	struct error err = ERROR_INIT;
	char tap[IFNAMSIZ];
	assert_int_equal(seteuid(65534), 0);
	expect_refusal(*state, &config, -EPERM, "run as root or with CAP_NET_ADMIN");
	int up = net_link_up(link, &guest, &mac, &err);
	int taken = net_take(link, tap, &err);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(up, -EPERM);
	assert_true(taken == -EPERM || taken == -EACCES); /* by the mode of /dev/net/tun */
	assert_non_null(strstr(err.message, "run as root or with CAP_NET_ADMIN"));
	net_link_end(*state, link);
}

/* A packet to the guest's address arrives at its tap, with its MAC and our bridge's address, while
 * the link is up and at no other time. */
static void check_way_to_guest(
	uv_loop_t *loop, const char *guest_text, const char *gateway_text, size_t source_offset)
{
	struct link *link = net_link(loop, 0);
	struct ip_address guest = net_address(guest_text), gateway = net_address(gateway_text);
	struct mac_address mac = GUEST_MAC;
	char tap[IFNAMSIZ];
	char text[MAC_ADDRESS_TEXT];
	struct mac_address source = {0};
	uint8_t frame[2048];
	/* Another address on the bridge, that must not become the source. */
	net_ip("addr add %s dev sbr0",
		guest.family == AF_INET ? "10.77.0.9/32" : "fd77::9/128 nodad");
	assert_int_equal(net_take(link, tap, NULL), 0);
	int fd = net_tap_open(tap);
	net_tap_await(tap);
	assert_int_equal(net_send_udp(&guest, 4000), -ENETUNREACH);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(net_link_up(link, &guest, &mac, NULL), 0);
		assert_int_equal(net_link_up(link, &guest, &mac, NULL), 0);
		assert_int_equal(net_send_udp(&guest, 4001), 0);
		net_tap_receive_udp(fd, 4001, frame, sizeof(frame));
		assert_memory_equal(frame, mac.bytes, 6);
		memcpy(source.bytes, frame + 6, 6);
		assert_true(net_ip_says(mac_address_print(&source, text), "link show dev sbr0"));
		assert_memory_equal(
			frame + source_offset, gateway.bytes, ip_address_size(&gateway));
		assert_int_equal(link_down(link, &guest, NULL), 0);
		assert_int_equal(link_down(link, &guest, NULL), 0);
		assert_int_equal(net_send_udp(&guest, 4002), -ENETUNREACH);
		assert_false(net_ip_says(guest_text, "neigh show dev sbr0"));
	}
	/* A new MAC for the same address takes the old one's place. */
	assert_int_equal(net_link_up(link, &guest, &mac, NULL), 0);
	mac.bytes[5]++;
	assert_int_equal(net_link_up(link, &guest, &mac, NULL), 0);
	assert_int_equal(net_send_udp(&guest, 4003), 0);
	net_tap_receive_udp(fd, 4003, frame, sizeof(frame));
	assert_memory_equal(frame, mac.bytes, 6);
	close(fd);
	link_tap_give(link, tap);
	net_link_end(loop, link);
}

static void ipv4_way_to_guest(void **state)
{
	check_way_to_guest(*state, "10.77.3.5", "10.77.0.1", 14 + 12);
}

static void ipv6_way_to_guest(void **state)
{
	check_way_to_guest(*state, "fd77::305", "fd77::1", 14 + 8);
}

static void foreign_routes_are_not_ours(void **state)
{
	struct link *link = net_link(*state, 0);
	struct mac_address mac = GUEST_MAC;
	struct error err = ERROR_INIT;
	static const char *const outside[] = {"10.78.0.5", "8.8.8.8", "10.77.0.1", "fd78::5"};
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		struct ip_address address = net_address(outside[i]);
		assert_int_equal(net_link_up(link, &address, &mac, &err), -EINVAL);
		assert_non_null(strstr(err.message, outside[i]));
		assert_int_equal(link_down(link, &address, &err), -EINVAL);
	}
	/* An administrator's route to the same address survives ours. */
	struct ip_address guest = net_address("10.77.0.5");
	net_ip("route add 10.77.0.5 dev lo metric 4000");
	assert_int_equal(net_link_up(link, &guest, &mac, NULL), 0);
	assert_true(net_ip_says("dev sbr0 src 10.77.0.1", "route get 10.77.0.5"));
	assert_int_equal(link_down(link, &guest, NULL), 0);
	assert_true(net_ip_says("dev lo", "route get 10.77.0.5"));
	net_ip("route del 10.77.0.5 dev lo");
	net_link_end(*state, link);
}

static bool keep_named(void *ctx, const struct ip_address *address)
{
	char text[IP_ADDRESS_TEXT];
	const char *const *name = ctx;
	for (ip_address_print(address, text); *name; name++)
		if (strcmp(*name, text) == 0)
			return true;
	return false;
}

static void pruning_removes_what_is_not_kept(void **state)
{
	struct link *link = net_link(*state, 0);
	struct mac_address mac = GUEST_MAC;
	static const char *const all[] = {"10.77.0.5", "10.77.0.6", "fd77::5", "fd77::6"};
	const char *keep[] = {"10.77.0.6", "fd77::5", NULL};
	for (size_t i = 0; i < 4; i++) {
		struct ip_address address = net_address(all[i]);
		assert_int_equal(net_link_up(link, &address, &mac, NULL), 0);
	}
	net_ip("route add 10.77.0.7 dev sbr0");
	/* As after a restart. */
	link_destroy(link, false);
	net_run_out(*state);
	link = net_link(*state, 0);
	assert_int_equal(link_prune(link, keep_named, keep, NULL), 0);
	assert_false(net_ip_says("10.77.0.5", "route show"));
	assert_false(net_ip_says("10.77.0.5", "neigh show"));
	assert_true(net_ip_says("10.77.0.6", "route show"));
	assert_true(net_ip_says("10.77.0.6", "neigh show"));
	assert_true(net_ip_says("10.77.0.7", "route show"));
	assert_true(net_ip_says("fd77::5", "-6 route show"));
	assert_false(net_ip_says("fd77::6", "-6 route show"));
	assert_int_equal(link_prune(link, keep_named, keep + 2, NULL), 0);
	assert_false(net_ip_says("10.77.0.6", "route show"));
	assert_true(net_ip_says("10.77.0.7", "route show"));
	net_link_end(*state, link);
}

static void macs_are_stable_and_distinct(void **state)
{
	(void)state;
	char text[MAC_ADDRESS_TEXT];
	struct mac_address mac = link_mac("", 0x12345678);
	/* FNV-1a of nothing is its offset basis, cbf29ce484222325. */
	assert_string_equal(mac_address_print(&mac, text), "ca:f2:31:11:56:78");
	struct mac_address other = link_mac("other", 0x12345678), next = link_mac("", 0x12345679);
	struct mac_address upper = link_mac("", 0x12355678);
	assert_memory_not_equal(mac.bytes, other.bytes, 6);
	assert_memory_not_equal(mac.bytes, next.bytes, 6);
	assert_memory_not_equal(mac.bytes, upper.bytes, 6);
	assert_int_equal(other.bytes[0] & 3, 2);
}

#define LINK_TEST(function) cmocka_unit_test_setup_teardown(function, loop_setup, loop_teardown)

int main(void)
{
	net_isolate();
	const struct CMUnitTest tests[] = {
		LINK_TEST(bridge_is_made_and_used_again),
		LINK_TEST(foreign_bridge_stays),
		LINK_TEST(bad_configurations_are_refused),
		LINK_TEST(ipv6_is_quiet_without_an_address),
		LINK_TEST(switched_off_ipv6_is_named),
		LINK_TEST(privileges_are_asked_for),
		LINK_TEST(ipv4_way_to_guest),
		LINK_TEST(ipv6_way_to_guest),
		LINK_TEST(foreign_routes_are_not_ours),
		LINK_TEST(pruning_removes_what_is_not_kept),
		cmocka_unit_test(macs_are_stable_and_distinct),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
