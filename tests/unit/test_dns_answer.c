/* SPDX-License-Identifier: ISC */
#include "tests/dns/world.h"

static void service_answers(void **state)
{
	struct world *world = *state;
	expect(world, HEAD WWW "0001 0001",
		"1234 8500 0001 0001 0000 0000" WWW
		"0001 0001 c00c 0001 0001 00000005 0004 0a4d0005");
	assert_int_equal(world->daemon.asked.service, 7);
	assert_int_equal(world->daemon.asked.qtype, 1);
	assert_int_equal(world->daemon.asked.received_at, 42);
	assert_ptr_equal(world->daemon.asked.source, &world->client.source);
	/* RD is echoed, and so is every letter as it was written. */
	expect(world, "1234 0000 0001 0000 0000 0000 03'wWw'07'eXAmple'04'Test'00 0001 0001",
		"1234 8400 0001 0001 0000 0000 03'wWw'07'eXAmple'04'Test'00 0001 0001"
		"c00c 0001 0001 00000005 0004 0a4d0005");
	expect(world, HEAD "01'a'01'b'01'c'" EXAMPLE "001c 0001",
		"1234 8500 0001 0001 0000 0000 01'a'01'b'01'c'" EXAMPLE
		"001c 0001 c00c 001c 0001 00000005 0010 fd000000000000000000000000000005");
	assert_int_equal(world->daemon.asked.qtype, 28);
	assert_int_equal(world->daemon.count, 3);
	assert_int_equal(world->responder.counters.answered, 3);
}

static void other_types_are_nodata_unasked(void **state)
{
	struct world *world = *state;
	expect(world, HEAD WWW "001c 0001",
		"1234 8500 0001 0000 0001 0000" WWW "001c 0001" SOA("10"));
	expect(world, HEAD WWW "000f 0001",
		"1234 8500 0001 0000 0001 0000" WWW "000f 0001" SOA("10"));
	expect(world, HEAD WWW "0006 0001",
		"1234 8500 0001 0000 0001 0000" WWW "0006 0001" SOA("10"));
	assert_int_equal(world->daemon.count, 0);
	assert_int_equal(world->responder.counters.nodata, 3);
}

static void missing_names(void **state)
{
	struct world *world = *state;
	expect(world, HEAD "04'nope'" EXAMPLE "0001 0001",
		"1234 8503 0001 0000 0001 0000 04'nope'" EXAMPLE "0001 0001" SOA("11"));
	/* Beneath a service, too: it is no wildcard. */
	expect(world, HEAD "01'x'" WWW "0001 0001",
		"1234 8503 0001 0000 0001 0000 01'x'" WWW "0001 0001" SOA("12"));
	/* An ancestor of a name is there, without records (RFC 8020). */
	expect(world, HEAD "01'c'" EXAMPLE "0001 0001",
		"1234 8500 0001 0000 0001 0000 01'c'" EXAMPLE "0001 0001" SOA("0e"));
	expect(world, HEAD "01'c'" EXAMPLE "00ff 0001",
		"1234 8500 0001 0000 0001 0000 01'c'" EXAMPLE "00ff 0001" SOA("0e"));
	expect(world, HEAD "01'x'01'c'" EXAMPLE "0001 0001",
		"1234 8503 0001 0000 0001 0000 01'x'01'c'" EXAMPLE "0001 0001" SOA("10"));
	/* The zone above answers for what is not beneath the one below. */
	expect(world, HEAD "04'nope'04'test'00 0001 0001",
		"1234 8503 0001 0000 0001 0000 04'nope'04'test'00 0001 0001" PARENT_SOA("11"));
	assert_int_equal(world->responder.counters.nxdomain, 4);
}

static void outside_is_refused(void **state)
{
	struct world *world = *state;
	expect(world, HEAD "07'example'03'org'00 0001 0001",
		"1234 8105 0001 0000 0000 0000 07'example'03'org'00 0001 0001");
	expect(world, HEAD "03'out'04'side'00 0001 0001",
		"1234 8105 0001 0000 0000 0000 03'out'04'side'00 0001 0001");
	expect(world, HEAD "00 0002 0001", "1234 8105 0001 0000 0000 0000 00 0002 0001");
	expect(world, HEAD WWW "00fc 0001", "1234 8105 0001 0000 0000 0000" WWW "00fc 0001");
	expect(world, HEAD WWW "0001 0003", "1234 8105 0001 0000 0000 0000" WWW "0001 0003");
	assert_int_equal(world->daemon.count, 0);
	assert_int_equal(world->responder.counters.refused, 5);
}

