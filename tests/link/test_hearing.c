/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "tests/link/net.h"

/* What a guest's tap lets through, frame by frame, from another guest of its bridge. */
struct frame {
	const char *what;
	uint8_t to[6];
	uint16_t type;
	uint8_t at_38[4];  /* ARP: the target */
	uint8_t protocol;  /* IPv6: next header; IPv4: protocol, or 0 for UDP */
	uint8_t icmp_type; /* and the ICMP type */
	bool is_heard;
};

/* Of a guest with GUEST_MAC and the addresses below. */
static const struct frame frames[] = {
	{"to it", {0x02, 0x11, 0x22, 0x33, 0x44, 0x55}, 0x0800, {0}, 0, 0, true},
	{"a ping", {0x02, 0x11, 0x22, 0x33, 0x44, 0x55}, 0x0800, {0}, 1, 8, true},
	{"a redirect", {0x02, 0x11, 0x22, 0x33, 0x44, 0x55}, 0x0800, {0}, 1, 5, false},
	{"IPv6 to it", {0x02, 0x11, 0x22, 0x33, 0x44, 0x55}, 0x86dd, {0}, 17, 137, true},
	{"a ping over IPv6", {0x02, 0x11, 0x22, 0x33, 0x44, 0x55}, 0x86dd, {0}, 58, 128, true},
	{"a redirect of IPv6", {0x02, 0x11, 0x22, 0x33, 0x44, 0x55}, 0x86dd, {0}, 58, 137, false},
	{"to another", {0x02, 0x11, 0x22, 0x33, 0x44, 0x56}, 0x0800, {0}, 0, 0, false},
	{"to a stranger", {0x52, 0x11, 0x22, 0x33, 0x44, 0x55}, 0x0800, {0}, 0, 0, false},
	{"ARP for it", {255, 255, 255, 255, 255, 255}, 0x0806, {10, 77, 0, 5}, 0, 0, true},
	{"ARP for its last address", {255, 255, 255, 255, 255, 255}, 0x0806, {10, 77, 0, 4}, 0, 0,
		true},
	{"ARP for nobody", {255, 255, 255, 255, 255, 255}, 0x0806, {0}, 0, 0, false},
	{"ARP for another", {255, 255, 255, 255, 255, 255}, 0x0806, {10, 77, 0, 6}, 0, 0, false},
	{"ARP to it", {0x02, 0x11, 0x22, 0x33, 0x44, 0x55}, 0x0806, {10, 77, 0, 9}, 0, 0, true},
	{"an IPv4 broadcast", {255, 255, 255, 255, 255, 255}, 0x0800, {0}, 0, 0, true},
	{"IPv4 multicast", {1, 0, 0x5e, 0, 0, 251}, 0x0800, {0}, 0, 0, true},
	{"ND for it", {0x33, 0x33, 0xff, 0x12, 0x34, 0x56}, 0x86dd, {0}, 58, 135, true},
	{"ND for its last address", {0x33, 0x33, 0xff, 0xab, 0xcd, 0xef}, 0x86dd, {0}, 58, 135,
		true},
	{"ND for nobody", {0x33, 0x33, 0xff, 0, 0, 0}, 0x86dd, {0}, 58, 135, false},
	{"ND for another", {0x33, 0x33, 0xff, 0x12, 0x34, 0x57}, 0x86dd, {0}, 58, 135, false},
	{"an ND answer for all", {0x33, 0x33, 0, 0, 0, 1}, 0x86dd, {0}, 58, 136, false},
	{"a router's word for all", {0x33, 0x33, 0, 0, 0, 1}, 0x86dd, {0}, 58, 134, true},
	{"for routers", {0x33, 0x33, 0, 0, 0, 2}, 0x86dd, {0}, 58, 133, false},
	{"MLD for routers", {0x33, 0x33, 0, 0, 0, 0x16}, 0x86dd, {0}, 0, 0, false},
	{"IPv6 multicast", {0x33, 0x33, 0, 0, 0, 0xfb}, 0x86dd, {0}, 17, 136, true},
	{"of a protocol that nobody speaks", {255, 255, 255, 255, 255, 255}, 0x88b5, {0}, 0, 0,
		true},
};

