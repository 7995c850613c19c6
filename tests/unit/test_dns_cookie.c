/* SPDX-License-Identifier: ISC */
#include "dns/cookie.h"
#include "tests/dns/world.h"

/* The vectors are those of RFC 9018, appendix A. */

static uint8_t (*secret_of(const char *text))[DNS_COOKIE_SECRET_SIZE]
{
	static uint8_t secrets[2][DNS_COOKIE_SECRET_SIZE];
	assert_int_equal(bytes_read(text, secrets[0], sizeof(secrets)) % DNS_COOKIE_SECRET_SIZE, 0);
	return secrets;
}

static struct sockaddr_storage client(const char *text)
{
	struct ip_address ip;
	struct sockaddr_storage storage;
	assert_int_equal(ip_address_parse(text, &ip, NULL), 0);
	ip_address_to_sockaddr(&ip, 1234, &storage);
	return storage;
}

static enum cookie_state check(struct cookies *cookies, const char *cookie, const char *source,
	uint32_t now, uint8_t reply[EDNS_COOKIE_REPLY])
{
	struct query query = {0};
	struct sockaddr_storage storage = client(source);
	query.cookie_size = (uint8_t)bytes_read(cookie, query.cookie, sizeof(query.cookie));
	return cookies_check(cookies, &query, (struct sockaddr *)&storage, now, reply);
}

struct vector {
	const char *secrets, *source, *request, *reply;
	uint32_t now;
	unsigned count;
	enum cookie_state state;
};

#define SECRET "e5e973e5a6b2a43f48e7dc849e37bfcf"

static const struct vector vectors[] = {
	/* A.1: a new client. */
	{SECRET, "198.51.100.100", "2464c4abcf10c957",
		"2464c4abcf10c957 01000000 5cf79f11 1f8130c3eee29480", 1559731985, 1,
		COOKIE_CLIENT},
	/* A.2: the same, forty minutes later: renewed. */
	{SECRET, "198.51.100.100", "2464c4abcf10c957 01000000 5cf79f11 1f8130c3eee29480",
		"2464c4abcf10c957 01000000 5cf7a871 d4a564a1442aca77", 1559734385, 1, COOKIE_GOOD},
	/* A.3: reserved bits are hashed as they are, and not sent back; it is too old. */
	{SECRET, "203.0.113.203", "fc93fc62807ddb86 01abcdef 5cf78f71 a314227b6679ebf5",
		"fc93fc62807ddb86 01000000 5cf7a9ac f73a7810aca2381e", 1559734700, 1, COOKIE_BAD},
	/* A.4: IPv6, and a secret that was rolled: the old one is taken, the new one given. */
	{"445536bcd2513298075a5d379663c962 dd3bdf9344b678b185a6f5cb60fca715",
		"2001:db8:220:1:59de:d0f4:8769:82b8",
		"22681ab97d52c298 01000000 5cf7c579 26556bd0934c72f8",
		"22681ab97d52c298 01000000 5cf7c609 a6bb79d16625507a", 1559741961, 2, COOKIE_GOOD},
};

static void vectors_of_the_standard(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		const struct vector *v = &vectors[i];
		struct cookies cookies;
		uint8_t reply[EDNS_COOKIE_REPLY], wanted[EDNS_COOKIE_REPLY];
		assert_int_equal(cookies_init(&cookies, v->now), 0);
		assert_int_equal(
			cookies_give(&cookies, secret_of(v->secrets), v->count, v->now), 0);
		assert_int_equal(check(&cookies, v->request, v->source, v->now, reply), v->state);
		bytes_read(v->reply, wanted, sizeof(wanted));
		assert_memory_equal(reply, wanted, sizeof(wanted));
	}
}

