/* SPDX-License-Identifier: ISC */
#include "tests/dns/world.h"

/* What the OPT record of an answer says, byte by byte. */

#define OPT_HEAD " 00 0029 04d0 00000000 "
#define NAMED    " 0001 0001" OPT_HEAD
#define RECORD   " 0001 0001 c00c 0001 0001 00000005 0004 0a4d0005" OPT_HEAD
#define ANSWER   "1234 8500 0001 0001 0000 0001" WWW RECORD

static int set_up_named(void **state)
{
	return set_up_with(state,
		&(struct dns_config){.max_waiting = 2, .identity = "ns1.a", .version = "1.0"});
}

static void an_identity_is_told_to_who_asks(void **state)
{
	struct world *world = *state;
	expect(world, HEAD_EDNS WWW NAMED "0004 0003 0000", ANSWER "0009 0003 0005 'ns1.a'");
	expect(world, HEAD_EDNS WWW NAMED "0006 0003 0002 6162", ANSWER "0009 0003 0005 'ns1.a'");
	expect(world, HEAD_EDNS WWW NAMED "0000", ANSWER "0000");
	/* On every answer: also where there is no name. */
	expect(world, HEAD_EDNS "04'nope'04'test'00" NAMED "0004 0003 0000",
		"1234 8503 0001 0000 0001 0001 04'nope'04'test'00 0001 0001" PARENT_SOA("11")
			OPT_HEAD "0009 0003 0005 'ns1.a'");
}

static void without_an_identity_none_is_told(void **state)
{
	struct world *world = *state;
	expect(world, HEAD_EDNS WWW NAMED "0004 0003 0000", ANSWER "0000");
}

static void unknown_options_are_ignored(void **state)
{
	struct world *world = *state;
	expect(world,
		HEAD_EDNS WWW NAMED "0016 fde9 0003 abcdef 0008 0007 0001 1800 c00002 000c 0000",
		ANSWER "0000");
}

static void an_unknown_version_says_which_is_known(void **state)
{
	struct world *world = *state;
	expect(world, HEAD_EDNS WWW "0001 0001 00 0029 04d0 00018000 0004 0003 0000",
		"1234 8100 0001 0000 0000 0001" WWW "0001 0001 00 0029 04d0 01008000 0000");
}

static void refusals_name_their_reason(void **state)
{
	struct world *world = *state;
	expect(world, HEAD_EDNS "03'out'04'side'00" NAMED "0000",
		"1234 8105 0001 0000 0000 0001 03'out'04'side'00 0001 0001" OPT_HEAD
		"0022 000f 001e 0014 'not in a zone of this server'");
	expect(world, HEAD_EDNS WWW "00fc 0001" OPT,
		"1234 8105 0001 0000 0000 0001" WWW "00fc 0001" OPT_HEAD
		"0026 000f 0022 0015 'this kind of query is not served'");
}

static void keepalive_is_for_tcp(void **state)
{
	struct world *world = *state;
	world->responder.keepalive = 100;
	expect(world, HEAD_EDNS WWW NAMED "0004 000b 0000", ANSWER "0000");
	world->client.tcp = (struct tcp_connection *)(uintptr_t)8;
	expect(world, HEAD_EDNS WWW NAMED "0004 000b 0000", ANSWER "0006 000b 0002 0064");
	expect(world, HEAD_EDNS WWW NAMED "0000", ANSWER "0000");
	/* What only an answer may say is ignored. */
	expect(world, HEAD_EDNS WWW NAMED "0006 000b 0002 0001", ANSWER "0000");
}

/* What must be said has its place, what only explains gives way. */
static void explanations_give_way(void **state)
{
	struct world *world = *state;
	uint8_t out[ANSWER_MAX_UDP];
	world->daemon.reply = DNS_REPLY_SERVFAIL;
	world->daemon.ede = (struct dns_ede){.present = true, .code = 22};
	memset(world->daemon.ede.text, 'x', sizeof(world->daemon.ede.text) - 1);
	struct query query = {.edns = true, .wants = QUERY_WANTS_NSID};
	struct edns_reply reply = {.ede = &world->daemon.ede, .nsid = "abc"};
	size_t reserve = edns_reserve(&query, &reply), ede = 4 + 2 + 127;
	assert_int_equal(reserve, 11 + 4 + 3);
	assert_int_equal(edns_write(&query, 0, &reply, reserve + ede - 1, out), reserve);
	assert_int_equal(edns_write(&query, 0, &reply, reserve + ede, out), reserve + ede);
	query.edns = false;
	assert_int_equal(edns_reserve(&query, &reply), 0);
}

#define CHAOS_QUERY(name) "1234 0100 0001 0000 0000 0000" name "0010 0003"
#define CHAOS_ANSWER(name, text)                                                                   \
	"1234 8500 0001 0001 0000 0000" name "0010 0003 c00c 0010 0003 00000000" text

static void class_chaos_is_answered_where_told(void **state)
{
	struct world *world = *state;
	expect(world, CHAOS_QUERY("07'version'04'BIND'00"),
		CHAOS_ANSWER("07'version'04'BIND'00", "0004 03'1.0'"));
	expect(world, CHAOS_QUERY("07'version'06'server'00"),
		CHAOS_ANSWER("07'version'06'server'00", "0004 03'1.0'"));
	expect(world, CHAOS_QUERY("02'id'06'server'00"),
		CHAOS_ANSWER("02'id'06'server'00", "0006 05'ns1.a'"));
	expect(world, CHAOS_QUERY("08'hostname'04'bind'00"),
		CHAOS_ANSWER("08'hostname'04'bind'00", "0006 05'ns1.a'"));
	expect(world, CHAOS_QUERY("04'nope'04'bind'00"),
		"1234 8105 0001 0000 0000 0000 04'nope'04'bind'00 0010 0003");
	expect(world, HEAD "07'version'04'bind'00 0001 0003",
		"1234 8105 0001 0000 0000 0000 07'version'04'bind'00 0001 0003");
	expect(world, HEAD "07'version'04'bind'00 0010 0001",
		"1234 8105 0001 0000 0000 0000 07'version'04'bind'00 0010 0001");
}

static void class_chaos_is_refused_by_default(void **state)
{
	struct world *world = *state;
	expect(world, CHAOS_QUERY("07'version'04'bind'00"),
		"1234 8105 0001 0000 0000 0000 07'version'04'bind'00 0010 0003");
}

static void too_long_an_identity_is_refused(void **state)
{
	(void)state;
	struct responder responder;
	struct error err = ERROR_INIT;
	char text[258];
	memset(text, 'x', 256);
	text[256] = '\0';
	const struct dns_config config = {.identity = text};
	assert_int_equal(responder_init(&responder, &config, answer_ask, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.message, "255 letters"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name)       cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_NAMED(name) cmocka_unit_test_setup_teardown(name, set_up_named, tear_down)
		TEST_NAMED(an_identity_is_told_to_who_asks),
		TEST(without_an_identity_none_is_told),
		TEST(unknown_options_are_ignored),
		TEST_NAMED(an_unknown_version_says_which_is_known),
		TEST(refusals_name_their_reason),
		TEST(keepalive_is_for_tcp),
		TEST(explanations_give_way),
		TEST_NAMED(class_chaos_is_answered_where_told),
		TEST(class_chaos_is_refused_by_default),
		cmocka_unit_test(too_long_an_identity_is_refused),
#undef TEST
#undef TEST_NAMED
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
