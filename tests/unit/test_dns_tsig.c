/* SPDX-License-Identifier: ISC */
#include <arpa/inet.h>
#include <ldns/ldns.h>

#include "base/units.h"
#include "tests/dns/world.h"

/* Signed queries (RFC 8945) of a responder without sockets; ldns verifies what comes back. */

#define KEY       "\3xfr\7example\4test"
#define SECRET    "0123456789abcdef0123456789abcdef"
#define SECRET64  "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define KEY_TEXT  "xfr.example.test."
/* Key, fixed fields, algorithm, and the data around a MAC of 32 bytes. */
#define TSIG_SIZE (sizeof(KEY) + 10 + 13 + 16 + 32)

static int set_up_keys(void **state)
{
	struct dns_tsig_key key = {.name = "XFR.example.test.", .secret_size = 32};
	memcpy(key.secret, SECRET, 32);
	if (set_up_with(state, &(struct dns_config){.max_waiting = 2, .identity = "ns1"}) < 0)
		return -1;
	struct world *world = *state;
	return tsig_keys_init(&world->responder.names.tsig_keys, &key, 1, NULL);
}

static void be_tcp(struct world *world)
{
	world->client.tcp = (struct tcp_connection *)(uintptr_t)8;
}

static uint64_t now(void)
{
	return clock_real() / NS_PER_S;
}

/* A client's view of its key. */
static struct tsig client_key(void)
{
	struct tsig tsig = {.name_size = sizeof(KEY), .secret_size = 32, .first = true};
	memcpy(tsig.name, KEY, sizeof(KEY));
	memcpy(tsig.secret, SECRET, 32);
	return tsig;
}

struct exchange {
	uint8_t query[4096], answer[RESPOND_MAX_TCP];
	size_t query_size, answer_size;
	uint8_t mac[TSIG_MAC_SIZE]; /* of the query */
	size_t mac_size;
};

static void sign(struct exchange *exchange, struct tsig *key, uint64_t time)
{
	exchange->query_size = tsig_sign(key, exchange->query, exchange->query_size, time);
	assert_true(exchange->query_size > 0);
	memcpy(exchange->mac, key->mac, TSIG_MAC_SIZE);
	exchange->mac_size = TSIG_MAC_SIZE;
}

static void send_it(struct world *world, struct exchange *exchange)
{
	exchange->answer_size =
		ask_bytes(world, exchange->query, exchange->query_size, exchange->answer);
}

/* Asks with a good signature. */
static void ask_signed(struct world *world, const char *query, struct exchange *exchange)
{
	struct tsig key = client_key();
	exchange->query_size = bytes_read(query, exchange->query, sizeof(exchange->query));
	sign(exchange, &key, now());
	send_it(world, exchange);
}

static ldns_pkt *read_answer(const struct exchange *exchange)
{
	ldns_pkt *packet = NULL;
	assert_int_equal(
		ldns_wire2pkt(&packet, exchange->answer, exchange->answer_size), LDNS_STATUS_OK);
	return packet;
}

/* Whether the signature of the answer is good. */
static bool verifies(const struct exchange *exchange, ldns_pkt *packet)
{
	uint8_t data[2 + TSIG_MAC_SIZE];
	wire_put16(data, (uint16_t)exchange->mac_size);
	memcpy(data + 2, exchange->mac, exchange->mac_size);
	ldns_rdf *mac =
		ldns_rdf_new_frm_data(LDNS_RDF_TYPE_INT16_DATA, 2 + exchange->mac_size, data);
	bool good =
		ldns_pkt_tsig(packet) && ldns_pkt_tsig_verify(packet, exchange->answer,
						 exchange->answer_size, KEY_TEXT, SECRET64, mac);
	ldns_rdf_deep_free(mac);
	return good;
}

static unsigned number(const ldns_pkt *packet, size_t field)
{
	return ldns_rdf2native_int16(ldns_rr_rdf(ldns_pkt_tsig(packet), field));
}

