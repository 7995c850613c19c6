/* SPDX-License-Identifier: ISC */
#include "tests/dns/world.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const char *const both[] = {"other.example.test", "Deep.under.OTHER.example.test"};

static void expect_service(struct world *world, const char *name, unsigned service)
{
	unsigned before = world->daemon.count;
	assert_int_equal(rcode_of(world, name), DNS_RCODE_NOERROR);
	assert_int_equal(world->daemon.count, before + 1);
	assert_int_equal(world->daemon.asked.service, service);
}

static void expect_nobody(struct world *world, const char *name)
{
	unsigned before = world->daemon.count;
	assert_int_equal(rcode_of(world, name), DNS_RCODE_NXDOMAIN);
	assert_int_equal(world->daemon.count, before);
}

static void all_names_are_the_service(void **state)
{
	struct world *world = *state;
	struct names *names = &world->responder.names;
	size_t nodes = names->table.node_count;
	assert_int_equal(names_set_service_names(names, 8, both, COUNT(both), NULL), 0);
	expect_service(world, both[0], 8);
	expect_service(world, "deep.under.other.example.test", 8);
	expect_service(world, "a.b.c.example.test", 8);
	assert_int_equal(rcode_of(world, "under.other.example.test"), DNS_RCODE_NOERROR);
	expect(world, HEAD "05'other'" EXAMPLE " 0001 0001",
		"1234 8500 0001 0001 0000 0000 05'other'" EXAMPLE " 0001 0001"
		" c00c 0001 0001 00000005 0004 0a4d0005");
	/* One goes, the one beneath it stays. */
	assert_int_equal(names_set_service_names(names, 8, both + 1, 1, NULL), 0);
	unsigned asked = world->daemon.count;
	assert_int_equal(rcode_of(world, both[0]), DNS_RCODE_NOERROR);
	assert_int_equal(world->daemon.count, asked);
	expect_service(world, both[1], 8);
	assert_int_equal(names_set_service_names(names, 8, NULL, 0, NULL), 0);
	expect_nobody(world, both[0]);
	expect_service(world, "a.b.c.example.test", 8);
	assert_int_equal(names->table.node_count, nodes);
}

static void what_cannot_be_changes_nothing(void **state)
{
	struct world *world = *state;
	struct names *names = &world->responder.names;
	static const struct {
		const char *name, *why;
		int code;
	} bad[] = {
		{"www.example.test", "'www.example.test' is the name of another service", -EEXIST},
		{"A.b.c.example.test", "is its own name already", -EEXIST},
		{"ns1.example.test", "has an address in its zone", -EEXIST},
		{"*.example.test", "0x2a", -EINVAL},
		{"x..y", "x..y", -EINVAL},
	};
	assert_int_equal(names_set_service_names(names, 8, both, 1, NULL), 0);
	size_t nodes = names->table.node_count;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct error err = ERROR_INIT;
		const char *const list[] = {both[0], "new.example.test", bad[i].name};
		assert_int_equal(names_set_service_names(names, 8, list, 3, &err), bad[i].code);
		assert_non_null(strstr(err.message, bad[i].why));
		expect_service(world, both[0], 8);
		expect_nobody(world, "new.example.test");
		assert_int_equal(names->table.node_count, nodes);
	}
	assert_int_equal(names_set_service_names(names, 99, both, 1, NULL), -ENOENT);
	/* Nor is it to be had by another service, by either way. */
	const struct ip_address v4 = IPV4(10, 0, 0, 1);
	assert_int_equal(names_put_service(names, 11, both[0], &v4, 1, 5, NULL), -EEXIST);
	assert_int_equal(names_set_service_names(names, 9, both, 1, NULL), -EEXIST);
	assert_int_equal(names->table.node_count, nodes);
}

