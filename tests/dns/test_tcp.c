/* SPDX-License-Identifier: ISC */
#include "tests/dns/fixture.h"

#include <poll.h>
#include <sys/resource.h>

#include "base/units.h"

#define WWW_TEXT "www.example.test"

static unsigned receive_id(struct fixture *fixture, int fd, unsigned *rcode)
{
	uint8_t answer[8192];
	assert_true(fixture_receive_frame(fixture, fd, answer, sizeof(answer)) >= DNS_HEADER_SIZE);
	*rcode = answer[3] & 0x0f;
	return wire_get16(answer);
}

static void expect_answer(struct fixture *fixture, int fd, uint16_t id, unsigned rcode)
{
	unsigned got;
	assert_int_equal(receive_id(fixture, fd, &got), id);
	assert_int_equal(got, rcode);
}

static struct fixture *create(struct dns_config config)
{
	return fixture_create("127.0.0.1", config);
}

static int connect_to(struct fixture *fixture)
{
	return fixture_connect(fixture, "127.0.0.1", SOCK_STREAM);
}

static void queries_are_answered(void **state)
{
	(void)state;
	struct fixture *fixture = create((struct dns_config){0});
	int fd = connect_to(fixture);
	fixture_ask_tcp(fd, 1, WWW_TEXT, DNS_TYPE_A);
	expect_answer(fixture, fd, 1, DNS_RCODE_NOERROR);
	assert_true(fixture->daemon.asked.tcp);
	fixture_ask_tcp(fd, 2, "nope.test", DNS_TYPE_A);
	expect_answer(fixture, fd, 2, DNS_RCODE_NXDOMAIN);
	assert_int_equal(dns_server_counters(fixture->server)->tcp_queries, 2);
	assert_int_equal(dns_server_counters(fixture->server)->tcp_connections, 1);
	/* The server stops with the connection open. */
	fixture_destroy(fixture);
	close(fd);
}

static void answers_overtake(void **state)
{
	(void)state;
	struct fixture *fixture = create((struct dns_config){0});
	int fd = connect_to(fixture);
	fixture->daemon.reply = DNS_REPLY_LATER;
	fixture_ask_tcp(fd, 1, WWW_TEXT, DNS_TYPE_A);
	fixture_wait_asked(fixture, 1);
	struct dns_query_id first = fixture->daemon.asked.id;
	fixture_ask_tcp(fd, 2, WWW_TEXT, DNS_TYPE_AAAA);
	fixture_wait_asked(fixture, 2);
	struct dns_query_id second = fixture->daemon.asked.id;
	fixture_ask_tcp(fd, 3, "example.test", DNS_TYPE_NS);
	expect_answer(fixture, fd, 3, DNS_RCODE_NOERROR);
	dns_answer(fixture->server, second, DNS_REPLY_ADDRESS, NULL);
	expect_answer(fixture, fd, 2, DNS_RCODE_NOERROR);
	dns_answer(fixture->server, first, DNS_REPLY_SERVFAIL, NULL);
	expect_answer(fixture, fd, 1, DNS_RCODE_SERVFAIL);
	close(fd);
	fixture_destroy(fixture);
}

static void frames_may_be_cut_anywhere(void **state)
{
	(void)state;
	struct fixture *fixture = create((struct dns_config){0});
	int fd = connect_to(fixture);
	uint8_t frames[128];
	size_t one = bytes_query(frames + 2, 1, WWW_TEXT, DNS_TYPE_A);
	wire_put16(frames, (uint16_t)one);
	size_t two = bytes_query(frames + 2 + one + 2, 2, WWW_TEXT, DNS_TYPE_A);
	wire_put16(frames + 2 + one, (uint16_t)two);
	size_t size = 2 + one + 2 + two;
	for (size_t cut = 1; cut < size; cut++) {
		uint64_t before = dns_server_counters(fixture->server)->tcp_queries;
		fixture_send(fd, frames, cut);
		fixture_turn(fixture);
		fixture_send(fd, frames + cut, size - cut);
		expect_answer(fixture, fd, 1, DNS_RCODE_NOERROR);
		expect_answer(fixture, fd, 2, DNS_RCODE_NOERROR);
		assert_int_equal(dns_server_counters(fixture->server)->tcp_queries, before + 2);
	}
	for (size_t i = 0; i < size; i++) {
		fixture_send(fd, frames + i, 1);
		fixture_turn(fixture);
	}
	expect_answer(fixture, fd, 1, DNS_RCODE_NOERROR);
	expect_answer(fixture, fd, 2, DNS_RCODE_NOERROR);
	close(fd);
	fixture_destroy(fixture);
}

