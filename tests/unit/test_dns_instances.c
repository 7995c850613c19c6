/* SPDX-License-Identifier: ISC */
#include "tests/dns/world.h"

/* Further machines of a service: the same name, other addresses. */

#define ASK_A  HEAD WWW "0001 0001"
#define SAYS_A "1234 8500 0001 0001 0000 0000" WWW "0001 0001 c00c 0001 0001 00000005 0004 "

static void put(struct world *world, uint32_t number, uint32_t of, uint8_t last)
{
	const struct ip_address v4 = IPV4(10, 77, 0, last);
	struct names *names = &world->responder.names;
	assert_int_equal(names_put_instance(names, number, of, &v4, 1, 5, NULL), 0);
}

static void the_daemon_chooses(void **state)
{
	struct world *world = *state;
	size_t nodes = world->responder.names.table.node_count;
	put(world, 20, 7, 0x20);
	put(world, 21, 7, 0x21);
	assert_int_equal(world->responder.names.table.node_count, nodes);
	expect(world, ASK_A, SAYS_A "0a4d0005");
	world->daemon.answer_as = 20;
	expect(world, ASK_A, SAYS_A "0a4d0020");
	assert_int_equal(world->daemon.asked.service, 7);
	world->daemon.answer_as = 21;
	expect(world, ASK_A, SAYS_A "0a4d0021");
	world->daemon.answer_as = 7;
	expect(world, ASK_A, SAYS_A "0a4d0005");
	assert_int_equal(world->daemon.count, 4);
	assert_int_equal(world->responder.counters.answered, 4);
	/* What the daemon refuses has no address of anybody's. */
	world->daemon.answer_as = 20;
	world->daemon.reply = DNS_REPLY_REFUSED;
	expect(world, ASK_A, "1234 8105 0001 0000 0000 0000" WWW "0001 0001");
}

static void by_its_other_names_and_aliases(void **state)
{
	struct world *world = *state;
	struct names *names = &world->responder.names;
	const char *const also[] = {"web.example.test"};
	put(world, 20, 7, 0x20);
	assert_int_equal(names_set_service_names(names, 7, also, 1, NULL), 0);
	world->daemon.answer_as = 20;
	expect(world, HEAD "03'web'" EXAMPLE "0001 0001",
		"1234 8500 0001 0001 0000 0000 03'web'" EXAMPLE
		"0001 0001 c00c 0001 0001 00000005 0004 0a4d0020");
}

static size_t say_later(struct world *world, enum dns_reply reply, uint8_t out[ANSWER_MAX_UDP])
{
	const struct waiting *waiting = &world->responder.waiting;
	struct waiting_query *entry = waiting_find(waiting, world->daemon.asked.id);
	const struct late_answer late = {.reply = reply};
	assert_non_null(entry);
	size_t size = respond_later(&world->responder, entry, &late, ANSWER_MAX_UDP, out);
	waiting_release(&world->responder.waiting, entry);
	return size;
}

static void what_waits_is_answered_as_was_said(void **state)
{
	struct world *world = *state;
	uint8_t out[ANSWER_MAX_UDP];
	put(world, 20, 7, 0x20);
	world->daemon.answer_as = 20;
	world->daemon.reply = DNS_REPLY_LATER;
	assert_int_equal(ask(world, ASK_A, out), 0);
	size_t size = say_later(world, DNS_REPLY_ADDRESS, out);
	assert_int_equal(out[3], DNS_RCODE_NOERROR);
	assert_int_equal(out[size - 1], 0x20);
	/* It has moved meanwhile; and now it is gone, and the others are not this client's. */
	assert_int_equal(ask(world, ASK_A, out), 0);
	put(world, 20, 7, 0x30);
	size = say_later(world, DNS_REPLY_ADDRESS, out);
	assert_int_equal(out[size - 1], 0x30);
	assert_int_equal(ask(world, ASK_A, out), 0);
	names_remove_service(&world->responder.names, 20);
	say_later(world, DNS_REPLY_ADDRESS, out);
	assert_int_equal(out[3], DNS_RCODE_SERVFAIL);
	assert_int_equal(out[7], 0);
}

static void nobody_is_answered_as_what_is_not_there(void **state)
{
	struct world *world = *state;
	world->daemon.answer_as = 99;
	expect(world, ASK_A, "1234 8102 0001 0000 0000 0000" WWW "0001 0001");
	const struct ip_address v4 = IPV4(10, 77, 0, 9);
	struct names *names = &world->responder.names;
	assert_int_equal(names_put_instance(names, 20, 99, &v4, 1, 5, NULL), -ENOENT);
	assert_int_equal(names_put_instance(names, 0, 7, &v4, 1, 5, NULL), -ENOENT);
	assert_int_equal(names_put_instance(names, 7, 7, &v4, 1, 5, NULL), -ENOENT);
	const struct ip_address many[ADDRESSES_MAX + 1] = {v4, v6};
	assert_int_equal(
		names_put_instance(names, 20, 7, many, ADDRESSES_MAX + 1, 5, NULL), -EINVAL);
	world->daemon.answer_as = 20;
	expect(world, ASK_A, "1234 8102 0001 0000 0000 0000" WWW "0001 0001");
}

static const struct dns_zone_config with_reverse[] = {
	{.origin = "example.test", .servers = parent_servers, .server_count = 1, .ttl = 3600},
	{.origin = "77.10.in-addr.arpa",
		.servers = servers,
		.server_count = 1,
		.ttl = 60,
		.negative_ttl = 5},
};

static void addresses_have_the_services_name(void **state)
{
	struct world *world = *state;
	struct names *names = &world->responder.names;
	static const char query[] = HEAD "02'32'01'0'02'77'02'10'07'in-addr'04'arpa'00 000c 0001";
	static const char answer[] =
		"1234 8500 0001 0001 0000 0000 02'32'01'0'02'77'02'10'07'in-addr'04'arpa'00"
		"000c 0001 c00c 000c 0001 00000005 0012 03'www'07'example'04'test'00";
	assert_int_equal(names_set_zones(names, with_reverse, 2, NULL), 0);
	put(world, 20, 7, 32);
	expect(world, query, answer);
	/* So it is when zones are read again, and the name still leads to the service. */
	assert_int_equal(names_set_zones(names, with_reverse, 2, NULL), 0);
	expect(world, query, answer);
	expect(world, ASK_A, SAYS_A "0a4d0005");
	assert_int_equal(world->daemon.asked.service, 7);
	names_remove_service(names, 20);
	assert_int_equal(rcode_of(world, "32.0.77.10.in-addr.arpa"), DNS_RCODE_NXDOMAIN);
	expect(world, ASK_A, SAYS_A "0a4d0005");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_daemon_chooses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(by_its_other_names_and_aliases, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_waits_is_answered_as_was_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			nobody_is_answered_as_what_is_not_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			addresses_have_the_services_name, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