static void apex_answers(void **state)
{
	struct world *world = *state;
	expect(world, HEAD EXAMPLE "0006 0001",
		"1234 8500 0001 0001 0000 0000" EXAMPLE
		"0006 0001 c00c 0006 0001 00000e10 0027 03'ns1'c00c 0a'hostmaster'c00c" SOA_TIMES
		"0000003c");
	expect(world, HEAD EXAMPLE "0002 0001",
		"1234 8500 0001 0002 0000 0002" EXAMPLE "0002 0001"
		"c00c 0002 0001 00000e10 000e 02'ns'05'other'03'net'00"
		"c00c 0002 0001 00000e10 0006 03'ns1'c00c"
		"c044 0001 0001 00000e10 0004 c0000201"
		"c044 001c 0001 00000e10 0010 fd000000000000000000000000000001");
	/* A service may be at the apex. */
	expect(world, HEAD EXAMPLE "0001 0001",
		"1234 8500 0001 0001 0000 0000" EXAMPLE
		"0001 0001 c00c 0001 0001 00000005 0004 0a4d0006");
	assert_int_equal(world->daemon.asked.service, 9);
	expect(world, HEAD EXAMPLE "001c 0001",
		"1234 8500 0001 0000 0001 0000" EXAMPLE "001c 0001" SOA("0c"));
	/* The DS is the parent's to deny, the DNSKEY is not. */
	expect(world, HEAD EXAMPLE "002b 0001",
		"1234 8500 0001 0000 0001 0000" EXAMPLE "002b 0001" PARENT_SOA("14"));
	expect(world, HEAD EXAMPLE "0030 0001",
		"1234 8500 0001 0000 0001 0000" EXAMPLE "0030 0001" SOA("0c"));
}

static void glue_answers(void **state)
{
	struct world *world = *state;
	expect(world, HEAD "03'ns1'" EXAMPLE "0001 0001",
		"1234 8500 0001 0001 0000 0000 03'ns1'" EXAMPLE
		"0001 0001 c00c 0001 0001 00000e10 0004 c0000201");
	/* A name server without an address is no name of the zone. */
	expect(world, HEAD "02'ns'04'test'00 0001 0001",
		"1234 8503 0001 0000 0001 0000 02'ns'04'test'00 0001 0001" PARENT_SOA("0f"));
	/* The address given for a name outside of the zone is not ours to tell. */
	expect(world, HEAD "02'ns'05'other'03'net'00 0001 0001",
		"1234 8105 0001 0000 0000 0000 02'ns'05'other'03'net'00 0001 0001");
	assert_int_equal(world->daemon.count, 0);
}

static void any_is_hinfo(void **state)
{
	struct world *world = *state;
	expect(world, HEAD WWW "00ff 0001",
		"1234 8500 0001 0001 0000 0000" WWW
		"00ff 0001 c00c 000d 0001 00000e10 0009 07'RFC8482'00");
	assert_int_equal(world->daemon.count, 0);
}

static void edns_is_answered(void **state)
{
	struct world *world = *state;
	expect(world, HEAD_EDNS WWW "0001 0001" OPT,
		"1234 8500 0001 0001 0000 0001" WWW
		"0001 0001 c00c 0001 0001 00000005 0004 0a4d0005" OPT);
	expect(world, HEAD_EDNS WWW "0001 0001 00 0029 1000 00008000 0000",
		"1234 8500 0001 0001 0000 0001" WWW
		"0001 0001 c00c 0001 0001 00000005 0004 0a4d0005 00 0029 04d0 00008000 0000");
	expect(world, HEAD_EDNS WWW "0001 0001 00 0029 1000 00020000 0000",
		"1234 8100 0001 0000 0000 0001" WWW "0001 0001 00 0029 04d0 01000000 0000");
	assert_int_equal(world->responder.counters.unsupported, 1);
}

static void malformed_is_answered(void **state)
{
	struct world *world = *state;
	uint8_t out[ANSWER_MAX_UDP];
	expect(world, HEAD, "1234 8101 0000 0000 0000 0000");
	expect(world, HEAD WWW "0001 0001 00", "1234 8101 0001 0000 0000 0000" WWW "0001 0001");
	expect(world, "1234 2900 0001 0000 0000 0000" WWW "0006 0001",
		"1234 a904 0000 0000 0000 0000");
	assert_int_equal(ask(world, "1234 8100 0001 0000 0000 0000" WWW "0001 0001", out), 0);
	assert_int_equal(ask(world, "1234 01", out), 0);
	assert_int_equal(world->responder.counters.dropped, 2);
	assert_int_equal(world->responder.counters.malformed, 4);
}

static void failures_are_explained(void **state)
{
	struct world *world = *state;
	world->daemon.reply = DNS_REPLY_SERVFAIL;
	world->daemon.ede = (struct dns_ede){.present = true, .code = 22, .text = "no guest"};
	expect(world, HEAD_EDNS WWW "0001 0001" OPT,
		"1234 8102 0001 0000 0000 0001" WWW
		"0001 0001 00 0029 04d0 00000000 000e 000f 000a 0016 'no guest'");
	/* Not to a client without EDNS. */
	expect(world, HEAD WWW "0001 0001", "1234 8102 0001 0000 0000 0000" WWW "0001 0001");
	world->daemon.reply = DNS_REPLY_REFUSED;
	world->daemon.ede = (struct dns_ede){.present = true, .code = 18};
	expect(world, HEAD_EDNS WWW "0001 0001" OPT,
		"1234 8105 0001 0000 0000 0001" WWW
		"0001 0001 00 0029 04d0 00000000 0006 000f 0002 0012");
	/* An answer may be explained, too. */
	world->daemon.reply = DNS_REPLY_ADDRESS;
	expect(world, HEAD_EDNS WWW "0001 0001" OPT,
		"1234 8500 0001 0001 0000 0001" WWW "0001 0001 c00c 0001 0001 00000005 0004 "
		"0a4d0005 00 0029 04d0 00000000 0006 000f 0002 0012");
}

