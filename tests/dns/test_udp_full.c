/* SPDX-License-Identifier: ISC */
#include "tests/dns/fixture.h"

#include <fcntl.h>
#include <limits.h>

/*
 * What becomes of answers that the kernel does not take. No ordinary socket can be brought to that
 * on demand, so that this program is linked with a sendmmsg of its own (-Wl,--wrap).
 */
int __real_sendmmsg(int fd, struct mmsghdr *headers, unsigned count, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *headers, unsigned count, int flags);

/* Calls that fail from now on, and how; after these the kernel takes a few at a time. */
static struct {
	int failures, error;
} kernel;

int __wrap_sendmmsg(int fd, struct mmsghdr *headers, unsigned count, int flags)
{
	if (kernel.failures > 0) {
		kernel.failures--;
		errno = kernel.error;
		return -1;
	}
	return __real_sendmmsg(fd, headers, count < 3 ? count : 3, flags);
}

static void ask_udp(int fd, uint16_t id)
{
	uint8_t query[64];
	fixture_send(fd, query, bytes_query(query, id, "www.example.test", DNS_TYPE_A));
}

static void expect_answer(struct fixture *fixture, int fd, uint16_t id)
{
	uint8_t answer[512];
	assert_true(fixture_receive(fixture, fd, answer, sizeof(answer)) > DNS_HEADER_SIZE);
	assert_int_equal(wire_get16(answer), id);
}

static struct fixture *create(int clients[2])
{
	struct fixture *fixture = fixture_create("127.0.0.1", (struct dns_config){0});
	for (int i = 0; i < 2; i++)
		clients[i] = fixture_connect(fixture, "127.0.0.1", SOCK_DGRAM);
	return fixture;
}

static void finish(struct fixture *fixture, const int clients[2])
{
	fixture_destroy(fixture);
	close(clients[0]);
	close(clients[1]);
}

static void answers_wait_for_the_kernel(void **state)
{
	(void)state;
	enum { EACH = 150 };
	int clients[2];
	struct fixture *fixture = create(clients);
	kernel.failures = INT_MAX;
	kernel.error = EAGAIN;
	for (int i = 0; i < 2; i++) {
		for (uint16_t id = 0; id < EACH; id++)
			ask_udp(clients[i], id);
		for (int turn = 0; turn < 20; turn++)
			fixture_turn(fixture);
	}
	/* While the queue is full, queries are left with the kernel. */
	const struct dns_counters *counters = dns_server_counters(fixture->server);
	assert_true(counters->udp_queries > EACH);
	assert_true(counters->udp_queries <= 256);
	kernel.failures = 0;
	for (int i = 0; i < 2; i++)
		for (uint16_t id = 0; id < EACH; id++)
			expect_answer(fixture, clients[i], id);
	assert_int_equal(counters->dropped, 0);
	finish(fixture, clients);
}

static void late_answers_beyond_the_queue_are_dropped(void **state)
{
	(void)state;
	enum { COUNT = 300, QUEUE = 256 };
	static struct dns_query_id ids[COUNT];
	int clients[2];
	struct fixture *fixture = create(clients);
	fixture->daemon.reply = DNS_REPLY_LATER;
	for (unsigned i = 0; i < COUNT; i++) {
		ask_udp(clients[i % 2], (uint16_t)i);
		fixture_wait_asked(fixture, i + 1);
		ids[i] = fixture->daemon.asked.id;
	}
	kernel.failures = INT_MAX;
	kernel.error = EAGAIN;
	for (unsigned i = 0; i < COUNT; i++) {
		dns_answer(fixture->server, ids[i], DNS_REPLY_ADDRESS, NULL);
		assert_false(dns_query_waiting(fixture->server, ids[i]));
	}
	assert_int_equal(dns_server_counters(fixture->server)->dropped, COUNT - QUEUE);
	kernel.failures = 0;
	for (unsigned i = 0; i < QUEUE; i++)
		expect_answer(fixture, clients[i % 2], (uint16_t)i);
	/* The ring has turned; all is as before. */
	fixture->daemon.reply = DNS_REPLY_ADDRESS;
	for (unsigned i = 0; i < COUNT; i++) {
		ask_udp(clients[0], (uint16_t)i);
		expect_answer(fixture, clients[0], (uint16_t)i);
	}
	finish(fixture, clients);
}

static void what_cannot_be_sent_holds_nothing_up(void **state)
{
	(void)state;
	int clients[2];
	struct fixture *fixture = create(clients);
	kernel.failures = 1;
	kernel.error = EPERM; /* as a firewall has it */
	ask_udp(clients[0], 1);
	fixture_wait_asked(fixture, 1);
	ask_udp(clients[0], 2);
	expect_answer(fixture, clients[0], 2);
	assert_int_equal(dns_server_counters(fixture->server)->dropped, 1);
	finish(fixture, clients);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_wait_for_the_kernel),
		cmocka_unit_test(late_answers_beyond_the_queue_are_dropped),
		cmocka_unit_test(what_cannot_be_sent_holds_nothing_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