static void they_stay_when_the_service_is_put_again(void **state)
{
	struct world *world = *state;
	struct names *names = &world->responder.names;
	const struct ip_address v4 = IPV4(10, 0, 0, 1);
	size_t nodes = names->table.node_count;
	assert_int_equal(names_put_service(names, 11, "x.example.test", &v4, 1, 5, NULL), 0);
	assert_int_equal(names_set_service_names(names, 11, both, COUNT(both), NULL), 0);
	assert_int_equal(names_put_service(names, 11, "x.example.test",
				 (const struct ip_address[]){v4, v6}, 2, 9, NULL),
		0);
	expect_service(world, both[1], 11);
	expect(world, HEAD "05'other'" EXAMPLE " 001c 0001",
		"1234 8500 0001 0001 0000 0000 05'other'" EXAMPLE " 001c 0001"
		" c00c 001c 0001 00000009 0010 fd000000000000000000000000000005");
	/* One of them becomes its own. */
	assert_int_equal(names_put_service(names, 11, both[0], &v6, 1, 9, NULL), 0);
	expect_nobody(world, "x.example.test");
	assert_int_equal(names_set_service_names(names, 11, NULL, 0, NULL), 0);
	assert_int_equal(rcode_of(world, "deep.under.other.example.test"), DNS_RCODE_NXDOMAIN);
	assert_int_equal(rcode_of(world, both[0]), DNS_RCODE_NOERROR);
	names_remove_service(names, 11);
	assert_int_equal(names->table.node_count, nodes);
}

static void zones_change_around_them(void **state)
{
	struct world *world = *state;
	struct names *names = &world->responder.names;
	static const struct dns_name_server on_other[] = {
		{"other.example.test", {AF_INET, {1, 2, 3, 4}}, {0}}};
	const struct dns_zone_config against = {
		.origin = "test", .servers = on_other, .server_count = 1};
	struct error err = ERROR_INIT;
	assert_int_equal(names_set_service_names(names, 8, both, COUNT(both), NULL), 0);
	assert_int_equal(names_set_zones(names, zones, 2, NULL), 0);
	expect_service(world, both[0], 8);
	expect_service(world, "deep.under.other.example.test", 8);
	assert_int_equal(names_set_zones(names, &against, 1, &err), -EEXIST);
	assert_non_null(strstr(err.message, "'other.example.test' has an address in its zone"));
	expect_service(world, both[0], 8);
	names_remove_service(names, 8);
	assert_int_equal(names_set_zones(names, &against, 1, NULL), 0);
}

static void an_address_says_the_services_own_name(void **state)
{
	struct world *world = *state;
	struct names *names = &world->responder.names;
	const struct dns_zone_config with_reverse[] = {zones[0], zones[1],
		{.origin = "77.10.in-addr.arpa", .servers = parent_servers, .server_count = 1}};
	uint8_t query[300], out[ANSWER_MAX_UDP];
	assert_int_equal(names_set_service_names(names, 7, both, 1, NULL), 0);
	assert_int_equal(names_set_zones(names, with_reverse, 3, NULL), 0);
	size_t size = ask_bytes(
		world, query, bytes_query(query, 1, "5.0.77.10.in-addr.arpa", DNS_TYPE_PTR), out);
	assert_true(size > 18);
	static const uint8_t www[] = "\3www\7example\4test";
	assert_memory_equal(out + size - sizeof(www), www, sizeof(www));
}

/* 4, 4 and 2 of them: as they are given, and as each set is kept. */
static const struct ip_address several[ADDRESSES_MAX] = {{AF_INET, {10, 77, 0, 9}},
	{AF_INET6, {0xfd, [15] = 7}}, {AF_INET, {10, 77, 0, 200}}, {AF_INET, {10, 77, 0, 10}}, {0},
	{AF_INET6, {0xfd, [15] = 6}}};
#define A_OF(last)    " c00c 0001 0001 00000005 0004 0a4d00" last
#define AAAA_OF(last) " c00c 001c 0001 00000005 0010 fd0000000000000000000000000000" last

static void several_addresses_take_turns(void **state)
{
	struct world *world = *state;
	struct names *names = &world->responder.names;
	static const char *const answers[][2] = {
		{"1233", A_OF("09") A_OF("0a") A_OF("c8")},
		{"1234", A_OF("0a") A_OF("c8") A_OF("09")},
		{"1235", A_OF("c8") A_OF("09") A_OF("0a")},
	};
	assert_int_equal(
		names_put_service(names, 11, "x.example.test", several, ADDRESSES_MAX, 5, NULL), 0);
	for (size_t i = 0; i < COUNT(answers); i++) {
		char question[200], answer[600];
		snprintf(question, sizeof(question), "%s%s", answers[i][0],
			" 0100 0001 0000 0000 0000 01'x'" EXAMPLE " 0001 0001");
		snprintf(answer, sizeof(answer), "%s%s%s", answers[i][0],
			" 8500 0001 0003 0000 0000 01'x'" EXAMPLE " 0001 0001", answers[i][1]);
		expect(world, question, answer);
	}
	expect(world, HEAD "01'x'" EXAMPLE " 001c 0001",
		"1234 8500 0001 0002 0000 0000 01'x'" EXAMPLE " 001c 0001" AAAA_OF("06")
			AAAA_OF("07"));
}

