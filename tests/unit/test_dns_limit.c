/* SPDX-License-Identifier: ISC */
#include "base/units.h"
#include "dns/limit.h"
#include "tests/dns/world.h"
#include "tests/unit/random.h"

static struct sockaddr_storage client(const char *text)
{
	struct ip_address ip;
	struct sockaddr_storage storage;
	assert_int_equal(ip_address_parse(text, &ip, NULL), 0);
	ip_address_to_sockaddr(&ip, 1234, &storage);
	return storage;
}

/* With some secrets two networks of a test have one bucket, and empty it for each other. */
static void set_up_limiter(struct limiter *limiter, uint32_t rate, uint32_t slip)
{
	assert_int_equal(limit_init(limiter, rate, slip), 0);
	limiter->secret = 11;
}

static enum limit_verdict check(
	struct limiter *limiter, const char *address, uint64_t kind, uint64_t now)
{
	struct sockaddr_storage storage = client(address);
	return limit_check(limiter, (struct sockaddr *)&storage, kind, now);
}

static unsigned passed(
	struct limiter *limiter, const char *address, uint64_t kind, uint64_t now, int count)
{
	unsigned good = 0;
	while (count-- > 0)
		good += check(limiter, address, kind, now) == LIMIT_PASS;
	return good;
}

static void a_network_has_its_rate(void **state)
{
	(void)state;
	struct limiter limiter;
	uint64_t now = 1000 * NS_PER_S;
	set_up_limiter(&limiter, 10, 2);
	assert_int_equal(passed(&limiter, "192.0.2.1", 1, now, 100), 10);
	/* Its neighbours count with it; other networks and other kinds do not. */
	assert_int_equal(passed(&limiter, "192.0.2.254", 1, now, 100), 0);
	assert_int_equal(passed(&limiter, "192.0.3.1", 1, now, 100), 10);
	assert_int_equal(passed(&limiter, "192.0.2.1", 2, now, 100), 10);
	assert_int_equal(passed(&limiter, "2001:db8:0:1::1", 1, now, 100), 10);
	assert_int_equal(passed(&limiter, "2001:db8:0:ff::2", 1, now, 100), 0);
	assert_int_equal(passed(&limiter, "2001:db8:0:100::1", 1, now, 100), 10);
	assert_int_equal(passed(&limiter, "192.0.2.1", 1, now + NS_PER_S / 10 - 1, 100), 0);
	assert_int_equal(passed(&limiter, "192.0.2.1", 1, now + NS_PER_S / 10, 100), 1);
	assert_int_equal(passed(&limiter, "192.0.2.1", 1, now + 100 * NS_PER_S, 100), 10);
	limit_finish(&limiter);
}

/* Many names make no larger flood. */
static void all_kinds_have_a_rate(void **state)
{
	(void)state;
	struct limiter limiter;
	uint64_t now = 1000 * NS_PER_S;
	unsigned good = 0;
	set_up_limiter(&limiter, 10, 2);
	for (uint64_t kind = 1; kind <= 1000; kind++)
		good += check(&limiter, "192.0.2.1", kind, now) == LIMIT_PASS;
	assert_int_equal(good, 10 * LIMIT_KINDS);
	assert_int_equal(passed(&limiter, "192.0.3.1", 1, now, 100), 10);
	limit_finish(&limiter);
}

static void some_slip_through(void **state)
{
	(void)state;
	for (uint32_t slip = 0; slip < 4; slip++) {
		struct limiter limiter;
		unsigned verdicts[3] = {0};
		set_up_limiter(&limiter, 1, slip);
		for (int i = 0; i < 1 + 120; i++)
			verdicts[check(&limiter, "192.0.2.1", 1, NS_PER_S)]++;
		assert_int_equal(verdicts[LIMIT_PASS], 1);
		assert_int_equal(verdicts[LIMIT_SLIP], slip ? 120 / slip : 0);
		assert_int_equal(verdicts[LIMIT_DROP], slip ? 120 - 120 / slip : 120);
		limit_finish(&limiter);
	}
}