static void queries_may_be_pipelined(void **state)
{
	(void)state;
	enum { COUNT = 200 };
	struct fixture *fixture = create((struct dns_config){0});
	int fd = connect_to(fixture);
	static uint8_t frames[COUNT * 64];
	size_t size = 0;
	for (uint16_t id = 0; id < COUNT; id++) {
		size_t one = bytes_query(frames + size + 2, id, WWW_TEXT, DNS_TYPE_A);
		wire_put16(frames + size, (uint16_t)one);
		size += 2 + one;
	}
	fixture_send(fd, frames, size);
	for (uint16_t id = 0; id < COUNT; id++)
		expect_answer(fixture, fd, id, DNS_RCODE_NOERROR);
	close(fd);
	fixture_destroy(fixture);
}

static void bad_frames(void **state)
{
	(void)state;
	struct fixture *fixture = create((struct dns_config){0});
	int fd = connect_to(fixture);
	/* Empty, too short for a header, an answer: nothing. A lone header: malformed. */
	uint8_t bytes[64];
	size_t size = bytes_read("0000 0003 123456 000c 0001 8100 0001 0000 0000 0000 "
				 "000c 0002 0100 0001 0000 0000 0000",
		bytes, sizeof(bytes));
	fixture_send(fd, bytes, size);
	expect_answer(fixture, fd, 2, DNS_RCODE_FORMERR);
	assert_int_equal(dns_server_counters(fixture->server)->dropped, 3);
	close(fd);
	fixture_destroy(fixture);
}

/* A frame of 64 KB costs us no more memory than any other, and does not end the connection. */
static void long_frames_are_malformed(void **state)
{
	(void)state;
	static uint8_t frame[2 + UINT16_MAX];
	static const size_t sizes[] = {4097, 4098, 4099, 10000, UINT16_MAX};
	struct fixture *fixture = create((struct dns_config){0});
	int fd = connect_to(fixture);
	for (uint16_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		bytes_query(frame + 2, i, WWW_TEXT, DNS_TYPE_A);
		wire_put16(frame, (uint16_t)sizes[i]);
		for (size_t sent = 0; sent < 2 + sizes[i];) {
			ssize_t rc = send(fd, frame + sent, 2 + sizes[i] - sent, MSG_NOSIGNAL);
			sent += rc > 0 ? (size_t)rc : 0;
			fixture_turn(fixture);
		}
		fixture_ask_tcp(fd, 100, WWW_TEXT, DNS_TYPE_A);
		expect_answer(fixture, fd, i, DNS_RCODE_FORMERR);
		expect_answer(fixture, fd, 100, DNS_RCODE_NOERROR);
	}
	assert_int_equal(dns_server_counters(fixture->server)->tcp_queries, 10);
	close(fd);
	fixture_destroy(fixture);
}

static void who_sends_no_more_gets_all_answers(void **state)
{
	(void)state;
	struct fixture *fixture = create((struct dns_config){0});
	int fd = connect_to(fixture);
	fixture->daemon.reply = DNS_REPLY_LATER;
	fixture_ask_tcp(fd, 1, WWW_TEXT, DNS_TYPE_A);
	fixture_ask_tcp(fd, 2, WWW_TEXT, DNS_TYPE_AAAA);
	fixture_ask_tcp(fd, 3, "nope.test", DNS_TYPE_A);
	fixture_send(fd, "\0\x20half a frame", 14);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	expect_answer(fixture, fd, 3, DNS_RCODE_NXDOMAIN);
	fixture_wait_asked(fixture, 2);
	for (int i = 0; i < 20; i++)
		fixture_turn(fixture);
	struct dns_query_id last = fixture->daemon.asked.id;
	const struct dns_query_id first = {.slot = last.slot - 1, .generation = last.generation};
	assert_true(dns_query_waiting(fixture->server, first));
	dns_answer(fixture->server, first, DNS_REPLY_ADDRESS, NULL);
	expect_answer(fixture, fd, 1, DNS_RCODE_NOERROR);
	dns_answer(fixture->server, last, DNS_REPLY_ADDRESS, NULL);
	expect_answer(fixture, fd, 2, DNS_RCODE_NOERROR);
	/* And then we close, too. */
	fixture_wait_closed(fixture, fd);
	close(fd);
	fixture_destroy(fixture);
}