static size_t mac_of(const ldns_pkt *packet)
{
	return ldns_rdf_size(ldns_rr_rdf(ldns_pkt_tsig(packet), 3)) - 2;
}

static void whatever_is_asked_is_signed(void **state)
{
	static const struct {
		const char *what, *query;
		unsigned rcode, answers;
	} cases[] = {
		{"SOA of a zone", HEAD EXAMPLE "0006 0001", DNS_RCODE_NOERROR, 1},
		{"SOA with EDNS", HEAD_EDNS EXAMPLE "0006 0001" OPT, DNS_RCODE_NOERROR, 1},
		{"a service", HEAD WWW "0001 0001", DNS_RCODE_NOERROR, 1},
		{"nothing", HEAD "04'nope'" EXAMPLE "0001 0001", DNS_RCODE_NXDOMAIN, 0},
		{"another's", HEAD "03'net'00 0001 0001", DNS_RCODE_REFUSED, 0},
		{"AXFR over UDP", HEAD EXAMPLE "00fc 0001", DNS_RCODE_REFUSED, 0},
		{"class CH", HEAD "02'id'06'server'00 0010 0003", DNS_RCODE_NOERROR, 1},
		{"EDNS version 1", HEAD_EDNS WWW "0001 0001 00 0029 04d0 00010000 0000", 0, 0},
	};
	struct world *world = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct exchange exchange;
		ask_signed(world, cases[i].query, &exchange);
		ldns_pkt *packet = read_answer(&exchange);
		if (ldns_pkt_get_rcode(packet) != cases[i].rcode ||
			ldns_pkt_ancount(packet) != cases[i].answers)
			fail_msg("%s: rcode %d", cases[i].what, ldns_pkt_get_rcode(packet));
		assert_true(verifies(&exchange, packet));
		/* And with another MAC in front it would not. */
		exchange.mac[0] ^= 1;
		assert_false(verifies(&exchange, packet));
		ldns_pkt_free(packet);
	}
	assert_int_equal(world->responder.counters.malformed, 0);
}

static void nothing_is_signed_that_was_not_asked_so(void **state)
{
	uint8_t out[ANSWER_MAX_UDP];
	assert_true(ask(*state, HEAD EXAMPLE "0006 0001", out) > 0);
	assert_int_equal(wire_get16(out + 10), 0);
}

#define IXFR_SOA                                                                                   \
	"c00c 0006 0001 00000000 0016 00 00 00000001"                                              \
	"00000000 00000000 00000000 00000000"

/* What asks for a transfer over UDP is malformed as over TCP, and only IXFR is answered there. */
static void malformed_transfers(void **state)
{
	struct world *world = *state;
	uint8_t out[ANSWER_MAX_UDP];
	expect(world, "1234 0101 0001 0000 0000 0000" EXAMPLE "00fc 0001",
		"1234 8101 0000 0000 0000 0000");
	expect(world, HEAD EXAMPLE "00fc 0001 00",
		"1234 8101 0001 0000 0000 0000" EXAMPLE "00fc 0001");
	expect(world, HEAD EXAMPLE "00fc 0001",
		"1234 8105 0001 0000 0000 0000" EXAMPLE "00fc 0001");
	assert_true(
		ask(world, "1234 0100 0001 0000 0001 0000" EXAMPLE "00fb 0001" IXFR_SOA, out) > 0);
	assert_int_equal(out[3], DNS_RCODE_REFUSED);
	static const char malformed[] = "1234 8101 0001 0000 0000 0000" EXAMPLE "00fb 0001";
	expect(world, "1234 0101 0001 0000 0001 0000" EXAMPLE "00fb 0001" IXFR_SOA, malformed);
	expect(world, "1234 0100 0001 0000 0001 0002" EXAMPLE "00fb 0001" IXFR_SOA OPT OPT,
		"1234 8101 0001 0000 0000 0001" EXAMPLE "00fb 0001" OPT);
	expect(world, "1234 0100 0001 0000 0001 0000" EXAMPLE "00fb 0001" IXFR_SOA "00", malformed);
}

