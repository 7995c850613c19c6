/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/virtio_net.h>
#include <netlink/attr.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "launcher/link/conntrack.h"
#include "launcher/link/usage.h"
#include "tests/link/net.h"

/* --- frames --- */

struct frame_kind {
	const char *what;
	uint8_t to;         /* the first byte of the MAC that it is sent to */
	uint16_t protocol;  /* of Ethernet */
	uint8_t next, type; /* IPv6: the next header, and the type of an ICMPv6 message */
	bool counts;
};

static const struct frame_kind kinds[] = {
	{"IPv4", 0x02, 0x0800, 0, 0, true},
	{"IPv4 to all", 0xff, 0x0800, 0, 0, false},
	{"IPv4 to a group", 0x01, 0x0800, 0, 0, false},
	{"IPv6, TCP", 0x02, 0x86dd, 6, 0, true},
	{"IPv6, echo request", 0x02, 0x86dd, 58, 128, true},
	{"IPv6, packet too big", 0x02, 0x86dd, 58, 2, true},
	{"IPv6 to a group", 0x33, 0x86dd, 17, 0, false},
	{"router solicitation", 0x02, 0x86dd, 58, 133, false},
	{"neighbour solicitation", 0x02, 0x86dd, 58, 135, false},
	{"redirect", 0x02, 0x86dd, 58, 137, false},
	{"ICMPv6 above them", 0x02, 0x86dd, 58, 138, true},
	{"ARP", 0x02, 0x0806, 0, 0, false},
	{"something else", 0x02, 0x88b5, 0, 0, false},
	{"another guest's", 0x06, 0x0800, 0, 0, false},
};

static void send_kind(int tap, const struct frame_kind *kind)
{
	uint8_t packet[sizeof(struct virtio_net_hdr) + 80] = {0};
	uint8_t *frame = packet + sizeof(struct virtio_net_hdr);
	const struct mac_address guest = GUEST_MAC;
	/* From the guest, but for what the bridge sends to all ports. */
	memcpy(frame + 6, guest.bytes, 6);
	frame[11] ^= kind->to == 0x06;
	frame[0] = kind->to;
	frame[5] = 0x77;
	frame[12] = (uint8_t)(kind->protocol >> 8);
	frame[13] = (uint8_t)kind->protocol;
	frame[14] = kind->protocol == 0x0800 ? 0x45 : 0x60;
	frame[20] = kind->next;
	frame[54] = kind->type;
	assert_int_equal(write(tap, packet, sizeof(packet)), sizeof(packet));
}

static void what_counts_is_told_from_noise(void **state)
{
	(void)state;
	uv_loop_t loop;
	char name[IFNAMSIZ];
	uv_loop_init(&loop);
	struct link *link = net_link(&loop, 0);
	assert_int_equal(net_take(link, name, NULL), 0);
	int tap = net_tap_open(name);
	net_tap_await(name);
	struct mac_address mac = GUEST_MAC;
	int usage = usage_open(name, &mac, NULL);
	assert_true(usage >= 0);
	usage_read(usage);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		send_kind(tap, &kinds[i]);
		uint64_t count = usage_read(usage);
		if (count != kinds[i].counts)
			fail_msg("%s counts %llu times", kinds[i].what, (unsigned long long)count);
	}
	/* However many there are, and the other way too. */
	for (int i = 0; i < 1000; i++)
		send_kind(tap, &kinds[0]);
	assert_int_equal(usage_read(usage), 1000);
	assert_int_equal(usage_read(usage), 0);
	struct ip_address guest = net_address("10.77.0.5");
	assert_int_equal(net_link_up(link, &guest, &mac, NULL), 0);
	assert_int_equal(net_send_udp(&guest, 4000), 0);
	assert_int_equal(usage_read(usage), 1);
	close(tap);
	link_tap_give(link, name);
	usage_close(&loop, usage);
	net_link_end(&loop, link);
	assert_int_equal(uv_loop_close(&loop), 0);
	struct error err = ERROR_INIT;
	assert_int_equal(usage_open("nodevice", &mac, &err), -ENODEV);
}

/* --- connections: made by hand, as a firewall's rules would have them tracked --- */

static void put_tuple(struct nl_msg *message, int which, const struct ip_address *from,
	const struct ip_address *to, uint16_t from_port, uint16_t to_port)
{
	bool six = from->family == AF_INET6;
	struct nlattr *tuple = nla_nest_start(message, which);
	struct nlattr *part = nla_nest_start(message, CTA_TUPLE_IP);
	netlink_put(
		message, six ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, from->bytes, ip_address_size(from));
	netlink_put(message, six ? CTA_IP_V6_DST : CTA_IP_V4_DST, to->bytes, ip_address_size(to));
	nla_nest_end(message, part);
	part = nla_nest_start(message, CTA_TUPLE_PROTO);
	netlink_put(message, CTA_PROTO_NUM, &(uint8_t){IPPROTO_TCP}, 1);
	netlink_put(message, CTA_PROTO_SRC_PORT, &(uint16_t){htons(from_port)}, 2);
	netlink_put(message, CTA_PROTO_DST_PORT, &(uint16_t){htons(to_port)}, 2);
	nla_nest_end(message, part);
	nla_nest_end(message, tuple);
}

