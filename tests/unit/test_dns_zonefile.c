/* SPDX-License-Identifier: ISC */
#include "tests/dns/world.h"
#include "tests/unit/scratch.h"

/* The world's second zone made anew from a file, under the name "file". */

static const struct ip_address v4 = {AF_INET, {10, 77, 0, 5}};

static int set_text(
	struct world *world, const char *text, struct dns_zone_config config, struct error *err)
{
	struct scratch *scratch = scratch_create();
	FILE *file = fopen(scratch->path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	const struct dns_name_server one = {"ns", IPV4(192, 0, 2, 9), {0}};
	const struct dns_zone_config reverse = {
		.origin = "77.10.in-addr.arpa", .servers = &one, .server_count = 1, .ttl = 30};
	config.origin = "file";
	config.file = scratch->path;
	const struct dns_zone_config both[] = {config, reverse};
	int rc = names_set_zones(&world->responder.names, both, 2, err);
	scratch_destroy(scratch);
	return rc;
}

#define SOA_LINE "@ SOA ns m 7 3600 600 604800 60\n"
#define NS_LINE  "@ NS ns\nns A 192.0.2.9\n"
#define HEAD_OK  SOA_LINE NS_LINE

static void use(struct world *world, const char *text)
{
	struct error err = ERROR_INIT;
	if (set_text(world, text, (struct dns_zone_config){.ttl = 300}, &err) < 0)
		fail_msg("%s", err.message);
}

#define FILE_SOA(at)                                                                               \
	" c0" at " 0006 0001 0000003c 001d 02'ns'c0" at " 01'm'c0" at                              \
	" 00000007 00000e10 00000258 00093a80 0000003c"

static void bad_text_is_explained(void **state)
{
	struct world *world = *state;
	static const struct {
		const char *text, *why;
	} bad[] = {
		{"", "no name server"},
		{HEAD_OK "a A 192.0.2.300\n", "/db:4: "},
		{HEAD_OK "\n\na A 192.0.2.300\n", "/db:6: "},
		{HEAD_OK "a B 192.0.2.3\n", "/db:4: "},
		{HEAD_OK "$INCLUDE other\n", "/db:4: $INCLUDE is not supported"},
		{HEAD_OK "a CH TXT x\n", "/db:4: the class of a record is IN"},
		{HEAD_OK "a DNAME b\n", "/db:4: DNAME is not supported"},
		{HEAD_OK "a.other. A 192.0.2.3\n", "/db:4: 'a.other.' is outside of the zone"},
		{HEAD_OK "@ DNSKEY 257 3 13 AAAA\n", "/db:4: zones are signed by this server"},
		{HEAD_OK "a TYPE250 \\# 0\n", "/db:4: this type is no data"},
		{HEAD_OK "a CNAME b\na A 192.0.2.3\n",
			"a.file. CNAME (line 4): a CNAME stands alone"},
		{HEAD_OK "a CNAME b\na CNAME c\n", "a CNAME stands alone"},
		{HEAD_OK "a SOA ns m 1 1 1 1 1\n",
			"a.file. SOA (line 4): only the zone's own name"},
		{HEAD_OK "@ SOA ns m 8 1 1 1 1\n", "a zone has one SOA"},
		{HEAD_OK "a 60 TXT x\na 61 TXT y\n", "a.file. TXT (line 5): the records of one"},
		{HEAD_OK "a DS 1 13 2 00\n", "a.file. DS (line 4): a DS belongs to a delegation"},
		{HEAD_OK "a NS b\nx.a TXT t\n", "x.a.file. TXT (line 5): beneath a delegation"},
		{HEAD_OK "a NS b\na MX 1 b\n", "a.file. MX (line 5): the name is delegated"},
		{HEAD_OK "a HTTPS 1 . mandatory=alpn\n",
			"a.file. HTTPS (line 4): mandatory= names"},
		{HEAD_OK "a SVCB 1 b port=1 port=2\n",
			"a.file. SVCB (line 4): a parameter is there twice"},
		{HEAD_OK "a HTTPS \\# 6 000100000100\n",
			"a parameter is there twice, or cut short"},
		{HEAD_OK "a HTTPS \\# 10 00010000040003010203\n", "ipv4hint= has IPv4 addresses"},
		{HEAD_OK "*.a NS b\n", "*.a.file. NS (line 4): a wildcard cannot be delegated"},
		{HEAD_OK "www CNAME b\n", "'www.file' is a CNAME in its zone's file"},
		{HEAD_OK "www A 192.0.2.3\n", "'www.file' has an address in its zone"},
	};
	assert_int_equal(
		names_put_service(&world->responder.names, 70, "www.file", &v4, 1, 5, NULL), 0);
	use(world, HEAD_OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err = ERROR_INIT;
		if (set_text(world, bad[i].text, (struct dns_zone_config){.ttl = 300}, &err) == 0)
			fail_msg("is taken: %s", bad[i].text);
		if (!strstr(err.message, bad[i].why))
			fail_msg("'%s' does not say '%s'", err.message, bad[i].why);
		/* The old zone serves on. */
		assert_int_equal(rcode_of(world, "www.file"), DNS_RCODE_NOERROR);
	}
}

static void what_is_said_twice_is_refused(void **state)
{
	struct world *world = *state;
	struct error err = ERROR_INIT;
	const struct dns_name_server one = {"ns", {0}, {0}};
	struct dns_zone_config config = {.servers = &one, .server_count = 1, .ttl = 300};
	assert_int_equal(set_text(world, HEAD_OK, config, &err), -EINVAL);
	assert_non_null(strstr(err.message, "already: leave out `ns`"));
	config = (struct dns_zone_config){.primary = "ns", .ttl = 300};
	assert_int_equal(set_text(world, HEAD_OK, config, &err), -EINVAL);
	assert_non_null(strstr(err.message, "already: leave out `primary` and `mailbox`"));
	config = (struct dns_zone_config){.file = "/nowhere/at/all", .origin = "file"};
	assert_int_equal(names_set_zones(&world->responder.names, &config, 1, &err), -ENOENT);
	assert_non_null(strstr(err.message, "'/nowhere/at/all': No such file"));
	/* Either may be in either. */
	config = (struct dns_zone_config){.servers = &one, .server_count = 1, .ttl = 300};
	assert_int_equal(set_text(world, SOA_LINE, config, &err), 0);
	config = (struct dns_zone_config){.mailbox = "m", .ttl = 300, .negative_ttl = 60};
	assert_int_equal(set_text(world, NS_LINE, config, &err), 0);
}

static void aliases_are_followed(void **state)
{
	struct world *world = *state;
	assert_int_equal(
		names_put_service(&world->responder.names, 70, "www.file", &v4, 1, 5, NULL), 0);
	use(world, HEAD_OK "a CNAME b\nb CNAME www\nx CNAME gone\nout CNAME www.example.test.\n");
	expect(world, HEAD "01'a'04'file'00 0001 0001",
		"1234 8500 0001 0003 0000 0000 01'a'04'file'00 0001 0001"
		"c00c 0005 0001 0000012c 0004 01'b'c00e"
		"c024 0005 0001 0000012c 0006 03'www'c00e"
		"c034 0001 0001 00000005 0004 0a4d0005");
	/* The service at its end is asked, and may be woken. */
	assert_int_equal(world->daemon.asked.service, 70);
	world->daemon.reply = DNS_REPLY_SERVFAIL;
	expect(world, HEAD "01'a'04'file'00 0001 0001",
		"1234 8102 0001 0000 0000 0000 01'a'04'file'00 0001 0001");
	/* RFC 6604: the RCODE of the last name. */
	expect(world, HEAD "01'x'04'file'00 0001 0001",
		"1234 8503 0001 0001 0001 0000 01'x'04'file'00 0001 0001"
		"c00c 0005 0001 0000012c 0007 04'gone'c00e" FILE_SOA("0e"));
	/* Another zone's names are for the client to ask. */
	expect(world, HEAD "03'out'04'file'00 0001 0001",
		"1234 8500 0001 0001 0000 0000 03'out'04'file'00 0001 0001"
		"c00c 0005 0001 0000012c 0012 03'www'07'example'04'test'00");
	expect(world, HEAD "01'a'04'file'00 0005 0001",
		"1234 8500 0001 0001 0000 0000 01'a'04'file'00 0005 0001"
		"c00c 0005 0001 0000012c 0004 01'b'c00e");
}

static void wildcards_never_wake(void **state)
{
	struct world *world = *state;
	use(world, HEAD_OK "*.w MX 5 ns\n*.w A 192.0.2.7\n");
	assert_int_equal(
		names_put_service(&world->responder.names, 70, "s.w.file", &v4, 1, 5, NULL), 0);
	expect(world, HEAD "01'y'01'x'01'w'04'file'00 000f 0001",
		"1234 8500 0001 0001 0000 0000 01'y'01'x'01'w'04'file'00 000f 0001"
		"c00c 000f 0001 0000012c 0007 0005 02'ns'c012");
	expect(world, HEAD "01'x'01'w'04'file'00 0001 0001",
		"1234 8500 0001 0001 0000 0000 01'x'01'w'04'file'00 0001 0001"
		"c00c 0001 0001 0000012c 0004 c0000207");
	assert_int_equal(world->daemon.count, 0);
	/* A service beside it is itself, and nothing is beneath it. */
	expect(world, HEAD "01's'01'w'04'file'00 000f 0001",
		"1234 8500 0001 0000 0001 0000 01's'01'w'04'file'00 000f 0001" FILE_SOA("10"));
	expect(world, HEAD "01'x'01's'01'w'04'file'00 0001 0001",
		"1234 8503 0001 0000 0001 0000 01'x'01's'01'w'04'file'00 0001 0001" FILE_SOA("12"));
}

static void delegations_refer(void **state)
{
	struct world *world = *state;
	struct names *names = &world->responder.names;
	struct error err = ERROR_INIT;
	use(world, HEAD_OK "sub NS n.sub\nsub DS 1 13 2 ab\nn.sub A 192.0.2.8\n");
	expect(world, HEAD "01'x'03'sub'04'file'00 0001 0001",
		"1234 8100 0001 0000 0001 0001 01'x'03'sub'04'file'00 0001 0001"
		"c00e 0002 0001 0000012c 0008 01'n'03'sub'c012"
		"c028 0001 0001 0000012c 0004 c0000208");
	expect(world, HEAD "03'sub'04'file'00 002b 0001",
		"1234 8500 0001 0001 0000 0000 03'sub'04'file'00 002b 0001"
		"c00c 002b 0001 0000012c 0005 0001 0d 02 ab");
	assert_int_equal(names_put_service(names, 70, "s.sub.file", &v4, 1, 5, &err), -EEXIST);
	assert_non_null(strstr(err.message, "'s.sub.file' belongs to 'sub.file.'"));
	/* Where the zone beneath is ours, too, it answers; but for the DS. */
	const struct dns_name_server one = {"ns", IPV4(192, 0, 2, 7), {0}};
	struct scratch *scratch = scratch_create();
	FILE *file = fopen(scratch->path, "w");
	fputs(HEAD_OK "sub NS n.sub\nsub DS 1 13 2 ab\nn.sub A 192.0.2.8\n", file);
	fclose(file);
	const struct dns_zone_config both[] = {
		{.origin = "file", .file = scratch->path, .ttl = 300},
		{.origin = "sub.file", .servers = &one, .server_count = 1, .ttl = 30},
	};
	assert_int_equal(names_set_zones(names, both, 2, NULL), 0);
	assert_int_equal(names_put_service(names, 70, "s.sub.file", &v4, 1, 5, &err), 0);
	assert_int_equal(rcode_of(world, "s.sub.file"), DNS_RCODE_NOERROR);
	assert_int_equal(rcode_of(world, "n.sub.file"), DNS_RCODE_NXDOMAIN);
	expect(world, HEAD "03'sub'04'file'00 002b 0001",
		"1234 8500 0001 0001 0000 0000 03'sub'04'file'00 002b 0001"
		"c00c 002b 0001 0000012c 0005 0001 0d 02 ab");
	scratch_destroy(scratch);
}

static void services_have_other_records(void **state)
{
	struct world *world = *state;
	use(world, HEAD_OK "www TXT hi\nwww SVCB 1 . alpn=h2\n");
	assert_int_equal(
		names_put_service(&world->responder.names, 70, "www.file", &v4, 1, 5, NULL), 0);
	expect(world, HEAD "03'www'04'file'00 0010 0001",
		"1234 8500 0001 0001 0000 0000 03'www'04'file'00 0010 0001"
		"c00c 0010 0001 0000012c 0003 02'hi'");
	/* Nobody asked whether the address may be said. */
	expect(world, HEAD "03'www'04'file'00 0040 0001",
		"1234 8500 0001 0001 0000 0000 03'www'04'file'00 0040 0001"
		"c00c 0040 0001 0000012c 000a 0001 00 0001 0003 02'h2'");
	assert_int_equal(world->daemon.count, 0);
	assert_int_equal(rcode_of(world, "www.file"), DNS_RCODE_NOERROR);
	assert_int_equal(world->daemon.count, 1);
	names_remove_service(&world->responder.names, 70);
	expect(world, HEAD "03'www'04'file'00 0001 0001",
		"1234 8500 0001 0000 0001 0000 03'www'04'file'00 0001 0001" FILE_SOA("10"));
}

static void bindings_come_with_addresses(void **state)
{
	struct world *world = *state;
	use(world,
		HEAD_OK "www HTTPS 1 . alpn=h2\nhost A 192.0.2.7\n"
			"alias HTTPS 0 host\nalias HTTPS 0 host.other.\nmany HTTPS 1 .\n"
			"many HTTPS 2 .\nmany A 192.0.2.6\n*.wild HTTPS 1 .\n*.wild A 192.0.2.5\n"
			"to CNAME www\nat HTTPS 1 www\n");
	assert_int_equal(
		names_put_service(&world->responder.names, 70, "www.file", &v4, 1, 5, NULL), 0);
	/* A service is asked, as for its addresses. */
	expect(world, HEAD "03'www'04'file'00 0041 0001",
		"1234 8500 0001 0001 0000 0001 03'www'04'file'00 0041 0001"
		"c00c 0041 0001 0000012c 000a 0001 00 0001 0003 02'h2'"
		"c00c 0001 0001 00000005 0004 0a4d0005");
	assert_int_equal(world->daemon.count, 1);
	assert_int_equal(world->daemon.asked.qtype, 65);
	assert_int_equal(world->daemon.asked.service, 70);
	world->daemon.reply = DNS_REPLY_SERVFAIL;
	expect(world, HEAD "03'www'04'file'00 0041 0001",
		"1234 8102 0001 0000 0000 0000 03'www'04'file'00 0041 0001");
	/* By way of an alias, too; not where a record of another name leads to it. */
	expect(world, HEAD "02'to'04'file'00 0041 0001",
		"1234 8102 0001 0000 0000 0000 02'to'04'file'00 0041 0001");
	assert_int_equal(world->daemon.count, 3);
	expect(world, HEAD "02'at'04'file'00 0041 0001",
		"1234 8500 0001 0001 0000 0000 02'at'04'file'00 0041 0001"
		"c00c 0041 0001 0000012c 000c 0001 03'www'04'file'00");
	expect(world, HEAD "05'alias'04'file'00 0041 0001",
		"1234 8500 0001 0002 0000 0001 05'alias'04'file'00 0041 0001"
		"c00c 0041 0001 0000012c 000d 0000 04'host'04'file'00"
		"c00c 0041 0001 0000012c 000e 0000 04'host'05'other'00"
		"c02a 0001 0001 0000012c 0004 c0000207");
	expect(world, HEAD "04'many'04'file'00 0041 0001",
		"1234 8500 0001 0002 0000 0001 04'many'04'file'00 0041 0001"
		"c00c 0041 0001 0000012c 0003 0001 00 c00c 0041 0001 0000012c 0003 0002 00"
		"c00c 0001 0001 0000012c 0004 c0000206");
	expect(world, HEAD "01'x'04'wild'04'file'00 0041 0001",
		"1234 8500 0001 0001 0000 0001 01'x'04'wild'04'file'00 0041 0001"
		"c00c 0041 0001 0000012c 0003 0001 00"
		"c00c 0001 0001 0000012c 0004 c0000205");
	assert_int_equal(world->daemon.count, 3);
}

#define REVERSE(host) host "01'0'02'77'02'10'07'in-addr'04'arpa'00"

static void addresses_have_names(void **state)
{
	struct world *world = *state;
	struct names *names = &world->responder.names;
	const struct ip_address other = IPV4(10, 77, 0, 8);
	use(world, HEAD_OK);
	size_t nodes = names->table.node_count;
	assert_int_equal(names_put_service(names, 70, "www.file", &other, 1, 5, NULL), 0);
	expect(world, HEAD REVERSE("01'8'") "000c 0001",
		"1234 8500 0001 0001 0000 0000" REVERSE(
			"01'8'") "000c 0001"
				 "c00c 000c 0001 00000005 000a 03'www'04'file'00");
	assert_int_equal(world->daemon.count, 0);
	assert_int_equal(names_put_service(names, 70, "www.file", five, 5, 5, NULL), -EINVAL);
	names_remove_service(names, 70);
	assert_int_equal(names->table.node_count, nodes);
	assert_int_equal(rcode_of(world, "8.0.77.10.in-addr.arpa"), DNS_RCODE_NXDOMAIN);
	/* What was there before the zone has one, too. */
	assert_int_equal(rcode_of(world, "5.0.77.10.in-addr.arpa"), DNS_RCODE_NOERROR);
}

static uint32_t serial_of(struct world *world)
{
	uint8_t query[300], out[ANSWER_MAX_UDP];
	size_t size = ask_bytes(world, query, bytes_query(query, 1, "file", DNS_TYPE_SOA), out);
	return wire_get32(out + size - 20);
}

static void serials_change_with_records(void **state)
{
	struct world *world = *state;
	struct dns_zone_config config = {.ttl = 300, .serial = 100};
	assert_int_equal(set_text(world, NS_LINE, config, NULL), 0);
	assert_int_equal(serial_of(world), 100);
	config.serial = 101;
	assert_int_equal(set_text(world, NS_LINE "\n; only a comment\n", config, NULL), 0);
	assert_int_equal(serial_of(world), 100);
	config.serial = 102;
	assert_int_equal(set_text(world, NS_LINE "a TXT b\n", config, NULL), 0);
	assert_int_equal(serial_of(world), 102);
	/* One that stands in the file is the operator's. */
	use(world, HEAD_OK);
	assert_int_equal(serial_of(world), 7);
}

static void sets_have_a_limit(void **state)
{
	struct world *world = *state;
	static char text[64 << 10];
	struct error err = ERROR_INIT;
	size_t length = (size_t)sprintf(text, "%s", HEAD_OK);
	for (int i = 0; i < 40; i++)
		length += (size_t)sprintf(text + length, "big TXT %0200d\n", i);
	assert_int_equal(
		set_text(world, text, (struct dns_zone_config){.ttl = 300}, &err), -EINVAL);
	assert_non_null(strstr(err.message, "big.file. TXT (line 4): all records of this name"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(bad_text_is_explained),
		TEST(what_is_said_twice_is_refused),
		TEST(aliases_are_followed),
		TEST(wildcards_never_wake),
		TEST(delegations_refer),
		TEST(services_have_other_records),
		TEST(bindings_come_with_addresses),
		TEST(addresses_have_names),
		TEST(serials_change_with_records),
		TEST(sets_have_a_limit),
#undef TEST
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
