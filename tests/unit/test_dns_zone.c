/* SPDX-License-Identifier: ISC */
#include "tests/dns/world.h"

static void services_come_and_go(void **state)
{
	struct world *world = *state;
	struct names *names = &world->responder.names;
	struct error err = ERROR_INIT;
	const struct ip_address v4 = IPV4(10, 0, 0, 1);
	size_t nodes = names->table.node_count;
	assert_int_equal(
		names_put_service(names, 11, "WWW.example.test", &v4, 1, 5, &err), -EEXIST);
	assert_non_null(strstr(err.message, "'www.example.test' is the name of another service"));
	assert_int_equal(
		names_put_service(names, 11, "ns1.example.test", &v4, 1, 5, &err), -EEXIST);
	assert_non_null(strstr(err.message, "'ns1.example.test' has an address in its zone"));
	assert_int_equal(names_put_service(names, 11, "a..b", &v4, 1, 5, NULL), -EINVAL);
	assert_int_equal(names_put_service(names, 0, "new.test", &v4, 1, 5, NULL), -EINVAL);
	assert_int_equal(names_put_service(names, 11, "new.test", five, 5, 5, &err), -EINVAL);
	assert_int_equal(
		names_put_service(names, 11, "new.test", &v4, 1, 0x80000000u, NULL), -EINVAL);
	assert_int_equal(names->table.node_count, nodes);
	assert_int_equal(rcode_of(world, "new.test"), DNS_RCODE_NXDOMAIN);

	/* From deep down to above and back: what only held its descendant goes with it. */
	assert_int_equal(names_put_service(names, 11, "x.y.z.test", &v4, 1, 5, NULL), 0);
	assert_int_equal(names_put_service(names, 11, "y.z.test", &v4, 1, 5, NULL), 0);
	assert_int_equal(rcode_of(world, "x.y.z.test"), DNS_RCODE_NXDOMAIN);
	assert_int_equal(names_put_service(names, 11, "x.y.z.test", &v4, 1, 5, NULL), 0);
	assert_int_equal(world->daemon.count, 0);
	assert_int_equal(rcode_of(world, "y.z.test"), DNS_RCODE_NOERROR);
	assert_int_equal(world->daemon.count, 0);
	assert_int_equal(rcode_of(world, "x.y.z.test"), DNS_RCODE_NOERROR);
	assert_int_equal(world->daemon.count, 1);
	/* The same name once more, now without an address. */
	assert_int_equal(names_put_service(names, 11, "x.y.z.test", &NONE, 1, 5, NULL), 0);
	assert_int_equal(rcode_of(world, "x.y.z.test"), DNS_RCODE_NOERROR);
	assert_int_equal(world->daemon.count, 1);
	names_remove_service(names, 11);
	names_remove_service(names, 11);
	assert_int_equal(names->table.node_count, nodes);
	assert_int_equal(rcode_of(world, "z.test"), DNS_RCODE_NXDOMAIN);
}

static void many_services(void **state)
{
	struct world *world = *state;
	struct names *names = &world->responder.names;
	char name[64];
	for (unsigned i = 0; i < 3000; i++) {
		const struct ip_address v4 = IPV4(10, 1, (uint8_t)(i >> 8), (uint8_t)i);
		snprintf(name, sizeof(name), "s%u.group%u.example.test", i, i % 10);
		assert_int_equal(names_put_service(names, 1000 + i, name, &v4, 1, 5, NULL), 0);
	}
	assert_int_equal(names_set_zones(names, zones, 2, NULL), 0);
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "s%u.group%u.example.test", i, i % 10);
		assert_int_equal(rcode_of(world, name), DNS_RCODE_NOERROR);
		assert_int_equal(world->daemon.asked.service, 1000 + i);
		if (i % 3 > 0)
			names_remove_service(names, 1000 + i);
	}
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "s%u.group%u.example.test", i, i % 10);
		assert_int_equal(
			rcode_of(world, name), i % 3 > 0 ? DNS_RCODE_NXDOMAIN : DNS_RCODE_NOERROR);
	}
}

static void services_wait_for_their_zone(void **state)
{
	struct world *world = *state;
	struct names *names = &world->responder.names;
	const struct dns_zone_config side = {
		.origin = "side", .servers = parent_servers, .server_count = 1};
	assert_int_equal(rcode_of(world, "out.side"), DNS_RCODE_REFUSED);
	assert_int_equal(names_set_zones(names, &side, 1, NULL), 0);
	assert_int_equal(rcode_of(world, "out.side"), DNS_RCODE_NOERROR);
	assert_int_equal(world->daemon.asked.service, 10);
	assert_int_equal(rcode_of(world, "www.example.test"), DNS_RCODE_REFUSED);
}

