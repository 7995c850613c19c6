/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/units.h"
#include "policies/decide.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define S            NS_PER_S

static struct policy with(const char *option, const char *value)
{
	struct policy policy;
	policy_init(&policy, "web");
	if (option)
		assert_int_equal(policy_set(&policy, option, value, NULL), 0);
	return policy;
}

static struct ring packet(enum ring_kind kind, uint16_t port, const char *from)
{
	struct ring ring = {.kind = kind, .port = port};
	assert_int_equal(ip_address_parse(from, &ring.from, NULL), 0);
	return ring;
}

static void expect(const struct policy *policy, const struct load *load, enum ring_kind kind,
	uint16_t port, const char *from, enum ring_verdict verdict)
{
	struct ring ring = packet(kind, port, from);
	enum ring_verdict said = decide_ring(policy, load, &ring, 100 * S);
	if (said != verdict)
		fail_msg("kind %d to port %u of a service in load %d: %s, and not %s", kind, port,
			load->state, ring_verdict_name(said), ring_verdict_name(verdict));
}

#define FROM "192.0.2.1"

static void what_wakes(void **state)
{
	(void)state;
	static const struct {
		const char *option, *value;
		enum ring_kind kind;
		uint16_t port;
		const char *from;
		enum ring_verdict asleep;
	} cases[] = {
		{NULL, NULL, RING_CONNECT, 80, FROM, RING_WAKE},
		{NULL, NULL, RING_CONNECT, 443, "fd00::1", RING_WAKE},
		{NULL, NULL, RING_CONNECT, 22, FROM, RING_PORT},
		{NULL, NULL, RING_SEGMENT, 80, FROM, RING_DEAD},
		{NULL, NULL, RING_DATAGRAM, 80, FROM, RING_PORT},
		{NULL, NULL, RING_PING, 0, FROM, RING_NO_PING},
		{NULL, NULL, RING_OTHER, 0, FROM, RING_KIND},
		{"ring_tcp", "none", RING_CONNECT, 80, FROM, RING_PORT},
		{"ring_tcp", "8000-8099", RING_CONNECT, 8099, FROM, RING_WAKE},
		{"ring_tcp", "8000-8099", RING_CONNECT, 8100, FROM, RING_PORT},
		{"ring_tcp", "any", RING_CONNECT, 65535, FROM, RING_WAKE},
		{"ring_udp", "53", RING_DATAGRAM, 53, FROM, RING_WAKE},
		{"ring_udp", "53", RING_CONNECT, 53, FROM, RING_PORT},
		{"ring_ping", "yes", RING_PING, 0, FROM, RING_WAKE},
		{"ring_from", "10.0.0.0/8 fd00::/8", RING_CONNECT, 80, "10.9.8.7", RING_WAKE},
		{"ring_from", "10.0.0.0/8 fd00::/8", RING_CONNECT, 80, "fd12::1", RING_WAKE},
		{"ring_from", "10.0.0.0/8 fd00::/8", RING_CONNECT, 80, "11.0.0.1", RING_FROM},
		{"ring_from", "none", RING_CONNECT, 80, "10.9.8.7", RING_FROM},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct policy policy = with(cases[i].option, cases[i].value);
		struct load load = {.state = LOAD_ASLEEP};
		expect(&policy, &load, cases[i].kind, cases[i].port, cases[i].from,
			cases[i].asleep);
		/* A guest that is on its way down is wanted again; what is left of its
		 * connections is its own affair. */
		bool rest = cases[i].kind == RING_SEGMENT || cases[i].kind == RING_OTHER;
		load.state = LOAD_STOPPING;
		expect(&policy, &load, cases[i].kind, cases[i].port, cases[i].from,
			rest ? RING_PASS : cases[i].asleep);
		load.state = LOAD_AWAKE;
		expect(&policy, &load, cases[i].kind, cases[i].port, cases[i].from, RING_PASS);
	}
}

static void a_start_under_way(void **state)
{
	(void)state;
	struct policy policy = with("ring_udp", "53");
	struct load load = {.state = LOAD_STARTING};
	/* Any connection waits: the guest will tell whether it wants it. Answers to what the guest
	 * itself has asked while it boots do not. */
	expect(&policy, &load, RING_CONNECT, 80, FROM, RING_WAIT);
	expect(&policy, &load, RING_CONNECT, 22, FROM, RING_WAIT);
	expect(&policy, &load, RING_SEGMENT, 80, FROM, RING_PASS);
	expect(&policy, &load, RING_DATAGRAM, 53, FROM, RING_WAIT);
	expect(&policy, &load, RING_DATAGRAM, 40000, FROM, RING_PASS);
	expect(&policy, &load, RING_PING, 0, FROM, RING_PASS);
	expect(&policy, &load, RING_OTHER, 0, FROM, RING_PASS);
}

static void connections_of_a_kept_guest(void **state)
{
	(void)state;
	struct policy policy = with(NULL, NULL);
	struct load load = {.state = LOAD_ASLEEP, .remembers = true};
	expect(&policy, &load, RING_SEGMENT, 80, FROM, RING_WAKE);
	expect(&policy, &load, RING_SEGMENT, 22, FROM, RING_PORT);
	load.state = LOAD_STARTING; /* it is being resumed */
	expect(&policy, &load, RING_SEGMENT, 80, FROM, RING_WAIT);
}

static void backoff_holds(void **state)
{
	(void)state;
	struct policy policy = with(NULL, NULL);
	struct load load = {.state = LOAD_ASLEEP, .failures = 2, .failed_at = 99 * S};
	expect(&policy, &load, RING_CONNECT, 80, FROM, RING_BACKOFF);
	load.closed = true;
	expect(&policy, &load, RING_CONNECT, 80, FROM, RING_CLOSED);
	expect(&policy, &load, RING_CONNECT, 81, FROM, RING_PORT);
	load.closed = false;
	expect(&policy, &load, RING_CONNECT, 22, FROM, RING_PORT);
	load.failures = 1;
	expect(&policy, &load, RING_CONNECT, 80, FROM, RING_WAKE);
}

/* So many at once, then one with each part of the span. */
static void rate_is_kept(void **state)
{
	(void)state;
	struct policy policy = with("ring_rate", "3/1min");
	struct load load = {.state = LOAD_ASLEEP};
	struct ring ring = packet(RING_CONNECT, 80, FROM);
	static const struct {
		uint64_t at;
		enum ring_verdict verdict;
	} wakes[] = {
		{1000, RING_WAKE},
		{1000, RING_WAKE},
		{1000, RING_WAKE},
		{1000, RING_RATE},
		{1019, RING_RATE},
		{1020, RING_WAKE},
		{1039, RING_RATE},
		{1040, RING_WAKE},
		{2000, RING_WAKE},
		{2000, RING_WAKE},
		{2000, RING_WAKE},
		{2001, RING_RATE},
	};
	for (size_t i = 0; i < COUNT(wakes); i++) {
		uint64_t now = wakes[i].at * S;
		assert_int_equal(decide_ring(&policy, &load, &ring, now), wakes[i].verdict);
		budget_take(&load.rung, &policy.ring_rate, now);
	}
	policy = with("ring_rate", "none");
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(decide_ring(&policy, &load, &ring, 2001 * S), RING_WAKE);
		budget_take(&load.rung, &policy.ring_rate, 2001 * S);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_wakes),
		cmocka_unit_test(a_start_under_way),
		cmocka_unit_test(connections_of_a_kept_guest),
		cmocka_unit_test(backoff_holds),
		cmocka_unit_test(rate_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