static void networks_may_be_exempt(void **state)
{
	(void)state;
	struct limiter limiter;
	struct prefix_rule rule = {.yes = true};
	struct prefix_range ranges[PREFIXES_ROOM(1)];
	struct prefixes exempt;
	assert_int_equal(ip_prefix_parse("192.0.2.1", &rule.prefix, NULL), 0);
	assert_int_equal(prefixes_build(&rule, 1, false, ranges, &exempt, NULL), 0);
	set_up_limiter(&limiter, 3, 1);
	limiter.exempt = &exempt;
	assert_int_equal(passed(&limiter, "192.0.2.1", 1, 5, 100), 100);
	assert_int_equal(passed(&limiter, "192.0.2.2", 1, 5, 100), 0);
	limit_finish(&limiter);
}

static unsigned worked(
	struct limit_work *work, const char *address, bool verified, uint64_t now, int count)
{
	struct sockaddr_storage storage = client(address);
	unsigned good = 0;
	while (count-- > 0)
		good += limit_work_take(work, (struct sockaddr *)&storage, verified, now);
	return good;
}

static void work_is_limited(void **state)
{
	(void)state;
	struct limit_work work;
	uint64_t now = 1000 * NS_PER_S;
	assert_int_equal(limit_work_init(&work, 10, 15, 25), 0);
	/* Whoever forges a network's addresses takes nothing from those who are there. */
	assert_int_equal(worked(&work, "192.0.2.1", false, now, 100), 10);
	assert_int_equal(worked(&work, "192.0.2.1", true, now, 100), 10);
	/* All together have their rates, too. */
	assert_int_equal(worked(&work, "192.0.3.1", false, now, 100), 5);
	assert_int_equal(worked(&work, "192.0.3.1", true, now, 100), 10);
	assert_int_equal(worked(&work, "192.0.4.1", true, now, 100), 5);
	limit_work_finish(&work);
}

static void without_a_limit(void **state)
{
	(void)state;
	struct limiter limiter;
	set_up_limiter(&limiter, 0, 2);
	assert_int_equal(passed(&limiter, "192.0.2.1", 1, 5, 1000), 1000);
	limit_finish(&limiter);
}

/* Whatever else goes on, one network gets no more than its rate and its burst; buckets are shared,
 * so that another network's answers may give it one burst more. */
static void a_flood_is_cut_to_its_rate(void **state)
{
	(void)state;
	struct limiter limiter;
	struct random random = {11};
	enum { RATE = 50 };
	uint64_t begin = 7 * NS_PER_S, now = begin;
	unsigned victim = 0;
	set_up_limiter(&limiter, RATE, 2);
	while (now < begin + 10 * NS_PER_S) {
		char other[32];
		snprintf(other, sizeof(other), "10.%u.%u.1", (unsigned)random_below(&random, 256),
			(unsigned)random_below(&random, 16));
		check(&limiter, other, 1, now);
		victim += check(&limiter, "192.0.2.1", 1, now) == LIMIT_PASS;
		now += random_below(&random, NS_PER_MS);
	}
	assert_true(victim >= RATE * 10);
	assert_true(victim <= RATE * 11 + 2 * RATE);
	limit_finish(&limiter);
}

/* --- on the wire --- */

static void be(struct world *world, const char *address)
{
	struct sockaddr_storage storage = client(address);
	memcpy(&world->client.source, &storage, sizeof(world->client.source));
}

static int set_up_limited(void **state)
{
	if (set_up_with(state,
		    &(struct dns_config){.max_waiting = 2, .rate_limit = 2, .rate_slip = 2}) < 0)
		return -1;
	struct world *world = *state;
	be(world, "192.0.2.1");
	return 0;
}

#define ANSWER "1234 8500 0001 0001 0000 0000" WWW "0001 0001 c00c 0001 0001 00000005 0004 0a4d0005"