static void each_address_has_its_name(void **state)
{
	struct world *world = *state;
	struct names *names = &world->responder.names;
	static const char *const reverse[] = {"9.0.77.10.in-addr.arpa", "200.0.77.10.in-addr.arpa",
		"10.0.77.10.in-addr.arpa",
		"7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa",
		"6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa"};
	const struct dns_zone_config with_reverse[] = {zones[0],
		{.origin = "77.10.in-addr.arpa", .servers = parent_servers, .server_count = 1},
		{.origin = "ip6.arpa", .servers = parent_servers, .server_count = 1}};
	uint8_t query[300], out[ANSWER_MAX_UDP];
	assert_int_equal(names_set_zones(names, with_reverse, 3, NULL), 0);
	size_t nodes = names->table.node_count;
	assert_int_equal(
		names_put_service(names, 11, "x.example.test", several, ADDRESSES_MAX, 5, NULL), 0);
	for (int again = 0; again < 2; again++) {
		for (size_t i = 0; i < COUNT(reverse); i++) {
			static const uint8_t x[] = "xexampletest";
			size_t size = ask_bytes(
				world, query, bytes_query(query, 1, reverse[i], DNS_TYPE_PTR), out);
			assert_true(size > sizeof(x));
			assert_memory_equal(out + size - sizeof(x), x, sizeof(x));
		}
		/* And once more from zones that are new. */
		assert_int_equal(names_set_zones(names, with_reverse, 3, NULL), 0);
	}
	/* Those that it has no more have none. */
	assert_int_equal(names_put_service(names, 11, "x.example.test", several, 2, 5, NULL), 0);
	assert_int_equal(rcode_of(world, reverse[0]), DNS_RCODE_NOERROR);
	for (size_t i = 1; i < COUNT(reverse); i++)
		assert_int_equal(rcode_of(world, reverse[i]),
			i == 3 ? DNS_RCODE_NOERROR : DNS_RCODE_NXDOMAIN);
	names_remove_service(names, 11);
	assert_int_equal(names->table.node_count, nodes);
}

static void a_question_as_text(void **state)
{
	(void)state;
	char text[DNS_QUESTION_TEXT];
	uint8_t longest[256];
	assert_string_equal(dns_question_text((const uint8_t *)"\3wWw\4a\nB.\1*\0", text),
		"www.a\\010b\\046.*");
	assert_string_equal(dns_question_text((const uint8_t *)"", text), ".");
	memset(longest, 1, sizeof(longest));
	longest[0] = longest[64] = longest[128] = 63;
	longest[192] = 61;
	longest[254] = 0;
	assert_int_equal(strlen(dns_question_text(longest, text)), 4 * 250 + 3);
}

/* What a browser or a resolver would take for malformed is no answer of ours. */
static void parameters_of_https(void **state)
{
	static const char *const good[] = {"alpn=h2", "port=8443 alpn=h2,h3", "port=\"65535\"",
		"mandatory=port,alpn alpn=h2 port=3", "mandatory=alpn alpn=h2", "key65280=x",
		"alpn=h3 no-default-alpn", "none"};
	static const char *const bad[] = {"", "alpn", "port=65536", "port=99999", "port=-1",
		"port=+5", "port=0", "port=5 port=6", "mandatory=alpn", "mandatory=port alpn=h2",
		"mandatory=mandatory alpn=h2", "key65535=x", "key65536=x", "dohpath=/{?dns}",
		"no-default-alpn", "ipv4hint=192.0.2.1", "alpn=h2 (", "alpn=\"h2", "alpn=h2\\"};
	struct error err = ERROR_INIT;
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (dns_check_https(good[i], &err) != 0)
			fail_msg("%s: %s", good[i], err.message);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (dns_check_https(bad[i], &err) != -EINVAL)
			fail_msg("%s is taken", bad[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_names_are_the_service),
		TEST(what_cannot_be_changes_nothing),
		TEST(they_stay_when_the_service_is_put_again),
		TEST(zones_change_around_them),
		TEST(an_address_says_the_services_own_name),
		TEST(several_addresses_take_turns),
		TEST(each_address_has_its_name),
		cmocka_unit_test(a_question_as_text),
		cmocka_unit_test(parameters_of_https),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