static void set_mac_size(struct exchange *exchange, size_t size)
{
	size_t mac = exchange->query_size - 6 - TSIG_MAC_SIZE;
	uint8_t tail[6];
	memcpy(tail, exchange->query + exchange->query_size - 6, 6);
	memset(exchange->query + mac + TSIG_MAC_SIZE, 0, 64);
	memcpy(exchange->query + mac + size, tail, 6);
	wire_put16(exchange->query + mac - 2, (uint16_t)size);
	wire_put16(exchange->query + mac - 10 - 13 - 2, (uint16_t)(13 + 16 + size));
	exchange->query_size = mac + size + 6;
	exchange->mac_size = size;
}

/* What goes wrong with a signature, and what is said of it. */
static const struct wrong {
	const char *what;
	unsigned rcode, error;
	bool is_signed, secret, key, algorithm, mac;
	int64_t away;    /* s */
	size_t mac_size; /* 0: whole */
} wrongs[] = {
	{.what = "another secret", .rcode = 9, .error = TSIG_BADSIG, .secret = true},
	{.what = "another key", .rcode = 9, .error = TSIG_BADKEY, .key = true},
	{.what = "another algorithm", .rcode = 9, .error = TSIG_BADKEY, .algorithm = true},
	{.what = "another MAC", .rcode = 9, .error = TSIG_BADSIG, .mac = true},
	{.what = "an hour ago",
		.rcode = 9,
		.error = TSIG_BADTIME,
		.is_signed = true,
		.away = -3600},
	{.what = "in an hour", .rcode = 9, .error = TSIG_BADTIME, .is_signed = true, .away = 3600},
	{.what = "just in time", .away = -290, .is_signed = true},
	{.what = "half a MAC",
		.rcode = 9,
		.error = TSIG_BADTRUNC,
		.is_signed = true,
		.mac_size = 16},
	{.what = "a MAC of 31",
		.rcode = 9,
		.error = TSIG_BADTRUNC,
		.is_signed = true,
		.mac_size = 31},
	{.what = "half a MAC of another secret",
		.rcode = 9,
		.error = TSIG_BADSIG,
		.secret = true,
		.mac_size = 16},
	{.what = "half a MAC, an hour ago",
		.rcode = 9,
		.error = TSIG_BADTIME,
		.is_signed = true,
		.mac_size = 16,
		.away = -3600},
	{.what = "less than half a MAC", .rcode = 1, .mac_size = 15},
	{.what = "more than a MAC", .rcode = 1, .mac_size = 33},
};

static void do_wrong(const struct wrong *wrong, struct exchange *exchange)
{
	struct tsig key = client_key();
	exchange->query_size =
		bytes_read(HEAD EXAMPLE "0006 0001", exchange->query, sizeof(exchange->query));
	size_t begin = exchange->query_size;
	key.secret[0] ^= wrong->secret;
	key.name[1] ^= wrong->key;
	sign(exchange, &key, (uint64_t)((int64_t)now() + wrong->away));
	exchange->query[begin + sizeof(KEY) + 10 + 11] ^= wrong->algorithm;
	if (wrong->mac_size > 0)
		set_mac_size(exchange, wrong->mac_size);
	exchange->query[exchange->query_size - 7] ^= wrong->mac;
}

static void check_wrong(struct world *world, const struct wrong *wrong)
{
	struct exchange exchange;
	do_wrong(wrong, &exchange);
	send_it(world, &exchange);
	ldns_pkt *packet = read_answer(&exchange);
	const ldns_rr *tsig = ldns_pkt_tsig(packet);
	if ((unsigned)ldns_pkt_get_rcode(packet) != wrong->rcode)
		fail_msg("%s: rcode %d", wrong->what, ldns_pkt_get_rcode(packet));
	assert_int_equal(ldns_pkt_ancount(packet), wrong->rcode == 0);
	assert_true((tsig != NULL) == (wrong->rcode != DNS_RCODE_FORMERR));
	if (tsig) {
		if (number(packet, 5) != wrong->error)
			fail_msg("%s: error %u", wrong->what, number(packet, 5));
		assert_int_equal(mac_of(packet), wrong->is_signed ? TSIG_MAC_SIZE : 0);
		if (wrong->is_signed && !verifies(&exchange, packet))
			fail_msg("%s: a bad signature", wrong->what);
		/* Our time, where that was wrong. */
		assert_int_equal(ldns_rdf_size(ldns_rr_rdf(tsig, 6)) - 2,
			wrong->error == TSIG_BADTIME ? 6 : 0);
	}
	/* An error is no larger than what made it, but for the whole MAC and our time. */
	assert_true(wrong->rcode == 0 ||
		    exchange.answer_size <= exchange.query_size + TSIG_MAC_SIZE / 2 + 6);
	ldns_pkt_free(packet);
}