static int track(
	struct conntrack *conntrack, const char *from, const char *to, uint16_t port, uint8_t state)
{
	struct ip_address a = net_address(from), b = net_address(to);
	const struct nfgenmsg header = {.nfgen_family = a.family};
	struct nl_msg *message = netlink_message(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW,
		NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	put_tuple(message, CTA_TUPLE_ORIG, &a, &b, port, 80);
	put_tuple(message, CTA_TUPLE_REPLY, &b, &a, 80, port);
	netlink_put_u32(message, CTA_TIMEOUT, htonl(100));
	struct nlattr *info = nla_nest_start(message, CTA_PROTOINFO);
	struct nlattr *tcp = nla_nest_start(message, CTA_PROTOINFO_TCP);
	netlink_put(message, CTA_PROTOINFO_TCP_STATE, &state, 1);
	nla_nest_end(message, tcp);
	nla_nest_end(message, info);
	return netlink_request(&conntrack->netlink, message, NULL, NULL);
}

static int open_connections(struct conntrack *conntrack, const char *address)
{
	struct ip_address guest = net_address(address);
	uint64_t now = clock_monotonic();
	while (!conntrack_knows(conntrack, now))
		uv_run(conntrack->loop, UV_RUN_ONCE);
	return conntrack_count(conntrack, &guest);
}

static void end_tracking(struct conntrack *conntrack, uv_loop_t *loop)
{
	conntrack_close(conntrack);
	uv_run(loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(loop), 0);
}

static void open_connections_are_counted(void **state)
{
	(void)state;
	struct conntrack conntrack = {.netlink.fd = -1};
	struct ip_address guest = net_address("10.77.0.5");
	const struct ip_prefix networks[] = {
		{net_address("10.77.0.1"), 16}, {net_address("fd77::1"), 64}};
	uv_loop_t loop;
	uv_loop_init(&loop);
	assert_true(conntrack_knows(&conntrack, clock_monotonic()));
	assert_int_equal(conntrack_count(&conntrack, &guest), -ENOTSUP);
	if (conntrack_open(&conntrack, &loop, networks, NULL) < 0 ||
		open_connections(&conntrack, "10.77.0.5") < 0) {
		end_tracking(&conntrack, &loop);
		skip(); /* a kernel without connection tracking */
	}
	assert_int_equal(open_connections(&conntrack, "10.77.0.5"), 0);
	static const struct {
		const char *from, *to;
		uint8_t state;
		int count; /* of 10.77.0.5 or fd77::5, after it */
	} steps[] = {
		{"192.0.2.1", "10.77.0.5", TCP_CONNTRACK_ESTABLISHED, 1},
		{"192.0.2.1", "10.77.0.6", TCP_CONNTRACK_ESTABLISHED, 1},
		{"192.0.2.1", "10.77.0.5", TCP_CONNTRACK_TIME_WAIT, 1},
		{"192.0.2.1", "10.77.0.5", TCP_CONNTRACK_CLOSE, 1},
		{"192.0.2.1", "10.77.0.5", TCP_CONNTRACK_SYN_SENT, 1},
		{"192.0.2.1", "10.77.0.5", TCP_CONNTRACK_CLOSE_WAIT, 2},
		{"10.77.0.5", "192.0.2.1", TCP_CONNTRACK_ESTABLISHED, 3},
		{"10.77.0.5", "10.77.0.6", TCP_CONNTRACK_SYN_RECV, 4},
		{"2001:db8::1", "fd77::5", TCP_CONNTRACK_ESTABLISHED, 1},
		{"fd77::5", "2001:db8::1", TCP_CONNTRACK_FIN_WAIT, 2},
		{"2001:db8::1", "fd77::6", TCP_CONNTRACK_ESTABLISHED, 2},
	};
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		bool six = strchr(steps[i].to, ':');
		assert_int_equal(track(&conntrack, steps[i].from, steps[i].to, (uint16_t)(1000 + i),
					 steps[i].state),
			0);
		assert_int_equal(open_connections(&conntrack, six ? "fd77::5" : "10.77.0.5"),
			steps[i].count);
	}
	assert_int_equal(open_connections(&conntrack, "10.77.0.7"), 0);
	assert_true(conntrack_is_used());
	/* Closed while it reads. */
	assert_false(conntrack_knows(&conntrack, clock_monotonic()));
	end_tracking(&conntrack, &loop);
}

int main(void)
{
	net_isolate();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_counts_is_told_from_noise),
		cmocka_unit_test(open_connections_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