static void later_answers(void **state)
{
	struct world *world = *state;
	uint8_t query[64], out[ANSWER_MAX_UDP], wanted[128];
	struct waiting *waiting = &world->responder.waiting;
	size_t size = bytes_read(HEAD_EDNS WWW "0001 0001" OPT, query, sizeof(query));
	world->daemon.reply = DNS_REPLY_LATER;
	assert_int_equal(ask_bytes(world, query, size, out), 0);
	struct dns_query_id first = world->daemon.asked.id;
	query[1] = 0x35;
	assert_int_equal(ask_bytes(world, query, size, out), 0);
	struct dns_query_id second = world->daemon.asked.id;
	assert_true(first.slot != second.slot);
	memset(query, 0xff, sizeof(query));
	/* The table has two places: the third is told so. */
	expect(world, HEAD_EDNS WWW "0001 0001" OPT,
		"1234 8102 0001 0000 0000 0001" WWW "0001 0001 00 0029 04d0 00000000 001e "
		"000f 001a 000e 'too many waiting queries'");
	assert_null(waiting_find(waiting, world->daemon.asked.id));
	assert_int_equal(world->responder.counters.held, 2);

	struct waiting_query *entry = waiting_find(waiting, second);
	assert_non_null(entry);
	size = respond_later(&world->responder, entry,
		&(struct late_answer){.reply = DNS_REPLY_ADDRESS}, 512, out);
	assert_int_equal(size, bytes_read("1235 8500 0001 0001 0000 0001" WWW
					  "0001 0001 c00c 0001 0001 00000005 0004 0a4d0005" OPT,
				       wanted, sizeof(wanted)));
	assert_memory_equal(out, wanted, size);
	waiting_release(waiting, entry);
	assert_null(waiting_find(waiting, second));
	assert_non_null(waiting_find(waiting, first));
	/* The place is free again, under another generation. */
	assert_int_equal(ask(world, HEAD WWW "0001 0001", out), 0);
	assert_int_equal(world->daemon.asked.id.slot, second.slot);
	assert_int_not_equal(world->daemon.asked.id.generation, second.generation);
	assert_null(waiting_find(waiting, second));
}

static unsigned rcode_later(struct world *world, struct dns_query_id id)
{
	uint8_t out[ANSWER_MAX_UDP];
	const struct waiting_query *entry = waiting_find(&world->responder.waiting, id);
	assert_non_null(entry);
	assert_true(respond_later(&world->responder, entry,
			    &(struct late_answer){.reply = DNS_REPLY_ADDRESS}, 512, out) > 0);
	return out[3];
}

static void tables_may_change_while_waiting(void **state)
{
	struct world *world = *state;
	struct names *names = &world->responder.names;
	uint8_t out[ANSWER_MAX_UDP];
	const struct ip_address other = IPV4(10, 77, 0, 9);
	world->daemon.reply = DNS_REPLY_LATER;
	assert_int_equal(ask(world, HEAD WWW "0001 0001", out), 0);
	struct dns_query_id id = world->daemon.asked.id;
	assert_int_equal(names_set_zones(names, &zones[1], 1, NULL), 0);
	assert_int_equal(rcode_later(world, id), DNS_RCODE_NOERROR);
	assert_int_equal(names_set_zones(names, NULL, 0, NULL), 0);
	assert_int_equal(rcode_later(world, id), DNS_RCODE_REFUSED);
	assert_int_equal(names_set_zones(names, zones, 2, NULL), 0);
	names_remove_service(names, 7);
	assert_int_equal(rcode_later(world, id), DNS_RCODE_NXDOMAIN);
	/* Another service's address is not told: nobody woke it. */
	assert_int_equal(names_put_service(names, 70, "www.example.test", &other, 1, 5, NULL), 0);
	assert_int_equal(rcode_later(world, id), DNS_RCODE_SERVFAIL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(service_answers),
		TEST(other_types_are_nodata_unasked),
		TEST(missing_names),
		TEST(outside_is_refused),
		TEST(apex_answers),
		TEST(glue_answers),
		TEST(any_is_hinfo),
		TEST(edns_is_answered),
		TEST(malformed_is_answered),
		TEST(failures_are_explained),
		TEST(later_answers),
		TEST(tables_may_change_while_waiting),
#undef TEST
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