static void errors_are_told(void **state)
{
	struct world *world = *state;
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++)
		check_wrong(world, &wrongs[i]);
	be_tcp(world);
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++)
		check_wrong(world, &wrongs[i]);
}

/* Over UDP without EDNS the records of an answer give way to it. */
static void a_signature_always_fits(void **state)
{
	static const char *const label =
		"3f'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaa'";
	struct world *world = *state;
	char text[1024];
	struct exchange exchange;
	/* Names of 13, 77, 141 and 205 bytes, whose SOA stands in the answer. */
	for (int labels = 0; labels < 4; labels++) {
		snprintf(text, sizeof(text), "%s%s%s%s" EXAMPLE "0001 0001", HEAD,
			labels > 0 ? label : "", labels > 1 ? label : "", labels > 2 ? label : "");
		ask_signed(world, text, &exchange);
		assert_in_range(exchange.answer_size, 1, 512);
		ldns_pkt *packet = read_answer(&exchange);
		assert_true(verifies(&exchange, packet));
		assert_int_equal(ldns_pkt_nscount(packet), labels > 0 && !ldns_pkt_tc(packet));
		ldns_pkt_free(packet);
	}
}

/* The largest question and the largest key: larger than 512 bytes is the query already. */
static void the_largest_question_and_key(void **state)
{
	struct world *world = *state;
	struct tsig key = {.secret_size = 32, .first = true};
	struct dns_tsig_key config = {.secret_size = 32};
	char name[256] = "";
	struct exchange exchange;
	for (int i = 0; i < 127; i++)
		memcpy(name + 2 * i, i == 126 ? "k" : "k.", 2);
	config.name = name;
	memcpy(config.secret, SECRET, 32);
	memcpy(key.secret, SECRET, 32);
	tsig_keys_finish(&world->responder.names.tsig_keys);
	assert_int_equal(tsig_keys_init(&world->responder.names.tsig_keys, &config, 1, NULL), 0);
	key.name_size = 255;
	for (int i = 0; i < 127; i++)
		memcpy(key.name + 2 * i, "\1k", 2);
	exchange.query_size = bytes_query(exchange.query, 1, "example.test", 6);
	uint8_t longest[300];
	size_t at = 0;
	for (int i = 0; i < 120; i++, at += 2)
		memcpy(longest + at, "\1a", 2);
	memcpy(longest + at, "\7example\4test", 14);
	assert_int_equal(at + 14, 254);
	memcpy(exchange.query + 12, longest, 254);
	memcpy(exchange.query + 12 + 254, "\0\6\0\1", 4);
	/* With EDNS of 512 bytes that asks for NSID. */
	memcpy(exchange.query + 12 + 258, "\0\0\51\2\0\0\0\0\0\0\4\0\3\0\0", 15);
	exchange.query[11] = 1;
	exchange.query_size = 12 + 258 + 15;
	sign(&exchange, &key, now());
	send_it(world, &exchange);
	assert_int_equal(wire_get16(exchange.answer + 10), 2);
	assert_true(exchange.answer[2] & DNS_FLAG_TC);
	assert_true(exchange.answer_size <= exchange.query_size);
}