static void what_is_not_ours_is_bad(void **state)
{
	(void)state;
	static const struct {
		const char *cookie, *source;
		int32_t later;
	} bad[] = {
		/* A bit of each part, another address, another version, a wrong size. */
		{"2464c4abcf10c956 01000000 5cf79f11 1f8130c3eee29480", "198.51.100.100", 0},
		{"2464c4abcf10c957 01000001 5cf79f11 1f8130c3eee29480", "198.51.100.100", 0},
		{"2464c4abcf10c957 01000000 5cf79f10 1f8130c3eee29480", "198.51.100.100", 0},
		{"2464c4abcf10c957 01000000 5cf79f11 1f8130c3eee29481", "198.51.100.100", 0},
		{"2464c4abcf10c957 01000000 5cf79f11 1f8130c3eee29480", "198.51.100.101", 0},
		{"2464c4abcf10c957 01000000 5cf79f11 1f8130c3eee29480", "::1", 0},
		{"2464c4abcf10c957 02000000 5cf79f11 1f8130c3eee29480", "198.51.100.100", 0},
		{"2464c4abcf10c957 01000000 5cf79f11", "198.51.100.100", 0},
		{"2464c4abcf10c957 01000000 5cf79f11 1f8130c3eee2948000", "198.51.100.100", 0},
		/* Too old, and too far ahead. */
		{"2464c4abcf10c957 01000000 5cf79f11 1f8130c3eee29480", "198.51.100.100", 3601},
		{"2464c4abcf10c957 01000000 5cf79f11 1f8130c3eee29480", "198.51.100.100", -301},
	};
	struct cookies cookies;
	uint8_t reply[EDNS_COOKIE_REPLY];
	assert_int_equal(cookies_init(&cookies, 0), 0);
	assert_int_equal(cookies_give(&cookies, secret_of(SECRET), 1, 0), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(check(&cookies, bad[i].cookie, bad[i].source,
					 1559731985 + (uint32_t)bad[i].later, reply),
			COOKIE_BAD);
	assert_int_equal(
		check(&cookies, vectors[2].request, vectors[2].source, 1559727985 + 600, reply),
		COOKIE_GOOD);
	assert_int_equal(
		check(&cookies, vectors[0].reply, vectors[0].source, 1559731985 + 3600, reply),
		COOKIE_GOOD);
	assert_int_equal(
		check(&cookies, vectors[0].reply, vectors[0].source, 1559731985 - 300, reply),
		COOKIE_GOOD);
}

static void made_up_secrets_are_rolled(void **state)
{
	(void)state;
	struct cookies cookies;
	uint8_t first[EDNS_COOKIE_REPLY], second[EDNS_COOKIE_REPLY];
	const uint32_t now = 1559731985, day = 24 * 3600;
	assert_int_equal(cookies_init(&cookies, now), 0);
	struct query query = {.cookie_size = 8, .cookie = "abcdefgh"};
	struct sockaddr_storage source = client("192.0.2.1");
	struct sockaddr *any = (struct sockaddr *)&source;
	assert_int_equal(cookies_check(&cookies, &query, any, now + day - 1, first), COOKIE_CLIENT);
	/* What was given just before the secret changed is still good, and is renewed. */
	query.cookie_size = EDNS_COOKIE_REPLY;
	memcpy(query.cookie, first, EDNS_COOKIE_REPLY);
	assert_int_equal(
		cookies_check(&cookies, &query, any, now + day + 1800, second), COOKIE_GOOD);
	assert_memory_not_equal(first, second, EDNS_COOKIE_REPLY);
	memcpy(query.cookie, second, EDNS_COOKIE_REPLY);
	assert_int_equal(
		cookies_check(&cookies, &query, any, now + day + 1801, first), COOKIE_GOOD);
	/* A young one comes back as it is. */
	assert_memory_equal(first, second, EDNS_COOKIE_REPLY);
	/* Secrets that were given do not change by themselves, and go when they are taken back. */
	assert_int_equal(cookies_give(&cookies, secret_of(SECRET), 1, now), 0);
	cookies_check(&cookies, &query, any, now + 10 * day, first);
	assert_memory_equal(cookies.secret[0], *secret_of(SECRET), DNS_COOKIE_SECRET_SIZE);
	assert_int_equal(cookies_give(&cookies, NULL, 0, now), 0);
	assert_memory_not_equal(cookies.secret[0], *secret_of(SECRET), DNS_COOKIE_SECRET_SIZE);
}

/* --- on the wire --- */

#define COOKIE_OPT(size) " 0001 0001 00 0029 04d0 00000000 " size

static int set_up_cookies(void **state, enum dns_cookie_mode mode)
{
	if (set_up_with(state, &(struct dns_config){.max_waiting = 2, .cookies = mode}) < 0)
		return -1;
	struct world *world = *state;
	return cookies_give(&world->responder.cookies, secret_of(SECRET), 1, 0);
}

static int set_up_on(void **state)
{
	return set_up_cookies(state, DNS_COOKIES_ON);
}

static int set_up_required(void **state)
{
	return set_up_cookies(state, DNS_COOKIES_REQUIRED);
}

static int set_up_off(void **state)
{
	return set_up_cookies(state, DNS_COOKIES_OFF);
}

/* Sends a query with the cookie and returns its answer's RCODE; the answer's cookie is written to
 * `reply` where there is one. */
static unsigned exchange(struct world *world, const uint8_t *cookie, size_t size, uint8_t *reply)
{
	uint8_t query[128], out[ANSWER_MAX_TCP];
	size_t at = bytes_read(HEAD_EDNS WWW COOKIE_OPT("0000"), query, sizeof(query));
	wire_put16(query + at - 2, (uint16_t)(4 + size));
	wire_put16(query + at, DNS_OPTION_COOKIE);
	wire_put16(query + at + 2, (uint16_t)size);
	memcpy(query + at + 4, cookie, size);
	size_t got = ask_bytes(world, query, at + 4 + size, out);
	const uint8_t *opt = out + got - 11 - 28;
	if (got >= 12 + 22 + 11 + 28 && wire_get16(opt + 1) == DNS_TYPE_OPT &&
		memcmp(opt + 9, "\0\x1c\0\x0a\0\x18", 6) == 0)
		memcpy(reply, opt + 15, EDNS_COOKIE_REPLY);
	else
		opt = out + got - 11;
	assert_int_equal(wire_get16(opt + 1), DNS_TYPE_OPT);
	return (unsigned)opt[5] << 4 | (out[3] & 0x0f);
}

static void a_cookie_is_given_and_taken(void **state)
{
	struct world *world = *state;
	uint8_t first[EDNS_COOKIE_REPLY] = {0}, second[EDNS_COOKIE_REPLY] = {0};
	assert_int_equal(exchange(world, (const uint8_t *)"abcdefgh", 8, first), 0);
	assert_memory_equal(first, "abcdefgh\1\0\0\0", 12);
	assert_false(world->daemon.asked.verified);
	assert_int_equal(exchange(world, first, sizeof(first), second), 0);
	assert_memory_equal(first, second, sizeof(first));
	assert_true(world->daemon.asked.verified);
	/* A false one is no mistake of the client's: it gets its answer, and a good one. */
	second[20] ^= 1;
	uint8_t third[EDNS_COOKIE_REPLY] = {0};
	assert_int_equal(exchange(world, second, sizeof(second), third), 0);
	assert_memory_equal(third, first, 12);
	assert_false(world->daemon.asked.verified);
	assert_int_equal(world->responder.counters.cookies_good, 1);
	assert_int_equal(world->responder.counters.cookies_bad, 1);
	/* Malformed is malformed. */
	expect(world, HEAD_EDNS WWW COOKIE_OPT("0005 000a 0001 00"),
		"1234 8101 0001 0000 0000 0000" WWW "0001 0001");
}

static void a_cookie_may_be_required(void **state)
{
	struct world *world = *state;
	uint8_t first[EDNS_COOKIE_REPLY] = {0}, second[EDNS_COOKIE_REPLY] = {0};
	assert_int_equal(
		exchange(world, (const uint8_t *)"abcdefgh", 8, first), DNS_RCODE_BADCOOKIE);
	assert_int_equal(world->daemon.count, 0);
	assert_int_equal(exchange(world, first, sizeof(first), second), 0);
	assert_int_equal(world->daemon.count, 1);
	first[16] ^= 0x80;
	assert_int_equal(exchange(world, first, sizeof(first), second), DNS_RCODE_BADCOOKIE);
	/* Without one: over TCP, please. */
	expect(world, HEAD WWW "0001 0001", "1234 8300 0001 0000 0000 0000" WWW "0001 0001");
	assert_int_equal(world->daemon.count, 1);
	world->client.tcp = (struct tcp_connection *)(uintptr_t)8;
	assert_int_equal(exchange(world, first, sizeof(first), second), 0);
	expect(world, HEAD WWW "0001 0001",
		"1234 8500 0001 0001 0000 0000" WWW "0001 0001 c00c 0001 0001 00000005 0004 "
		"0a4d0005");
}

static void cookies_may_be_off(void **state)
{
	struct world *world = *state;
	expect(world, HEAD_EDNS WWW COOKIE_OPT("000c 000a 0008 'abcdefgh'"),
		"1234 8500 0001 0001 0000 0001" WWW
		"0001 0001 c00c 0001 0001 00000005 0004 0a4d0005" OPT);
}

static void a_late_answer_has_its_cookie(void **state)
{
	struct world *world = *state;
	uint8_t query[128], out[ANSWER_MAX_UDP];
	world->daemon.reply = DNS_REPLY_LATER;
	size_t size = bytes_read(
		HEAD_EDNS WWW COOKIE_OPT("000c 000a 0008 'abcdefgh'"), query, sizeof(query));
	assert_int_equal(ask_bytes(world, query, size, out), 0);
	const struct waiting_query *entry =
		waiting_find(&world->responder.waiting, world->daemon.asked.id);
	assert_non_null(entry);
	size = respond_later(&world->responder, entry,
		&(struct late_answer){.reply = DNS_REPLY_ADDRESS}, 512, out);
	assert_memory_equal(out + size - 28,
		"\0\x0a\0\x18"
		"abcdefgh\1\0\0\0",
		16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_of_the_standard),
		cmocka_unit_test(what_is_not_ours_is_bad),
		cmocka_unit_test(made_up_secrets_are_rolled),
		cmocka_unit_test_setup_teardown(a_cookie_is_given_and_taken, set_up_on, tear_down),
		cmocka_unit_test_setup_teardown(
			a_cookie_may_be_required, set_up_required, tear_down),
		cmocka_unit_test_setup_teardown(cookies_may_be_off, set_up_off, tear_down),
		cmocka_unit_test_setup_teardown(a_late_answer_has_its_cookie, set_up_on, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