static void bad_zones_change_nothing(void **state)
{
	struct world *world = *state;
	static const struct dns_name_server on_service[] = {
		{"www.example.test", {AF_INET, {1, 2, 3, 4}}, {0}}};
	static const struct dns_name_server twice[] = {{"ns", {0}, {0}}, {"NS", {0}, {0}}};
	static const struct dns_name_server family[] = {{"ns", {AF_INET6, {1}}, {0}}};
	static const struct dns_name_server other_address[] = {
		{"ns1.example.test", {AF_INET, {1, 2, 3, 4}}, {0}}};
	static const struct {
		struct dns_zone_config second;
		int code;
		const char *why;
	} bad[] = {
		{{.origin = ""}, -EINVAL, "zone: '' is not a host name"},
		{{.origin = "."}, -EINVAL, "is empty"},
		{{.origin = "x"}, -EINVAL, "zone 'x': no name server"},
		{{.origin = "x", .servers = servers, .server_count = 17}, -EINVAL,
			"17 name servers"},
		{{.origin = "x", .servers = twice, .server_count = 2}, -EINVAL, "given twice"},
		{{.origin = "x", .servers = family, .server_count = 1}, -EINVAL, "another family"},
		{{.origin = "x", .servers = twice, .server_count = 1, .ttl = 0x80000000u}, -EINVAL,
			"TTL"},
		{{.origin = "x", .servers = twice, .server_count = 1, .primary = "a b"}, -EINVAL,
			"0x20"},
		{{.origin = "x", .servers = twice, .server_count = 1, .mailbox = "@x"}, -EINVAL,
			"mailbox"},
		{{.origin = "x", .servers = twice, .server_count = 1, .mailbox = "a b@x"}, -EINVAL,
			"mailbox"},
		{{.origin = "EXAMPLE.test", .servers = twice, .server_count = 1}, -EINVAL,
			"'example.test' is given twice"},
		{{.origin = "test", .servers = other_address, .server_count = 1}, -EINVAL,
			"another address"},
		{{.origin = "test", .servers = on_service, .server_count = 1}, -EEXIST,
			"'www.example.test' has an address in its zone"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err = ERROR_INIT;
		const struct dns_zone_config both[] = {zones[0], bad[i].second};
		assert_int_equal(
			names_set_zones(&world->responder.names, both, 2, &err), bad[i].code);
		if (!strstr(err.message, bad[i].why))
			fail_msg("'%s' does not say '%s'", err.message, bad[i].why);
		expect(world, HEAD "04'nope'04'test'00 0001 0001",
			"1234 8503 0001 0000 0001 0000 04'nope'04'test'00 0001 0001" PARENT_SOA(
				"11"));
	}
}

#define LONG "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghij."

static void large_answers_are_truncated(void **state)
{
	struct world *world = *state;
	struct dns_name_server many[ZONE_MAX_SERVERS];
	char name[ZONE_MAX_SERVERS][254];
	uint8_t query[300], out[ANSWER_MAX_TCP];
	for (unsigned i = 0; i < ZONE_MAX_SERVERS; i++) {
		snprintf(name[i], sizeof(name[i]), LONG LONG LONG "%c.net.", 'a' + (int)i);
		many[i] = (struct dns_name_server){.name = name[i]};
	}
	/* With the glue of these two it is too much: what does not fit is left out without a word. */
	many[0] = (struct dns_name_server){"ns1", IPV4(1, 2, 3, 4), v6};
	many[1] = (struct dns_name_server){"ns2", IPV4(1, 2, 3, 5), v6};
	struct dns_zone_config config = {.origin = "big", .servers = many, .server_count = 4};
	assert_int_equal(names_set_zones(&world->responder.names, &config, 1, NULL), 0);
	size_t query_size = bytes_query(query, 1, "big", DNS_TYPE_NS);
	size_t size = ask_bytes(world, query, query_size, out);
	assert_int_equal(size, 12 + 9 + 2 * 18 + 2 * (12 + 196) + 2 * 16);
	assert_int_equal(out[2], 0x85);
	assert_int_equal(wire_get16(out + 6), 4);
	assert_int_equal(wire_get16(out + 10), 2);

	config.server_count = ZONE_MAX_SERVERS;
	assert_int_equal(names_set_zones(&world->responder.names, &config, 1, NULL), 0);
	size = ask_bytes(world, query, query_size, out);
	assert_int_equal(size, query_size);
	assert_int_equal(out[2], 0x87);
	assert_int_equal(wire_get16(out + 6), 0);
	assert_int_equal(world->responder.counters.truncated, 1);
	world->client.tcp = (struct tcp_connection *)world; /* any: only that it is there counts */
	size = ask_bytes(world, query, query_size, out);
	assert_int_equal(size, 12 + 9 + 2 * 18 + 14 * (12 + 196) + 2 * (16 + 28));
	assert_int_equal(out[2], 0x85);
	assert_int_equal(wire_get16(out + 6), ZONE_MAX_SERVERS);
	assert_int_equal(wire_get16(out + 10), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(services_come_and_go),
		TEST(many_services),
		TEST(services_wait_for_their_zone),
		TEST(bad_zones_change_nothing),
		TEST(large_answers_are_truncated),
#undef TEST
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
