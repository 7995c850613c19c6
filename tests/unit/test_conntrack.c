/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/units.h"
#include "launcher/link/conntrack.h"

/*
 * The kernel's part is played by the other end of a pair of sockets: what it will answer lies there
 * before it is asked. Readings are numbered as their requests are: 1, 2, 3, ...
 */
static const struct ip_address guest = {.family = AF_INET, .bytes = {10, 77, 0, 5}};
static const struct ip_address other = {.family = AF_INET, .bytes = {10, 77, 0, 6}};

struct stage {
	uv_loop_t loop;
	struct conntrack conntrack;
	int kernel;
};

static int setup(void **state)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	const struct ip_prefix networks[2] = {
		{.address = {.family = AF_INET, .bytes = {10, 77}}, .length = 16}};
	struct error err = ERROR_INIT;
	int pair[2];
	assert_non_null(stage);
	assert_int_equal(uv_loop_init(&stage->loop), 0);
	assert_int_equal(conntrack_open(&stage->conntrack, &stage->loop, networks, &err), 0);
	netlink_close(&stage->conntrack.netlink);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	stage->conntrack.netlink.fd = pair[0];
	stage->kernel = pair[1];
	*state = stage;
	return 0;
}

static int teardown(void **state)
{
	struct stage *stage = *state;
	conntrack_close(&stage->conntrack);
	uv_run(&stage->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&stage->loop), 0);
	close(stage->kernel);
	free(stage);
	return 0;
}

/* --- what the kernel says --- */

static void say(struct stage *stage, struct nl_msg *message)
{
	const struct nlmsghdr *header = nlmsg_hdr(message);
	assert_int_equal(send(stage->kernel, header, header->nlmsg_len, 0), header->nlmsg_len);
	nlmsg_free(message);
}

static struct nl_msg *part(unsigned reading, int type, int flags)
{
	struct nl_msg *message = nlmsg_alloc();
	assert_non_null(message);
	nlmsg_put(message, 0, reading, type, 0, NLM_F_MULTI | flags);
	return message;
}

static void say_connection(struct stage *stage, unsigned reading, const struct ip_address *from,
	uint8_t tcp, int flags)
{
	struct nl_msg *message =
		part(reading, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW, flags);
	const struct nfgenmsg header = {.nfgen_family = AF_INET, .version = NFNETLINK_V0};
	nlmsg_append(message, (void *)(uintptr_t)&header, sizeof(header), NLMSG_ALIGNTO);
	struct nlattr *tuple = nla_nest_start(message, CTA_TUPLE_REPLY);
	struct nlattr *addresses = nla_nest_start(message, CTA_TUPLE_IP);
	nla_put(message, CTA_IP_V4_SRC, 4, from->bytes);
	nla_nest_end(message, addresses);
	nla_nest_end(message, tuple);
	struct nlattr *protocol = nla_nest_start(message, CTA_PROTOINFO);
	struct nlattr *state = nla_nest_start(message, CTA_PROTOINFO_TCP);
	nla_put_u8(message, CTA_PROTOINFO_TCP_STATE, tcp);
	nla_nest_end(message, state);
	nla_nest_end(message, protocol);
	say(stage, message);
}

static void say_end(struct stage *stage, unsigned reading, int code, int flags)
{
	struct nl_msg *message = part(reading, NLMSG_DONE, flags);
	nlmsg_append(message, &code, sizeof(code), NLMSG_ALIGNTO);
	say(stage, message);
}

static void read_them(struct stage *stage)
{
	uint64_t now = clock_monotonic();
	if (!conntrack_knows(&stage->conntrack, now))
		uv_run(&stage->loop, UV_RUN_DEFAULT);
	assert_true(conntrack_knows(&stage->conntrack, now));
}

static int count(struct stage *stage, const struct ip_address *address)
{
	return conntrack_count(&stage->conntrack, address);
}

/* --- the cases --- */

static void nothing_is_known_at_first(void **state)
{
	assert_int_equal(count(*state, &guest), -EAGAIN);
}

static void open_ones_are_counted(void **state)
{
	say_connection(*state, 1, &guest, TCP_CONNTRACK_ESTABLISHED, 0);
	say_connection(*state, 1, &guest, TCP_CONNTRACK_CLOSE_WAIT, 0);
	say_connection(*state, 1, &guest, TCP_CONNTRACK_TIME_WAIT, 0);
	say_connection(*state, 1, &other, TCP_CONNTRACK_TIME_WAIT, 0);
	say_end(*state, 1, 0, 0);
	read_them(*state);
	assert_int_equal(count(*state, &guest), 2);
	assert_int_equal(count(*state, &other), 0);
}

/* The kernel passes over entries where its table grows under a reading. */
static void what_was_interrupted_is_read_again(void **state)
{
	say_end(*state, 1, 0, NLM_F_DUMP_INTR);
	say_connection(*state, 2, &guest, TCP_CONNTRACK_ESTABLISHED, NLM_F_DUMP_INTR);
	say_connection(*state, 2, &other, TCP_CONNTRACK_ESTABLISHED, 0);
	say_end(*state, 2, 0, NLM_F_DUMP_INTR);
	say_connection(*state, 3, &guest, TCP_CONNTRACK_ESTABLISHED, 0);
	say_end(*state, 3, 0, 0);
	read_them(*state);
	assert_int_equal(count(*state, &guest), 1);
	assert_int_equal(count(*state, &other), 0);
}

static void what_is_interrupted_always_counts_as_one(void **state)
{
	for (unsigned reading = 1; reading <= 4; reading++)
		say_end(*state, reading, 0, NLM_F_DUMP_INTR);
	read_them(*state);
	assert_int_equal(count(*state, &guest), 1);
	say_end(*state, 5, 0, 0);
	read_them(*state);
	assert_int_equal(count(*state, &guest), 0);
}

static void too_many_count_as_one(void **state)
{
	struct stage *stage = *state;
	assert_int_equal(stage->conntrack.most, 1 << 20);
	stage->conntrack.most = 3;
	for (int i = 0; i < 4; i++)
		say_connection(stage, 1, &other, TCP_CONNTRACK_ESTABLISHED, 0);
	say_end(stage, 1, 0, 0);
	read_them(stage);
	assert_int_equal(count(stage, &guest), 1);
	for (int i = 0; i < 3; i++)
		say_connection(stage, 2, &other, TCP_CONNTRACK_ESTABLISHED, 0);
	say_end(stage, 2, 0, 0);
	read_them(stage);
	assert_int_equal(count(stage, &guest), 0);
	assert_int_equal(count(stage, &other), 3);
}

static void what_cannot_be_read_counts_as_one(void **state)
{
	static const int transient[] = {-ENOMEM, -ENOBUFS, -EIO, -EBUSY};
	static const int lasting[] = {-EINVAL, -EOPNOTSUPP, -EPERM};
	unsigned reading = 0;
	for (size_t i = 0; i < sizeof(transient) / sizeof(transient[0]); i++) {
		say_end(*state, ++reading, transient[i], 0);
		read_them(*state);
		assert_int_equal(count(*state, &guest), 1);
	}
	for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++) {
		say_end(*state, ++reading, lasting[i], 0);
		read_them(*state);
		assert_int_equal(count(*state, &guest), lasting[i]);
	}
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(nothing_is_known_at_first),
		CASE(open_ones_are_counted),
		CASE(what_was_interrupted_is_read_again),
		CASE(what_is_interrupted_always_counts_as_one),
		CASE(too_many_count_as_one),
		CASE(what_cannot_be_read_counts_as_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