static void take(struct link *link, struct link_tap *tap)
{
	assert_int_equal(link_tap_take(link, LINK_TAP_PLAIN, tap, NULL), 0);
}

/* Sound enough for a bridge that has the host's firewall look at what it forwards. */
static void fill_ipv4(uint8_t *ip, const struct frame *frame)
{
	static const uint8_t header[20] = {
		0x45, 0, 0, 66, 0, 0, 0, 0, 64, 17, 0, 0, 10, 77, 0, 7, 10, 77, 0, 5};
	uint32_t sum = 0;
	memcpy(ip, header, sizeof(header));
	ip[9] = frame->protocol ? frame->protocol : ip[9];
	ip[20] = frame->icmp_type;
	for (size_t i = 0; i < sizeof(header); i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	sum = ~((sum & 0xffff) + (sum >> 16));
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
}

static void fill_ipv6(uint8_t *ip, const struct frame *frame)
{
	ip[0] = 0x60;
	ip[5] = 26;
	ip[6] = frame->protocol;
	ip[7] = 255;
	ip[40] = frame->icmp_type;
}

static void send_frame(int fd, const struct frame *frame, uint8_t number)
{
	uint8_t bytes[80] = {0};
	static const uint8_t from[6] = {0x02, 0, 0, 0, 0, 0x77};
	memcpy(bytes, frame->to, 6);
	memcpy(bytes + 6, from, 6);
	bytes[12] = (uint8_t)(frame->type >> 8);
	bytes[13] = (uint8_t)frame->type;
	if (frame->type == 0x0800)
		fill_ipv4(bytes + 14, frame);
	else if (frame->type == 0x86dd)
		fill_ipv6(bytes + 14, frame);
	else
		memcpy(bytes + 38, frame->at_38, 4);
	bytes[79] = number;
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
}

/* Is the frame of that number among what waits? What the host says itself is passed over. */
static bool is_heard(int fd, uint8_t number)
{
	uint8_t bytes[2048];
	bool heard = false;
	ssize_t size;
	while ((size = read(fd, bytes, sizeof(bytes))) > 0)
		heard |= size == 80 && bytes[79] == number && bytes[11] == 0x77;
	return heard;
}

static void a_guest_hears_what_is_for_it(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct link_tap guest, other;
	struct mac_address mac = GUEST_MAC;
	const struct ip_address addresses[ADDRESSES_MAX] = {net_address("10.77.0.5"),
		net_address("fd77::12:3456"), net_address("10.77.0.2"), net_address("10.77.0.3"),
		net_address("10.77.0.4"), net_address("fd77::77:2"), {0},
		net_address("fd77::ab:cdef")};
	assert_int_equal(uv_loop_init(&loop), 0);
	struct link *link = net_link(&loop, 1);
	assert_int_equal(link_taps_settle(link, NULL), 0);
	take(link, &guest);
	take(link, &other);
	assert_int_equal(link_tap_narrow(guest.fd, &mac, addresses, ADDRESSES_MAX, NULL), 0);
	for (uint8_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		send_frame(other.fd, &frames[i], i);
		if (is_heard(guest.fd, i) != frames[i].is_heard)
			fail_msg("%s", frames[i].what);
	}
	close(guest.fd);
	close(other.fd);
	link_tap_give(link, guest.name);
	link_tap_give(link, other.name);
	net_link_end(&loop, link);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void what_is_no_tap_is_refused(void **state)
{
	(void)state;
	struct mac_address mac = GUEST_MAC;
	struct ip_address none = {0};
	struct error err = ERROR_INIT;
	assert_true(link_tap_narrow(STDIN_FILENO, &mac, &none, 1, &err) < 0);
	assert_non_null(strstr(err.message, "tap"));
}

int main(void)
{
	net_isolate();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_hears_what_is_for_it),
		cmocka_unit_test(what_is_no_tap_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