static void late_answers_are_signed(void **state)
{
	struct world *world = *state;
	struct exchange exchange;
	world->daemon.reply = DNS_REPLY_LATER;
	ask_signed(world, HEAD WWW "0001 0001", &exchange);
	assert_int_equal(exchange.answer_size, 0);
	/* Whatever becomes of the key meanwhile. */
	tsig_keys_finish(&world->responder.names.tsig_keys);
	struct waiting_query *entry =
		waiting_find(&world->responder.waiting, world->daemon.asked.id);
	assert_non_null(entry);
	const struct late_answer late = {.reply = DNS_REPLY_ADDRESS};
	exchange.answer_size = respond_later(&world->responder, entry, &late, 512, exchange.answer);
	ldns_pkt *packet = read_answer(&exchange);
	assert_int_equal(ldns_pkt_ancount(packet), 1);
	assert_true(verifies(&exchange, packet));
	ldns_pkt_free(packet);
	/* What an upstream says is cut down where no signature fits behind it. */
	uint8_t passed[512];
	size_t size = bytes_query(passed, 7, "www.example.test", 1);
	passed[2] |= DNS_FLAG_QR;
	const struct late_answer large = {.passed = passed, .passed_size = sizeof(passed)};
	memset(passed + size, 0, sizeof(passed) - size);
	exchange.answer_size =
		respond_later(&world->responder, entry, &large, 512, exchange.answer);
	assert_int_equal(exchange.answer_size, size + TSIG_SIZE);
	packet = read_answer(&exchange);
	assert_true(ldns_pkt_tc(packet) && verifies(&exchange, packet));
	ldns_pkt_free(packet);
	waiting_release(&world->responder.waiting, entry);
	assert_int_equal(entry->tsig.secret[0], 0);
}

/* How many of `count` signed queries of one address are answered with what was asked for. */
static unsigned flood(struct world *world, const char *address, unsigned count)
{
	struct exchange exchange, sent;
	struct tsig key = client_key();
	unsigned good = 0;
	world->client.source.in.sin_addr.s_addr = inet_addr(address);
	sent.query_size = bytes_query(sent.query, 1, "example.test", 6);
	sign(&sent, &key, now());
	for (unsigned i = 0; i < count; i++) {
		exchange = sent;
		send_it(world, &exchange);
		const bool answered = exchange.answer_size > 0;
		const bool verified = answered && (exchange.answer[3] & 15) == DNS_RCODE_NOERROR;
		/* Over TCP all are answered, and those unsigned that were not verified. */
		assert_true(verified || answered == (world->client.tcp != NULL));
		if (answered && !verified) {
			assert_int_equal(exchange.answer[3] & 15, DNS_RCODE_SERVFAIL);
			assert_int_equal(wire_get16(exchange.answer + 10), 0);
		}
		good += verified;
	}
	return good;
}

static void verifying_is_limited(void **state)
{
	struct world *world = *state;
	unsigned good = 0;
	char address[32];
	for (int i = 0; i < 3; i++) {
		snprintf(address, sizeof(address), "192.0.%d.1", 10 + i);
		unsigned some = flood(world, address, 6000);
		assert_true(some <= 5000);
		good += some;
	}
	/* All buckets are of the same instant; the last of a network's 5000 is also the last of all. */
	assert_in_range(good, 9990, 10000);
	assert_int_equal(world->responder.counters.limited, 18000 - good);
	/* Unsigned queries cost none of this, */
	uint8_t out[ANSWER_MAX_UDP];
	assert_true(ask(world, HEAD EXAMPLE "0006 0001", out) > 0);
	/* and who is where it says has more. */
	be_tcp(world);
	assert_int_equal(flood(world, "192.0.20.1", 6000), 5000);
	/* So is who had its address forged. */
	assert_int_equal(flood(world, "192.0.10.1", 100), 100);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_keys, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whatever_is_asked_is_signed),
		TEST(nothing_is_signed_that_was_not_asked_so),
		TEST(malformed_transfers),
		TEST(errors_are_told),
		TEST(a_signature_always_fits),
		TEST(the_largest_question_and_key),
		TEST(late_answers_are_signed),
		TEST(verifying_is_limited),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