static void clients_are_told_how_long_they_may_be_idle(void **state)
{
	(void)state;
	struct fixture *fixture =
		create((struct dns_config){.tcp_idle = 7 * NS_PER_S, .max_tcp = 2});
	int fd = connect_to(fixture), more = -1;
	uint8_t frame[128], answer[512];
	size_t size = bytes_read("0032 0001 0100 0001 0000 0000 0001 03'www'07'example'04'test'00 "
				 "0001 0001 00 0029 04d0 00000000 0004 000b 0000",
		frame, sizeof(frame));
	wire_put16(frame, (uint16_t)(size - 2));
	for (unsigned timeout = 70;; timeout = 0) {
		fixture_send(fd, frame, size);
		size_t got = fixture_receive_frame(fixture, fd, answer, sizeof(answer));
		assert_memory_equal(answer + got - 6, "\0\x0b\0\2", 4);
		assert_int_equal(wire_get16(answer + got - 2), timeout);
		if (more >= 0)
			break;
		/* With the last place taken, idle clients should go. */
		more = connect_to(fixture);
		fixture_ask_tcp(more, 1, WWW_TEXT, DNS_TYPE_A);
		expect_answer(fixture, more, 1, DNS_RCODE_NOERROR);
	}
	close(fd);
	close(more);
	fixture_destroy(fixture);
}

/* Closes so that the server sees that nobody is there any more. */
static void reset(int fd)
{
	const struct linger now = {.l_onoff = 1};
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(fd);
}

static void a_closed_connection_waits_for_nothing(void **state)
{
	(void)state;
	struct fixture *fixture = create((struct dns_config){.max_waiting = 1});
	int fd = connect_to(fixture);
	fixture->daemon.reply = DNS_REPLY_LATER;
	fixture_ask_tcp(fd, 1, WWW_TEXT, DNS_TYPE_A);
	fixture_wait_asked(fixture, 1);
	struct dns_query_id id = fixture->daemon.asked.id;
	assert_true(dns_query_waiting(fixture->server, id));
	reset(fd);
	for (int i = 0; i < HANG_MS && dns_query_waiting(fixture->server, id); i++)
		fixture_turn(fixture);
	assert_false(dns_query_waiting(fixture->server, id));
	/* Its place is another's by now, who gets no answer of the first. */
	fd = connect_to(fixture);
	fixture_ask_tcp(fd, 2, WWW_TEXT, DNS_TYPE_A);
	fixture_wait_asked(fixture, 2);
	assert_int_equal(fixture->daemon.asked.id.slot, id.slot);
	dns_answer(fixture->server, id, DNS_REPLY_REFUSED, NULL);
	dns_answer(fixture->server, fixture->daemon.asked.id, DNS_REPLY_ADDRESS, NULL);
	expect_answer(fixture, fd, 2, DNS_RCODE_NOERROR);
	close(fd);
	fixture_destroy(fixture);
}

static void one_connection_cannot_fill_the_table(void **state)
{
	(void)state;
	struct fixture *fixture = create((struct dns_config){0});
	int fd = connect_to(fixture), other = connect_to(fixture);
	fixture->daemon.reply = DNS_REPLY_LATER;
	for (uint16_t id = 1; id <= 129; id++)
		fixture_ask_tcp(fd, id, WWW_TEXT, DNS_TYPE_A);
	expect_answer(fixture, fd, 129, DNS_RCODE_SERVFAIL);
	fixture_ask_tcp(other, 1, WWW_TEXT, DNS_TYPE_A);
	fixture_wait_asked(fixture, 130);
	assert_true(dns_query_waiting(fixture->server, fixture->daemon.asked.id));
	close(fd);
	close(other);
	fixture_destroy(fixture);
}

