/* SPDX-License-Identifier: ISC */
#include "dns/forward_wire.h"
#include "tests/dns/world.h"

/* The bytes of forwarding; the sockets are in tests/dns/test_forward.c. */

#define NAME "03'www'05'other'03'net'00"

static struct query query_of(const char *text)
{
	static uint8_t bytes[512];
	struct query query;
	assert_int_equal(packet_read(bytes, bytes_read(text, bytes, sizeof(bytes)), &query), 0);
	return query;
}

static void expect_written(
	const char *client, const struct forward_nonce *nonce, bool mix, const char *wanted)
{
	uint8_t out[FORWARD_QUERY_MAX], bytes[FORWARD_QUERY_MAX];
	struct query query = query_of(client);
	size_t size = forward_write_query(&query, nonce, mix, out);
	size_t wanted_size = bytes_read(wanted, bytes, sizeof(bytes));
	if (size != wanted_size || memcmp(out, bytes, size) != 0) {
		print_bytes("got ", out, size);
		print_bytes("want", bytes, wanted_size);
		fail_msg("for %s", client);
	}
}

static void queries_are_ours(void **state)
{
	(void)state;
	const struct forward_nonce none = {.id = 0xbeef};
	const struct forward_nonce all = {.id = 0x0001, .letters = {[0 ... 31] = 0xff}};
	/* Every second byte of the name, with its lengths. */
	const struct forward_nonce some = {.id = 0x0203, .letters = {[0 ... 31] = 0x55}};
	expect_written("1234 0100 0001 0000 0000 0000 03'WwW'05'Other'03'net'00 0001 0001", &none,
		false, "beef 0100 0001 0000 0000 0000 03'WwW'05'Other'03'net'00 0001 0001");
	expect_written("1234 0100 0001 0000 0000 0000 03'WwW'05'Other'03'net'00 0001 0001", &none,
		true, "beef 0100 0001 0000 0000 0000" NAME "0001 0001");
	expect_written("1234 0100 0001 0000 0000 0000" NAME "001c 0001", &all, true,
		"0001 0100 0001 0000 0000 0000 03'WWW'05'OTHER'03'NET'00 001c 0001");
	expect_written("1234 0100 0001 0000 0000 0000" NAME "001c 0001", &some, true,
		"0203 0100 0001 0000 0000 0000 03'wWw'05'oThEr'03'nEt'00 001c 0001");
	/* CD and DO are the client's; its other flags and its options stay with us. */
	expect_written("1234 0130 0001 0000 0000 0001" NAME
		       "0001 0001 00 0029 ffff 00008000 000c 000a 0008 'abcdefgh'",
		&none, false,
		"beef 0110 0001 0000 0000 0001" NAME "0001 0001 00 0029 04d0 00008000 0000");
	expect_written("1234 0120 0001 0000 0000 0001" NAME "0001 0001" OPT, &none, false,
		"beef 0100 0001 0000 0000 0001" NAME "0001 0001" OPT);
	/* Bytes that are no letters stay, whatever they are. */
	expect_written("1234 0100 0001 0000 0000 0000 06'a'4180'@[z'00 0001 0001", &all, true,
		"0001 0100 0001 0000 0000 0000 06'A'4180'@[Z'00 0001 0001");
}

