/* SPDX-License-Identifier: ISC */
#include "tests/dns/fixture.h"

/* Zones and what else an operator says come into force together, or not at all. */

static const struct prefixes nobody = {.otherwise = false};
static const struct dns_zone_access closed_zone = {"new.test", &nobody};
static const struct dns_tsig_key twice[] = {
	{.name = "Key", .secret = "0123456789abcdef", .secret_size = 16},
	{.name = "key.", .secret = "fedcba9876543210", .secret_size = 16},
};

static struct dns_zones *new_zone(void)
{
	static const struct dns_zone_config config = {
		.origin = "new.test", .servers = servers, .server_count = 2, .ttl = 1};
	struct dns_zones *made = NULL;
	assert_int_equal(dns_zones_create(&config, 1, &made, NULL), 0);
	return made;
}

static unsigned rcode_of_name(struct fixture *fixture, int fd, const char *name)
{
	uint8_t query[128], answer[1232];
	fixture_send(fd, query, bytes_query(query, 1, name, DNS_TYPE_SOA));
	assert_true(fixture_receive(fixture, fd, answer, sizeof(answer)) >= DNS_HEADER_SIZE);
	return answer[3] & DNS_RCODE_MASK;
}

static void expect_old(struct fixture *fixture, int fd)
{
	struct dns_zone_info info;
	assert_true(dns_zone_info(fixture->server, 0, &info));
	assert_string_not_equal(info.origin, "new.test");
	/* In the old zones there is no such name, and it is forbidden to nobody. */
	assert_int_equal(rcode_of_name(fixture, fd, "new.test"), DNS_RCODE_NXDOMAIN);
	assert_int_equal(rcode_of_name(fixture, fd, "example.test"), DNS_RCODE_NOERROR);
}

static void all_or_nothing(void **state)
{
	(void)state;
	static const uint8_t secrets[3][DNS_COOKIE_SECRET_SIZE];
	static const struct dns_zone_access bad_name = {"a..b", &nobody};
	const struct {
		struct dns_rules rules;
		const char *says;
	} bad[] = {
		{{.access = &closed_zone,
			 .access_count = 1,
			 .tsig_keys = twice,
			 .tsig_key_count = 2},
			"TSIG key 'key.': it is given twice"},
		{{.access = &bad_name, .access_count = 1}, "a..b"},
		{{.access = &closed_zone,
			 .access_count = 1,
			 .cookie_secrets = secrets,
			 .cookie_secret_count = 3},
			"cookie"},
	};
	struct fixture *fixture = fixture_create("127.0.0.1", (struct dns_config){0});
	int fd = fixture_connect(fixture, "127.0.0.1", SOCK_DGRAM);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err = ERROR_INIT;
		assert_true(dns_use_rules(fixture->server, new_zone(), &bad[i].rules, &err) < 0);
		if (!strstr(err.message, bad[i].says))
			fail_msg("%s", err.message);
		expect_old(fixture, fd);
	}
	/* The zones are what is wrong: a service has its address where they have another. */
	const struct ip_address v4 = IPV4(10, 77, 0, 9);
	struct error err = ERROR_INIT;
	const struct dns_name_server ns = {"ns", IPV4(192, 0, 2, 1), NONE};
	const struct dns_zone_config glue = {
		.origin = "new.test", .servers = &ns, .server_count = 1};
	const struct dns_rules rules = {.access = &closed_zone, .access_count = 1};
	struct dns_zones *made = NULL;
	assert_int_equal(dns_put_service(fixture->server, 9, "ns.new.test", &v4, 1, 5, NULL), 0);
	assert_int_equal(dns_zones_create(&glue, 1, &made, NULL), 0);
	assert_int_equal(dns_use_rules(fixture->server, made, &rules, &err), -EEXIST);
	dns_remove_service(fixture->server, 9);
	expect_old(fixture, fd);
	/* And right ones are all in force. */
	assert_int_equal(dns_use_rules(fixture->server, new_zone(), &rules, &err), 0);
	assert_int_equal(rcode_of_name(fixture, fd, "new.test"), DNS_RCODE_REFUSED);
	assert_int_equal(dns_server_counters(fixture->server)->prohibited, 1);
	close(fd);
	fixture_destroy(fixture);
}

static void zones_may_stay(void **state)
{
	(void)state;
	static const struct dns_zone_access closed = {"example.test", &nobody};
	struct fixture *fixture = fixture_create("127.0.0.1", (struct dns_config){0});
	int fd = fixture_connect(fixture, "127.0.0.1", SOCK_DGRAM);
	assert_int_equal(dns_use_rules(fixture->server, NULL,
				 &(struct dns_rules){.access = &closed, .access_count = 1}, NULL),
		0);
	assert_int_equal(rcode_of_name(fixture, fd, "example.test"), DNS_RCODE_REFUSED);
	assert_int_equal(dns_use_rules(fixture->server, NULL, &(struct dns_rules){0}, NULL), 0);
	assert_int_equal(rcode_of_name(fixture, fd, "example.test"), DNS_RCODE_NOERROR);
	close(fd);
	fixture_destroy(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_or_nothing),
		cmocka_unit_test(zones_may_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