/* Sends queries for the longest answer there is until no more can be sent; returns how many. */
static unsigned send_until_stuck(struct fixture *fixture, int fd, size_t *rest)
{
	uint8_t frame[64];
	int small = 16 << 10;
	size_t size = bytes_query(frame + 2, 1, "example.test", DNS_TYPE_NS);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	wire_put16(frame, (uint16_t)size);
	unsigned count = 0;
	for (int still = 0; still < 50;) {
		ssize_t sent = send(fd, frame, 2 + size, MSG_NOSIGNAL);
		count += sent > 0;
		still = sent > 0 ? 0 : still + 1;
		*rest = sent > 0 ? 2 + size - (size_t)sent : 0;
		if (*rest > 0)
			return count;
		if (sent < 0)
			fixture_turn(fixture);
	}
	return count;
}

static void a_slow_reader_gets_all(void **state)
{
	(void)state;
	struct fixture *fixture = create((struct dns_config){0});
	int fd = connect_to(fixture);
	size_t rest;
	unsigned count = send_until_stuck(fixture, fd, &rest);
	/* The server reads no more than it can answer. */
	assert_true(dns_server_counters(fixture->server)->tcp_queries < count);
	for (unsigned i = 0; i + (rest > 0) < count; i++)
		expect_answer(fixture, fd, 1, DNS_RCODE_NOERROR);
	close(fd);
	fixture_destroy(fixture);
}

static void who_never_reads_is_closed(void **state)
{
	(void)state;
	struct fixture *fixture = create((struct dns_config){.tcp_idle = 300 * NS_PER_MS});
	int fd = connect_to(fixture);
	size_t rest;
	send_until_stuck(fixture, fd, &rest);
	/* Closed with our queries unread, which the kernel tells with a reset. */
	struct pollfd one = {.fd = fd};
	for (int i = 0; i < HANG_MS && !(one.revents & (POLLERR | POLLHUP)); i++) {
		fixture_turn(fixture);
		poll(&one, 1, 0);
	}
	assert_true(one.revents & (POLLERR | POLLHUP));
	close(fd);
	fixture_destroy(fixture);
}

static void idle_connections_are_closed(void **state)
{
	(void)state;
	struct fixture *fixture = create((struct dns_config){.tcp_idle = 50 * NS_PER_MS});
	int waiting = connect_to(fixture), silent = connect_to(fixture);
	fixture->daemon.reply = DNS_REPLY_LATER;
	fixture_ask_tcp(waiting, 1, WWW_TEXT, DNS_TYPE_A);
	fixture_wait_asked(fixture, 1);
	struct dns_query_id id = fixture->daemon.asked.id;
	/* Half a frame is no sign of life. */
	fixture_send(silent, "\0", 1);
	fixture_wait_closed(fixture, silent);
	close(silent);
	silent = connect_to(fixture);
	fixture_wait_closed(fixture, silent);
	/* Who waits for us stays, and goes once that is over. */
	assert_true(dns_query_waiting(fixture->server, id));
	dns_answer(fixture->server, id, DNS_REPLY_ADDRESS, NULL);
	expect_answer(fixture, waiting, 1, DNS_RCODE_NOERROR);
	fixture_wait_closed(fixture, waiting);
	close(silent);
	close(waiting);
	fixture_destroy(fixture);
}

static void connections_are_bounded(void **state)
{
	(void)state;
	enum { MAX = 4 };
	struct fixture *fixture = create((struct dns_config){.max_tcp = MAX});
	int fds[MAX], more;
	for (uint16_t i = 0; i < MAX; i++) {
		fds[i] = connect_to(fixture);
		fixture_ask_tcp(fds[i], i, WWW_TEXT, DNS_TYPE_A);
		expect_answer(fixture, fds[i], i, DNS_RCODE_NOERROR);
	}
	/* The first is now the one that was active last: the second has to go. */
	fixture_ask_tcp(fds[0], 9, WWW_TEXT, DNS_TYPE_A);
	expect_answer(fixture, fds[0], 9, DNS_RCODE_NOERROR);
	more = connect_to(fixture);
	fixture_wait_closed(fixture, fds[1]);
	close(fds[1]);
	fds[1] = more;
	fixture->daemon.reply = DNS_REPLY_LATER;
	unsigned asked = fixture->daemon.count;
	for (uint16_t i = 0; i < MAX; i++)
		fixture_ask_tcp(fds[i], i, WWW_TEXT, DNS_TYPE_A);
	fixture_wait_asked(fixture, asked + MAX);
	/* None is idle: the newcomer is refused. */
	more = connect_to(fixture);
	fixture_wait_closed(fixture, more);
	close(more);
	dns_answer(fixture->server, fixture->daemon.asked.id, DNS_REPLY_ADDRESS, NULL);
	for (uint16_t i = 0; i < MAX; i++)
		close(fds[i]);
	fixture_destroy(fixture);
}