static void answers_are_judged(void **state)
{
	(void)state;
	static const char sent_text[] =
		"1234 0100 0001 0000 0000 0000 03'wWw'05'other'03'neT'00 0001 0001";
#define Q "03'wWw'05'other'03'neT'00 0001 0001"
	static const struct {
		const char *what, *answer;
		enum forward_verdict verdict;
	} samples[] = {
		{"an answer", "1234 8180 0001 0001 0000 0000" Q "c00c", FORWARD_GOOD},
		{"no such name", "1234 8183 0001 0000 0001 0000" Q, FORWARD_GOOD},
		{"cut", "1234 8380 0001 0000 0000 0000" Q, FORWARD_TRUNCATED},
		{"another spelling", "1234 8180 0001 0001 0000 0000" NAME "0001 0001",
			FORWARD_CASE},
		{"SERVFAIL", "1234 8182 0001 0000 0000 0000" Q, FORWARD_FAILED},
		{"REFUSED", "1234 8185 0001 0000 0000 0000" Q, FORWARD_FAILED},
		{"NOTIMP", "1234 8184 0001 0000 0000 0000" Q, FORWARD_FAILED},
		{"FORMERR without a question", "1234 8181 0000 0000 0000 0000", FORWARD_FAILED},
		{"NOERROR without a question", "1234 8180 0000 0000 0000 0000", FORWARD_FOREIGN},
		{"FORMERR without a question but more", "1234 8181 0000 0000 0000 0000 00",
			FORWARD_FOREIGN},
		{"another id", "1235 8180 0001 0001 0000 0000" Q, FORWARD_FOREIGN},
		{"a query", "1234 0180 0001 0001 0000 0000" Q, FORWARD_FOREIGN},
		{"another opcode", "1234 a180 0001 0001 0000 0000" Q, FORWARD_FOREIGN},
		{"another name",
			"1234 8180 0001 0001 0000 0000 03'wWx'05'other'03'neT'00 0001 0001",
			FORWARD_FOREIGN},
		{"a longer name",
			"1234 8180 0001 0001 0000 0000 03'wWw'05'other'03'neT'01'x'00 0001 0001",
			FORWARD_FOREIGN},
		{"another type",
			"1234 8180 0001 0001 0000 0000 03'wWw'05'other'03'neT'00 001c 0001",
			FORWARD_FOREIGN},
		{"another class",
			"1234 8180 0001 0001 0000 0000 03'wWw'05'other'03'neT'00 0001 0003",
			FORWARD_FOREIGN},
		{"a type of another case",
			"1234 8180 0001 0001 0000 0000 03'wWw'05'other'03'neT'00 0021 0001",
			FORWARD_FOREIGN},
		{"two questions", "1234 8180 0002 0001 0000 0000" Q Q, FORWARD_FOREIGN},
		{"a cut question",
			"1234 8180 0001 0001 0000 0000 03'wWw'05'other'03'neT'00 0001 00",
			FORWARD_FOREIGN},
		{"a header", "1234 8180 0001 0000 0000 0000", FORWARD_FOREIGN},
		{"less than that", "1234 8180 0001 0000 0000 00", FORWARD_FOREIGN},
	};
	uint8_t sent[64], bytes[128];
	bytes_read(sent_text, sent, sizeof(sent));
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		size_t size = bytes_read(samples[i].answer, bytes, sizeof(bytes));
		uint8_t *exact = malloc(size);
		assert_non_null(exact);
		memcpy(exact, bytes, size);
		enum forward_verdict verdict = forward_read_answer(sent, exact, size);
		if (verdict != samples[i].verdict)
			fail_msg("%s: %d", samples[i].what, verdict);
		free(exact);
	}
#undef Q
}

static void expect_passed(const char *client, const char *answer, size_t limit, const char *wanted)
{
	uint8_t in[1024], out[1024], bytes[1024];
	struct query query = query_of(client);
	size_t size = bytes_read(answer, in, sizeof(in));
	size = forward_pass(&query, in, size, limit, out);
	size_t wanted_size = bytes_read(wanted, bytes, sizeof(bytes));
	if (size != wanted_size || memcmp(out, bytes, size) != 0) {
		print_bytes("got ", out, size);
		print_bytes("want", bytes, wanted_size);
		fail_msg("for %s", answer);
	}
}

static void answers_are_the_clients(void **state)
{
	(void)state;
	static const char client[] = "4321 0100 0001 0000 0000 0000 03'WWW'05'Other'03'net'00 0001 "
				     "0001";
#define RECORDS "c00c 0001 0001 00000005 0004 c0000201 'whatever else is there'"
	expect_passed(client,
		"1234 81b0 0001 0001 0000 0001 03'wWw'05'other'03'neT'00 0001 0001" RECORDS, 512,
		"4321 81b0 0001 0001 0000 0001 03'WWW'05'Other'03'net'00 0001 0001" RECORDS);
	/* RD is the client's. */
	expect_passed("4321 0000 0001 0000 0000 0000" NAME "0001 0001",
		"1234 8183 0001 0000 0000 0000 03'wWw'05'other'03'neT'00 0001 0001", 512,
		"4321 8083 0001 0000 0000 0000" NAME "0001 0001");
	/* What does not fit is not said, and that is. */
	expect_passed(client,
		"1234 8180 0001 0001 0000 0001 03'wWw'05'other'03'neT'00 0001 0001" RECORDS, 60,
		"4321 8380 0001 0000 0000 0000 03'WWW'05'Other'03'net'00 0001 0001");
	/* A failure without a question gets it back. */
	expect_passed(client, "1234 8181 0000 0000 0000 0000", 512,
		"4321 8181 0001 0000 0000 0000 03'WWW'05'Other'03'net'00 0001 0001");
#undef RECORDS
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queries_are_ours),
		cmocka_unit_test(answers_are_judged),
		cmocka_unit_test(answers_are_the_clients),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
