/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/units.h"
#include "daemon/config.h"
#include "daemon/resolv.h"

#define SECRET "\"00112233445566778899aabbccddeeFF\""

struct fixture {
	char dir[64];
	char path[96];
	char problems[8192];
	unsigned problem_count;
	struct config *config;
	struct error err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	*state = f;
	strcpy(f->dir, "/tmp/test-config-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/summond.conf", f->dir);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];
	config_destroy(f->config);
	snprintf(command, sizeof(command), "rm -r %s", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void on_problem(void *ctx, const char *problem)
{
	struct fixture *f = ctx;
	size_t length = strlen(f->problems);
	snprintf(f->problems + length, sizeof(f->problems) - length, "%s\n", problem);
	f->problem_count++;
}

static int load(struct fixture *f, const char *text)
{
	config_destroy(f->config);
	f->config = NULL;
	f->problems[0] = '\0';
	f->problem_count = 0;
	f->err = (struct error)ERROR_INIT;
	if (text)
		write_file(f->path, text);
	return config_load(text ? f->path : NULL, on_problem, f, &f->config, &f->err);
}

static const struct config *load_good(struct fixture *f, const char *text)
{
	if (load(f, text) < 0)
		fail_msg("%s: %s", text ? text : "(defaults)", f->err.message);
	assert_int_equal(f->problem_count, 0);
	return f->config;
}

/* The message without the temporary folder's name. */
static void expect_problem(struct fixture *f, const char *text, const char *contained)
{
	assert_int_equal(load(f, text), -EINVAL);
	assert_null(f->config);
	if (!strstr(f->problems, contained) || !strstr(f->problems, f->err.message))
		fail_msg("%s: not '%s' but: %s", text, contained, f->problems);
}

static void defaults(void **state)
{
	struct fixture *f = *state;
	const struct config *c = load_good(f, NULL);
	assert_string_equal(c->state_dir, "/var/lib/summond");
	assert_string_equal(c->control.socket, "/run/summond/control.sock");
	assert_int_equal(c->control.mode, 0660);
	assert_null(c->control.group);
	assert_int_equal(c->control.max_upload, 64u << 20);
	assert_int_equal(c->dns.listen_count, 2);
	assert_int_equal(((struct sockaddr_in *)&c->dns.listen[0])->sin_port, htons(53));
	assert_int_equal(c->dns.listen[1].ss_family, AF_INET6);
	assert_int_equal(c->zone_count, 0);
	assert_true(c->network.enabled);
	char text[IP_PREFIX_TEXT];
	assert_string_equal(ip_prefix_print(&c->network.pool, text), "10.77.0.1/16");
	assert_int_equal(c->network.pool6.address.family, 0);
	assert_string_equal(c->default_backend, "auto");
	assert_int_equal(c->guest.memory, 32u << 20);
	assert_int_equal(c->journal.flush, 200 * NS_PER_MS);
	assert_int_equal(c->log.level, 1);
	assert_false(c->log.json);
}

static void whole_file(void **state)
{
	struct fixture *f = *state;
	const struct config *c = load_good(f,
		"run_dir = /tmp/x\n"
		"dns { listen = [127.0.0.1@5300]; max_waiting: 7\n"
		"  cookies = required; cookie_secrets = [" SECRET "] }\n"
		"network { address6 = fd00::1/64; pool = 10.77.128.0/17; enabled = false }\n"
		"backend { default = sim }\n"
		"backend sim { start_delay = \"20 ms\"; fail = 1/3 }\n"
		"log { level = debug; format = json }\n"
		"zone \"example.test\" {\n"
		"  primary = ns1; mailbox = \"me@example.test\"; ttl = 2h; negative_ttl = 0\n"
		"  ns ns1 { address = 127.0.0.1; address6 = ::1 }\n"
		"  ns ns2 { address = 127.0.0.2 }\n"
		"}\n"
		"zone \"other.test\" { ns = [a.example.org, \"b.example.org\"] }\n");
	assert_string_equal(c->control.socket, "/tmp/x/control.sock");
	assert_int_equal(c->dns.listen_count, 1);
	assert_int_equal(c->dns.max_waiting, 7);
	assert_int_equal(c->dns.cookies, DNS_COOKIES_REQUIRED);
	assert_int_equal(c->dns.cookie_secret_count, 1);
	assert_memory_equal(c->dns.cookie_secrets[0],
		"\0\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 16);
	assert_false(c->network.enabled);
	char text[IP_PREFIX_TEXT];
	assert_string_equal(ip_prefix_print(&c->network.pool6, text), "fd00::1/64");
	assert_string_equal(ip_prefix_print(&c->network.pool, text), "10.77.128.0/17");
	assert_string_equal(c->default_backend, "sim");
	assert_int_equal(c->backend_count, 1);
	assert_string_equal(c->backends[0].name, "sim");
	assert_int_equal(c->backends[0].setting_count, 2);
	assert_string_equal(c->backends[0].settings[0].key, "start_delay");
	assert_string_equal(c->backends[0].settings[0].value, "20 ms");
	assert_int_equal(c->log.level, 0);
	assert_true(c->log.json);
	assert_int_equal(c->zone_count, 2);
	const struct config_zone *zone = &c->zones[0];
	assert_string_equal(zone->origin, "example.test");
	assert_string_equal(zone->primary, "ns1");
	assert_string_equal(zone->mailbox, "me@example.test");
	assert_int_equal(zone->ttl, 7200);
	assert_int_equal(zone->negative_ttl, 0);
	assert_int_equal(zone->server_count, 2);
	assert_string_equal(zone->servers[1].name, "ns2");
	assert_string_equal(ip_address_print(&zone->servers[0].address6, text), "::1");
	assert_string_equal(c->zones[1].servers[1].name, "b.example.org");
	assert_int_equal(c->zones[1].ttl, 3600);
}

static bool has(const struct prefixes *prefixes, const char *text)
{
	struct ip_address ip;
	struct sockaddr_storage storage;
	assert_int_equal(ip_address_parse(text, &ip, NULL), 0);
	ip_address_to_sockaddr(&ip, 1, &storage);
	return prefixes_match(prefixes, (struct sockaddr *)&storage);
}

static void who_may_wake(void **state)
{
	struct fixture *f = *state;
	const struct config *c = load_good(f, "network { address6 = fd00::1/64 }");
	assert_true(c->wake.verify);
	assert_int_equal(c->wake.per_source.count, 120);
	assert_int_equal(c->wake.per_source.span, 60 * NS_PER_S);
	assert_true(has(&c->wake.trusts, "127.1.2.3") && has(&c->wake.trusts, "::1"));
	assert_true(has(&c->wake.trusts, "10.77.3.4") && has(&c->wake.trusts, "fd00::99"));
	assert_false(has(&c->wake.trusts, "192.168.1.1") || has(&c->wake.trusts, "fe80::1"));
	assert_true(has(&c->wake.access, "192.0.2.1"));
	c = load_good(f, "network { enabled = false }\n"
			 "wake { deny = [192.0.2.0/24, ::/0]; total = none; verify = false }");
	assert_false(has(&c->wake.trusts, "10.77.3.4"));
	assert_false(has(&c->wake.access, "192.0.2.1") || has(&c->wake.access, "::1"));
	assert_true(has(&c->wake.access, "192.0.3.1"));
	assert_int_equal(c->wake.total.count, 0);
	assert_false(c->wake.verify);
	c = load_good(f, "wake { allow = [192.0.2.0/24]; deny = 192.0.2.1; trusted = [] }");
	assert_true(has(&c->wake.access, "192.0.2.2"));
	assert_false(has(&c->wake.access, "192.0.2.1") || has(&c->wake.access, "192.0.3.1"));
	assert_false(has(&c->wake.trusts, "127.0.0.1"));
	c = load_good(f, "zone a.test { ns = [b]; allow = [10.0.0.0/8, ::1]; deny = 10.1.0.0/16 }");
	assert_true(has(&c->zones[0].access, "10.2.0.1") && has(&c->zones[0].access, "::1"));
	assert_false(has(&c->zones[0].access, "10.1.0.1") || has(&c->zones[0].access, "11.1.1.1"));
}

static void upstreams_of_the_host(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_storage own, got[2];
	struct error err = ERROR_INIT;
	char text[IP_ADDRESS_TEXT];
	assert_int_equal(ip_endpoint_parse("127.0.0.1@53", 0, &own, NULL), 0);
	write_file(f->path, "# nameserver 1.1.1.1\nsearch home\nnameserver 127.0.0.1\n"
			    "nameserver fe80::1%eth0\nnameserver  192.0.2.1 # the router\n"
			    "nameserver\nnameserver 2001:db8::1\nnameserver 192.0.2.3");
	assert_int_equal(resolv_read(f->path, &own, 1, got, 2, &err), 2);
	struct ip_address first = ip_address_from_sockaddr((struct sockaddr *)&got[0]);
	struct ip_address second = ip_address_from_sockaddr((struct sockaddr *)&got[1]);
	assert_string_equal(ip_address_print(&first, text), "192.0.2.1");
	assert_string_equal(ip_address_print(&second, text), "2001:db8::1");
	assert_int_equal(((struct sockaddr_in *)&got[0])->sin_port, htons(53));
	write_file(f->path, "nameserver 127.0.0.1\n");
	assert_int_equal(resolv_read(f->path, &own, 1, got, 2, &err), -ENOENT);
	assert_non_null(strstr(err.message, "names no resolver but this server"));
	assert_int_equal(resolv_read("/nonexistent/x", &own, 1, got, 2, &err), -ENOENT);
	assert_non_null(strstr(err.message, "cannot read /nonexistent/x"));
}

static void problems(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *text, *message;
	} bad[] = {
		{"\ndns { lisen = [::1] }",
			"summond.conf:2: dns.lisen: unknown option: did you mean dns.listen?"},
		{"dsn { listen = [::1] }", "conf:1: dsn: unknown option"},
		{"qwertyuiop = 1", "conf:1: qwertyuiop: unknown option"},
		{"dns = 53", "conf:1: dns: must be a section"},
		{"dns.listen = ::1", "conf:1: dns.listen: is not written with a dot"},
		{"dns { max_tcp = many }", "conf:1: dns.max_tcp: 'many' is not a whole number"},
		{"dns { max_tcp = 0 }", "dns.max_tcp: '0' is not a whole number from 1"},
		{"dns { max_tcp = [1] }", "dns.max_tcp: must be one value"},
		{"dns { max_tcp { a = 1 } }", "dns.max_tcp: must be one value"},
		{"dns { listen = [localhost] }", "dns.listen: "},
		{"dns { listen = [] }", "dns.listen: needs at least one address"},
		{"dns { listen = [{a = b}] }", "dns.listen: must be a list of single values"},
		{"control { mode = 999 }", "control.mode: '999' is not a mode"},
		{"control { mode = 4755 }", "control.mode: '4755' is not a mode"},
		{"control { max_upload = 1 }", "control.max_upload: '1' is not a size"},
		{"control { max_upload = 8GiB }", "must be from 1KiB to 4GiB"},
		{"state_dir = here", "state_dir: 'here' is not a path from the root"},
		{"network { bridge = a-name-that-is-too-long }",
			"network.bridge: has more than 15 letters"},
		{"network { bridge = \"\" }", "network.bridge: must not be empty"},
		{"network { bridge = \"a b\" }", "network.bridge: 'a b' has a blank"},
		{"network { enabled = maybe }", "network.enabled: 'maybe' is none of false, true"},
		{"network { address = fd00::1/64 }",
			"network.address: 'fd00::1/64' is not an IPv4 prefix"},
		{"network { address = 10.1.0.0/16 }",
			"network.address: is an address of the network itself"},
		{"network { pool = 10.77.0.0/15 }",
			"network.pool: must be a part of network.address, 10.77.0.1/16"},
		{"network { pool6 = fd00::/64 }", "network.pool6: needs network.address6"},
		{"network { address6 = fd00::1/64; pool6 = fd01::/112 }",
			"network.pool6: must be a part of network.address6, fd00::1/64"},
		{"network { address = none }", "network.address: is needed unless"},
		{"log { level = loud }",
			"log.level: 'loud' is none of debug, info, warning, error"},
		{"journal { flush = 0 }", "journal.flush: must be from 1ms to 1min"},
		{"policy default { ttl = 5s }", "conf:1: policy: policies are not set here"},
		{"service a { }", "conf:1: service: services are not set here"},
		{"zone { ttl = 1h }", "conf:1: zone: a zone has a name"},
		{"zone = example.test", "zone: must be a section"},
		{"zone a.test { }", "conf:1: zone.a.test: needs a name server"},
		{"zone a..test { ns = [b] }", "zone.a..test: is not a domain name"},
		{"zone a.test {\n tll = 1h\n ns = [b] }",
			"conf:2: zone.a.test.tll: unknown option: did you mean ttl"},
		{"zone a.test { ttl = 1500ms; ns = [b] }",
			"zone.a.test.ttl: must be whole seconds"},
		{"zone a.test { ns = b }", "zone.a.test.ns: must be a list"},
		{"zone a.test { ns = [b]; file = here }", "zone.a.test.file: must be the path"},
		{"zone a.test { ns { b = c } }",
			"zone.a.test.ns: a name server is a name in a list"},
		{"zone a.test { ns b { address = ::1 } }",
			"zone.a.test.ns.b.address: '::1' is not an IPv4 address"},
		{"zone a.test { ns b { adress = ::1 } }",
			"zone.a.test.ns.b.adress: unknown option"},
		{"backend sim { a = [1] }", "backend.sim.a: must be one value"},
		{"backend { defualt = sim }",
			"backend.defualt: unknown option: did you mean backend.default?"},
		{"a = \"b", "conf:1: this text has no end"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_problem(f, bad[i].text, bad[i].message);
	assert_int_equal(config_load("/nonexistent/x", NULL, NULL, &f->config, &f->err), -ENOENT);
}

static void problems_of_lists(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *text, *message;
	} bad[] = {
		{"dns { cookies = maybe }", "dns.cookies: 'maybe' is none of on, required, off"},
		{"dns { cookie_secrets = [00] }",
			"dns.cookie_secrets: secret number 1 is not one of 32 hexadecimal"},
		{"dns { cookie_secrets = [" SECRET ", 0] }",
			"dns.cookie_secrets: secret number 2 is not"},
		{"dns { cookie_secrets = [" SECRET ", " SECRET ", " SECRET "] }",
			"dns.cookie_secrets: has more than two secrets"},
		{"wake { allow = [10.0.0.0/33] }", "wake.allow: "},
		{"wake { allow = [home] }", "wake.allow: "},
		{"wake { allow = [10.0.0.0/8]; deny = [10.1.2.3/8] }",
			"is both allowed and denied"},
		{"wake { per_source = 10 }", "wake.per_source: '10' is not a rate: write how many"},
		{"wake { per_source = 0/1s }", "is not a rate"},
		{"wake { per_source = 5/1us }", "is not a rate"},
		{"wake { per_source = 5/ }", "is not a rate"},
		{"zone a.test { ns = [b]; allow = [10.0.0.0/99] }", "conf:1: zone.a.test.allow: "},
		{"zone a.test { ns = [b]; deny { a = b } }",
			"zone.a.test.deny: must be a list of prefixes"},
		{"zone a.test { ns = [b]; allow = ::1; deny = [\n::1] }",
			"zone.a.test: ::1/128 is both allowed and denied"},
		{"dns { rate_limit = -1 }", "dns.rate_limit: "},
		{"forward { upstreams = [dns.example] }", "forward.upstreams: "},
		{"forward { upstreams = [::1,::2,::3,::4,::5,::6,::7,::8,::9] }",
			"forward.upstreams: has more than 8 addresses"},
		{"forward { allow = ::1; deny = ::1 }", "forward: ::1/128 is both"},
		{"forward { timeout = 1us }", "forward.timeout: must be from 10ms to 5s"},
		{"wake { verify = perhaps }", "wake.verify: 'perhaps' is none of false, true"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_problem(f, bad[i].text, bad[i].message);
}

static void problems_of_secondaries(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *text, *message;
	} bad[] = {
		{"zone a.test { ns = [b]; transfer = { a = b } }",
			"zone.a.test.transfer: must be a list of texts"},
		{"zone a.test { ns = [b]; transfer = [k] }",
			"zone: a.test: there is no tsig \"k\" { secret = ... }"},
		{"zone a.test { ns = [b]; notify = [ns1.a.test] }", "zone.a.test.notify: "},
		{"tsig k { secret = no!base }", "tsig.k: the secret is no base64"},
		{"tsig k { secret = \"AAAA\" }", "tsig.k: the secret has 3 bytes"},
		{"tsig k { algorithm = md5 }", "tsig.k: 'algorithm' is unknown"},
		{"tsig Key { secret = \"AAAAAAAAAAAAAAAAAAAAAAAA\" }\n"
		 "tsig \"key.\" { secret = \"AAAAAAAAAAAAAAAAAAAAAAAA\" }",
			"summond.conf:2: tsig.key.: this is the key of line 1 "},
		{"tsig \"k k\" { secret = \"AAAAAAAAAAAAAAAAAAAAAAAA\" }", "not a host name"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_problem(f, bad[i].text, bad[i].message);
}

/* However it is spelled, it is one key. */
static void a_key_has_one_name(void **state)
{
	struct fixture *f = *state;
	const struct config *c =
		load_good(f, "zone a.test { ns = [b]; transfer = [XFR.key, \"xfr.KEY.\"] }\n"
			     "tsig \"Xfr.Key.\" { secret = \"AAAAAAAAAAAAAAAAAAAAAAAA\" }");
	assert_int_equal(c->tsig_key_count, 1);
	assert_string_equal(c->tsig_keys[0].name, "xfr.key");
	assert_int_equal(c->zones[0].transfer_count, 2);
	assert_string_equal(c->zones[0].transfer[0], "xfr.key");
	assert_string_equal(c->zones[0].transfer[1], "xfr.key");
}

static void all_problems_are_told(void **state)
{
	struct fixture *f = *state;
	expect_problem(f, "a = 1\ndns { max_tcp = x }\nlog { level = y }\nzone z { }\n",
		"summond.conf:2: dns.max_tcp");
	assert_int_equal(f->problem_count, 4);
	assert_non_null(strstr(f->err.message, "summond.conf:1: a: unknown option"));
	char text[1000] = "";
	for (int i = 0; i < 40; i++)
		sprintf(text + strlen(text), "x%d = 1\n", i);
	assert_int_equal(load(f, text), -EINVAL);
	assert_int_equal(f->problem_count, 20);
}

static void folders(void **state)
{
	struct fixture *f = *state;
	char path[128];
	snprintf(path, sizeof(path), "%s/conf.d", f->dir);
	assert_int_equal(mkdir(path, 0755), 0);
	static const char *const files[][2] = {
		{"20-b.conf", "dns { max_tcp = 20 } zone c.test { ns = [x] }"},
		{"10-a.conf", "dns { max_tcp = 10; max_waiting = 10; listen = [::1@9] }"},
		{"30-c.conf.bak", "nonsense = 1"},
		{".40.conf", "nonsense = 1"},
	};
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/conf.d/%s", f->dir, files[i][0]);
		write_file(path, files[i][1]);
	}
	const struct config *c =
		load_good(f, "dns { max_tcp = 1; max_waiting = 1 } zone b.test { ns = [x] }");
	assert_int_equal(c->dns.max_tcp, 20);
	assert_int_equal(c->dns.max_waiting, 10);
	assert_int_equal(c->dns.listen_count, 1);
	assert_int_equal(c->zone_count, 2);
	snprintf(path, sizeof(path), "%s/conf.d/50.conf", f->dir);
	write_file(path, "\nlog { level = loud }");
	expect_problem(f, "", "conf.d/50.conf:2: log.level: 'loud'");
}

static void environment(void **state)
{
	struct fixture *f = *state;
	setenv("SUMMOND_DNS_LISTEN", "127.0.0.1@5300 ::1@5301", 1);
	setenv("SUMMOND_STATE_DIR", "/tmp/state", 1);
	setenv("SUMMOND_SOCKET", "/tmp/elsewhere", 1);
	const struct config *c = load_good(f, "dns { listen = [::1] }");
	assert_int_equal(c->dns.listen_count, 2);
	assert_int_equal(((struct sockaddr_in6 *)&c->dns.listen[1])->sin6_port, htons(5301));
	assert_string_equal(c->state_dir, "/tmp/state");
	unsetenv("SUMMOND_SOCKET");
	unsetenv("SUMMOND_STATE_DIR");
	setenv("SUMMOND_DNS_LISTEN", "here", 1);
	expect_problem(f, "", "SUMMOND_DNS_LISTEN: ");
	unsetenv("SUMMOND_DNS_LISTEN");
	setenv("SUMMOND_DNS_LISTN", "::1", 1);
	expect_problem(f, "", "SUMMOND_DNS_LISTN: unknown variable");
	unsetenv("SUMMOND_DNS_LISTN");
}

static void reloading(void **state)
{
	struct fixture *f = *state;
	load_good(f, "dns { max_tcp = 5 } backend sim { a = b } zone a.test { ns = [x] }");
	struct config *old = f->config;
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"dns { max_tcp = 5 } backend sim { a = b } log { level = debug }", NULL},
		{"dns { max_tcp = 5 } backend sim { a = b } guest { memory = 64MiB }", NULL},
		{"dns { max_tcp = 6 } backend sim { a = b }",
			"dns.max_tcp has changed from '5' to '6'"},
		{"dns { max_tcp = 5 } backend sim { a = c }", "a backend's settings have changed"},
		{"dns { max_tcp = 5 } backend sim { a = b } control { group = x }",
			"control.group has"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f->config = NULL;
		load_good(f, cases[i].text);
		struct error err = ERROR_INIT;
		int rc = config_reloadable(old, f->config, &err);
		assert_int_equal(rc, cases[i].message ? -EBUSY : 0);
		if (cases[i].message && !strstr(err.message, cases[i].message))
			fail_msg("%s", err.message);
		config_destroy(f->config);
	}
	f->config = old;
}

static void example_is_the_defaults(void **state)
{
	struct fixture *f = *state;
	struct error err = ERROR_INIT;
	struct config *plain = NULL;
	assert_int_equal(config_load(NULL, NULL, NULL, &plain, NULL), 0);
	if (config_load(SOURCE_ROOT "/deploy/examples/summond.conf", NULL, NULL, &f->config, &err) <
		0)
		fail_msg("%s", err.message);
	assert_int_equal(config_reloadable(plain, f->config, NULL), 0);
	assert_int_equal(f->config->zone_count, 1);
	config_destroy(plain);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_may_wake, setup, teardown),
		cmocka_unit_test_setup_teardown(problems_of_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(upstreams_of_the_host, setup, teardown),
		TEST(defaults),
		TEST(whole_file),
		TEST(problems),
		TEST(problems_of_secondaries),
		TEST(a_key_has_one_name),
		TEST(all_problems_are_told),
		TEST(folders),
		TEST(environment),
		TEST(reloading),
		TEST(example_is_the_defaults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