static void one_network_has_its_share_of_connections(void **state)
{
	(void)state;
	enum { SHARE = 2 };
	struct fixture *fixture = create((struct dns_config){.max_tcp_source = SHARE});
	int fds[SHARE];
	fixture->daemon.reply = DNS_REPLY_LATER;
	for (uint16_t i = 0; i < SHARE; i++) {
		fds[i] = connect_to(fixture);
		fixture_ask_tcp(fds[i], i, WWW_TEXT, DNS_TYPE_A);
		fixture_wait_asked(fixture, i + 1u);
	}
	/* All are in use. */
	int more = connect_to(fixture);
	fixture_wait_closed(fixture, more);
	close(more);
	assert_int_equal(dns_server_counters(fixture->server)->tcp_refused, 1);
	assert_int_equal(dns_server_counters(fixture->server)->tcp_connections, SHARE);
	/* One that is idle has to go. */
	dns_answer(fixture->server, fixture->daemon.asked.id, DNS_REPLY_ADDRESS, NULL);
	expect_answer(fixture, fds[SHARE - 1], SHARE - 1, DNS_RCODE_NOERROR);
	more = connect_to(fixture);
	fixture_wait_closed(fixture, fds[SHARE - 1]);
	fixture->daemon.reply = DNS_REPLY_ADDRESS;
	fixture_ask_tcp(more, 9, WWW_TEXT, DNS_TYPE_A);
	expect_answer(fixture, more, 9, DNS_RCODE_NOERROR);
	close(more);
	for (uint16_t i = 0; i < SHARE; i++)
		close(fds[i]);
	fixture_destroy(fixture);
}

static void without_descriptors_connections_are_refused(void **state)
{
	(void)state;
	enum { COUNT = 5 };
	struct fixture *fixture = create((struct dns_config){0});
	struct rlimit limit, none;
	int fds[COUNT];
	for (int i = 0; i < COUNT; i++)
		fds[i] = connect_to(fixture);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	/* No descriptor below the limit is free. */
	int lowest = dup(fds[0]);
	close(lowest);
	none = limit;
	none.rlim_cur = (rlim_t)lowest;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (int i = 0; i < COUNT; i++)
		fixture_wait_closed(fixture, fds[i]);
	assert_int_equal(dns_server_counters(fixture->server)->tcp_refused, COUNT);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int i = 0; i < COUNT; i++)
		close(fds[i]);
	int fd = connect_to(fixture);
	fixture_ask_tcp(fd, 1, WWW_TEXT, DNS_TYPE_A);
	expect_answer(fixture, fd, 1, DNS_RCODE_NOERROR);
	close(fd);
	fixture_destroy(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queries_are_answered),
		cmocka_unit_test(answers_overtake),
		cmocka_unit_test(frames_may_be_cut_anywhere),
		cmocka_unit_test(queries_may_be_pipelined),
		cmocka_unit_test(bad_frames),
		cmocka_unit_test(long_frames_are_malformed),
		cmocka_unit_test(who_sends_no_more_gets_all_answers),
		cmocka_unit_test(clients_are_told_how_long_they_may_be_idle),
		cmocka_unit_test(a_closed_connection_waits_for_nothing),
		cmocka_unit_test(one_connection_cannot_fill_the_table),
		cmocka_unit_test(a_slow_reader_gets_all),
		cmocka_unit_test(who_never_reads_is_closed),
		cmocka_unit_test(idle_connections_are_closed),
		cmocka_unit_test(connections_are_bounded),
		cmocka_unit_test(one_network_has_its_share_of_connections),
		cmocka_unit_test(without_descriptors_connections_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