static void answers_are_limited(void **state)
{
	struct world *world = *state;
	const struct dns_counters *counters = &world->responder.counters;
	expect(world, HEAD WWW "0001 0001", ANSWER);
	expect(world, HEAD WWW "0001 0001", ANSWER);
	expect(world, HEAD WWW "0001 0001", "");
	expect(world, HEAD WWW "0001 0001", "1234 8300 0001 0000 0000 0000" WWW "0001 0001");
	expect(world, HEAD WWW "0001 0001", "");
	assert_int_equal(counters->limited, 2);
	assert_int_equal(counters->slipped, 1);
	assert_int_equal(counters->dropped, 2);
	/* Denials of one zone are of one kind, whatever the names are; so are errors. */
	uint8_t query[64], out[ANSWER_MAX_UDP];
	unsigned good = 0;
	for (uint16_t i = 0; i < 20; i++) {
		char name[32];
		snprintf(name, sizeof(name), "n%u.example.test", i);
		size_t size = ask_bytes(world, query, bytes_query(query, i, name, 1), out);
		good += size > 0 && (out[3] & 15) == DNS_RCODE_NXDOMAIN;
	}
	assert_int_equal(good, 2);
	good = 0;
	for (uint16_t i = 0; i < 20; i++)
		good += ask(world, HEAD WWW "0001 0001 00", out) > 0 && !(out[2] & DNS_FLAG_TC);
	assert_int_equal(good, 2);
	/* Over TCP all are answered. */
	world->client.tcp = (struct tcp_connection *)(uintptr_t)8;
	for (int i = 0; i < 20; i++)
		expect(world, HEAD WWW "0001 0001", ANSWER);
}

static void zones_may_be_for_some(void **state)
{
	struct world *world = *state;
	struct prefix_rule rule = {.yes = true};
	struct prefix_range ranges[PREFIXES_ROOM(1)];
	struct prefixes clients;
	assert_int_equal(ip_prefix_parse("198.51.100.0/24", &rule.prefix, NULL), 0);
	assert_int_equal(prefixes_build(&rule, 1, false, ranges, &clients, NULL), 0);
	struct dns_zone_access lists[] = {{"EXAMPLE.test.", &clients}};
	struct access *access = &world->responder.access;
	assert_int_equal(access_set(access, lists, 1, NULL), 0);
	be(world, "192.0.2.1");
	expect(world, HEAD WWW "0001 0001", "1234 8105 0001 0000 0000 0000" WWW "0001 0001");
	expect(world, HEAD_EDNS "01'x'" WWW "0001 0001" OPT,
		"1234 8105 0001 0000 0000 0001 01'x'" WWW
		"0001 0001 00 0029 04d0 00000000 0032 000f 002e 0012 "
		"'this zone is not for clients of this network'");
	assert_int_equal(world->responder.counters.prohibited, 2);
	assert_int_equal(world->daemon.count, 0);
	/* The zone above is everybody's. */
	assert_int_equal(rcode_of(world, "nope.test"), DNS_RCODE_NXDOMAIN);
	be(world, "198.51.100.77");
	expect(world, HEAD WWW "0001 0001", ANSWER);
	/* A list that cannot be changes nothing. */
	lists[0].origin = "a..b";
	be(world, "192.0.2.1");
	assert_int_equal(access_set(access, lists, 1, NULL), -EINVAL);
	assert_int_equal(rcode_of(world, "www.example.test"), DNS_RCODE_REFUSED);
	assert_int_equal(access_set(access, NULL, 0, NULL), 0);
	expect(world, HEAD WWW "0001 0001", ANSWER);
}

static void the_longest_zone_decides(void **state)
{
	struct world *world = *state;
	const struct prefixes nobody = {.otherwise = false}, all = {.otherwise = true};
	const struct dns_zone_access lists[] = {{"test", &nobody}, {"example.test", &all}};
	assert_int_equal(access_set(&world->responder.access, lists, 2, NULL), 0);
	assert_int_equal(rcode_of(world, "www.example.test"), DNS_RCODE_NOERROR);
	assert_int_equal(rcode_of(world, "nope.test"), DNS_RCODE_REFUSED);
	assert_int_equal(rcode_of(world, "test"), DNS_RCODE_REFUSED);
	assert_int_equal(rcode_of(world, "contest"), DNS_RCODE_REFUSED);
	assert_int_equal(world->responder.counters.prohibited, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_network_has_its_rate),
		cmocka_unit_test(all_kinds_have_a_rate),
		cmocka_unit_test(some_slip_through),
		cmocka_unit_test(networks_may_be_exempt),
		cmocka_unit_test(work_is_limited),
		cmocka_unit_test(without_a_limit),
		cmocka_unit_test(a_flood_is_cut_to_its_rate),
		cmocka_unit_test_setup_teardown(answers_are_limited, set_up_limited, tear_down),
		cmocka_unit_test_setup_teardown(zones_may_be_for_some, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_longest_zone_decides, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
