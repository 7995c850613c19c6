/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <string.h>

#include "dns/packet.h"
#include "dns/wire.h"
#include "tests/dns/bytes.h"

#define ONE          "1234 0100 0001 0000 0000 0000"
#define ONE_OPT      "1234 0100 0001 0000 0000 0001"
#define TWO_OPT      "1234 0100 0001 0000 0000 0002"
#define WWW          "03'www'07'example'04'test'00"
#define Q            WWW " 0001 0001"
#define OPT          " 00 0029 04d0 00000000 0000"
#define OPT_OF(size) " 00 0029 04d0 00000000 " size " "
#define HALF         " 0123456789abcdef "
#define LABEL_63     "3f'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk'"
#define LABEL_61     "3d'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghi'"
#define TSIG         " 03'key'00 00fa 00ff 00000000 0000"

struct sample {
	const char *what, *packet;
	int verdict;
	uint16_t type, payload;
	bool edns, dnssec_ok;
};

static const struct sample good[] = {
	{"a plain query", ONE Q, 0, 1, 512},
	{"the root's name", ONE "00 0002 0001", 0, 2, 512},
	{"AAAA", ONE WWW "001c 0001", 0, 28, 512},
	{"an unknown type", ONE WWW "ff00 0001", 0, 0xff00, 512},
	{"reserved bits and AD and CD", "1234 0170 0001 0000 0000 0000" Q, 0, 1, 512},
	{"AA and TC of no meaning", "1234 0700 0001 0000 0000 0000" Q, 0, 1, 512},
	{"any octet in a label", ONE "04 002e ff c0 00 0001 0001", 0, 1, 512},
	{"a label of 63", ONE LABEL_63 "00 0001 0001", 0, 1, 512},
	{"a name of 255", ONE LABEL_63 LABEL_63 LABEL_63 LABEL_61 "00 0001 0001", 0, 1, 512},
	{"EDNS", ONE_OPT Q OPT, 0, 1, 1232, true},
	{"a small payload counts as 512", ONE_OPT Q "00 0029 0010 00000000 0000", 0, 1, 512, true},
	{"a large payload", ONE_OPT Q "00 0029 ffff 00000000 0000", 0, 1, 65535, true},
	{"DO", ONE_OPT Q "00 0029 04d0 00008000 0000", 0, 1, 1232, true, true},
	{"other EDNS flags", ONE_OPT Q "00 0029 04d0 00007fff 0000", 0, 1, 1232, true},
	{"options", ONE_OPT Q "00 0029 04d0 00000000 000a 000c 0002 0000 0003 0000", 0, 1, 1232,
		true},
	{"options of no meaning",
		ONE_OPT Q "00 0029 04d0 00000000 000d fde9 0003 010203 0003 0002 "
			  "6162",
		0, 1, 1232, true},
	{"a client's cookie", ONE_OPT Q OPT_OF("000c") "000a 0008" HALF, 0, 1, 1232, true},
	{"the shortest cookie", ONE_OPT Q OPT_OF("0014") "000a 0010" HALF HALF, 0, 1, 1232, true},
	{"the longest cookie", ONE_OPT Q OPT_OF("002c") "000a 0028" HALF HALF HALF HALF HALF, 0, 1,
		1232, true},
	{"two cookies", ONE_OPT Q OPT_OF("0018") "000a 0008" HALF "000a 0008" HALF, 0, 1, 1232,
		true},
	{"a keepalive with a timeout", ONE_OPT Q OPT_OF("0006") "000b 0002 0064", 0, 1, 1232, true},
};

static const struct sample bad[] = {
	{"another opcode", "1234 2900 0001 0000 0000 0000" Q, DNS_RCODE_NOTIMP},
	{"another opcode, nothing else", "1234 2100 0000 0000 0000 0000", DNS_RCODE_NOTIMP},
	{"no question", "1234 0100 0000 0000 0000 0000", DNS_RCODE_FORMERR},
	{"no question, but one there", "1234 0100 0000 0000 0000 0000" Q, DNS_RCODE_FORMERR},
	{"two questions", "1234 0100 0002 0000 0000 0000" Q Q, DNS_RCODE_FORMERR},
	{"an answer", "1234 0100 0001 0001 0000 0000" Q, DNS_RCODE_FORMERR},
	{"an authority", "1234 0100 0001 0000 0001 0000" Q, DNS_RCODE_FORMERR},
	{"an RCODE", "1234 0103 0001 0000 0000 0000" Q, DNS_RCODE_FORMERR},
	{"a missing question", ONE, DNS_RCODE_FORMERR},
	{"a cut name", ONE "03'www'07'exam'", DNS_RCODE_FORMERR},
	{"a name without an end", ONE "03'www'", DNS_RCODE_FORMERR},
	{"no type", ONE WWW, DNS_RCODE_FORMERR},
	{"half a class", ONE WWW "0001 00", DNS_RCODE_FORMERR},
	{"a byte too many", ONE Q "00", DNS_RCODE_FORMERR},
	{"a pointer", ONE "c00c 0001 0001", DNS_RCODE_FORMERR},
	{"a pointer behind a label", ONE "03'www' c00c 0001 0001", DNS_RCODE_FORMERR},
	{"a label of type 01", ONE "41'a'00 0001 0001", DNS_RCODE_FORMERR},
	{"a label of 64", ONE "40" LABEL_63 "00 0001 0001", DNS_RCODE_FORMERR},
	{"a name of 256",
		ONE LABEL_63 LABEL_63 LABEL_63 "3e'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuv"
					       "wxyzabcdefghij'00 0001 0001",
		DNS_RCODE_FORMERR},
	{"type 0", ONE WWW "0000 0001", DNS_RCODE_FORMERR},
	{"type OPT", ONE WWW "0029 0001", DNS_RCODE_FORMERR},
	{"TKEY", ONE WWW "00f9 0001", DNS_RCODE_REFUSED},
	{"TSIG as a type", ONE WWW "00fa 0001", DNS_RCODE_REFUSED},
	{"IXFR", ONE WWW "00fb 0001", DNS_RCODE_REFUSED},
	{"AXFR", ONE WWW "00fc 0001", DNS_RCODE_REFUSED},
	{"MAILB", ONE WWW "00fd 0001", DNS_RCODE_REFUSED},
	{"MAILA", ONE WWW "00fe 0001", DNS_RCODE_REFUSED},
	{"class CH", ONE WWW "0010 0003", DNS_RCODE_REFUSED},
	{"class ANY", ONE WWW "0001 00ff", DNS_RCODE_REFUSED},
	{"class 0", ONE WWW "0001 0000", DNS_RCODE_REFUSED},
	{"OPT missing", ONE_OPT Q, DNS_RCODE_FORMERR},
	{"OPT not announced", ONE Q OPT, DNS_RCODE_FORMERR},
	{"two OPT", TWO_OPT Q OPT OPT, DNS_RCODE_FORMERR},
	{"OPT in the answer section", "1234 0100 0001 0001 0000 0000" Q OPT, DNS_RCODE_FORMERR},
	{"OPT in the authority section", "1234 0100 0001 0000 0001 0000" Q OPT, DNS_RCODE_FORMERR},
	{"OPT with an owner", ONE_OPT Q "01'a'00 0029 04d0 00000000 0000", DNS_RCODE_FORMERR},
	{"OPT with a pointer as its owner", ONE_OPT Q "c00c 0029 04d0 00000000 0000",
		DNS_RCODE_FORMERR},
	{"OPT cut in its head", ONE_OPT Q "00 0029 04d0 00000000 00", DNS_RCODE_FORMERR},
	{"OPT longer than the packet", ONE_OPT Q "00 0029 04d0 00000000 0001", DNS_RCODE_FORMERR},
	{"OPT shorter than the packet", ONE_OPT Q OPT "00", DNS_RCODE_FORMERR},
	{"an option's head cut", ONE_OPT Q "00 0029 04d0 00000000 0003 000c 00", DNS_RCODE_FORMERR},
	{"an option too long", ONE_OPT Q "00 0029 04d0 00000000 0005 000c 0002 00",
		DNS_RCODE_FORMERR},
	{"an empty cookie", ONE_OPT Q OPT_OF("0004") "000a 0000", DNS_RCODE_FORMERR},
	{"a cookie of 7", ONE_OPT Q OPT_OF("000b") "000a 0007 01020304050607", DNS_RCODE_FORMERR},
	{"a cookie of 9", ONE_OPT Q OPT_OF("000d") "000a 0009" HALF "00", DNS_RCODE_FORMERR},
	{"a cookie of 15", ONE_OPT Q OPT_OF("0013") "000a 000f" HALF "01020304050607",
		DNS_RCODE_FORMERR},
	{"a cookie of 41", ONE_OPT Q OPT_OF("002d") "000a 0029" HALF HALF HALF HALF HALF "00",
		DNS_RCODE_FORMERR},
	{"a good cookie and a bad one", ONE_OPT Q OPT_OF("0011") "000a 0008" HALF "000a 0001 00",
		DNS_RCODE_FORMERR},
	{"an A record in the additional section", ONE_OPT Q "00 0001 0001 00000000 0004 7f000001",
		DNS_RCODE_FORMERR},
	{"SIG(0)", ONE_OPT Q "00 0018 00ff 00000000 0000", DNS_RCODE_REFUSED},
	{"TSIG and a byte", ONE_OPT Q TSIG "00", DNS_RCODE_FORMERR},
	{"TSIG and an A", TWO_OPT Q TSIG "00 0001 0001 00000000 0000", DNS_RCODE_FORMERR},
	{"TSIG in front of OPT", TWO_OPT Q TSIG OPT, DNS_RCODE_FORMERR},
	{"TSIG twice", TWO_OPT Q TSIG TSIG, DNS_RCODE_FORMERR},
	{"TSIG of a pointer", ONE_OPT Q "c00c 00fa 00ff 00000000 0000", DNS_RCODE_FORMERR},
	{"65535 records", "1234 0100 0001 0000 0000 ffff" Q OPT, DNS_RCODE_FORMERR},
};

static const struct sample edns_kept[] = {
	{"version 1", ONE_OPT Q "00 0029 04d0 00010000 0000", DNS_RCODE_BADVERS, 1, 1232, true},
	{"version 255 with DO and unknown options", ONE_OPT Q "00 0029 04d0 00ff8000 0003 abcdef",
		DNS_RCODE_BADVERS, 1, 1232, true, true},
	{"class CH with EDNS", ONE_OPT WWW "0010 0003" OPT, DNS_RCODE_REFUSED, 16, 1232, true},
};

/* In memory of its exact size, so that a sanitizer sees a read beyond it. */
static int read_sample(const struct sample *sample, struct query *query, uint8_t **bytes)
{
	uint8_t buffer[1024];
	size_t size = bytes_read(sample->packet, buffer, sizeof(buffer));
	*bytes = malloc(size);
	assert_non_null(*bytes);
	memcpy(*bytes, buffer, size);
	return packet_read(*bytes, size, query);
}

static void check(const struct sample *sample)
{
	struct query query;
	uint8_t *bytes;
	int verdict = read_sample(sample, &query, &bytes);
	if (verdict != sample->verdict || query.type != sample->type ||
		query.payload != sample->payload || query.edns != sample->edns ||
		query.dnssec_ok != sample->dnssec_ok)
		fail_msg("%s: verdict %d type %u payload %u edns %d do %d", sample->what, verdict,
			query.type, query.payload, query.edns, query.dnssec_ok);
	assert_int_equal(query.id, 0x1234);
	assert_int_equal(query.flags, 0x01);
	assert_ptr_equal(query.question, bytes + DNS_HEADER_SIZE);
	assert_int_equal(query.question_size, query.name_size + 4);
	free(bytes);
}

static void good_queries_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		check(&good[i]);
	for (size_t i = 0; i < sizeof(edns_kept) / sizeof(edns_kept[0]); i++)
		check(&edns_kept[i]);
}

static void bad_queries_are_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct query query;
		uint8_t *bytes;
		int verdict = read_sample(&bad[i], &query, &bytes);
		if (verdict != bad[i].verdict)
			fail_msg("%s: %d, not %d", bad[i].what, verdict, bad[i].verdict);
		assert_int_equal(query.id, 0x1234);
		assert_false(query.edns);
		assert_int_equal(query.cookie_size, 0);
		assert_int_equal(query.tsig, 0);
		free(bytes);
	}
}

static void a_signature_is_found(void **state)
{
	(void)state;
	static const struct sample signed_ones[] = {
		{"TSIG alone", ONE_OPT Q TSIG, 0, 1, 512},
		{"TSIG behind OPT", TWO_OPT Q OPT TSIG, 0, 1, 1232, true},
		{"TSIG of a query for AXFR", ONE_OPT WWW "00fc 0001" TSIG, DNS_RCODE_REFUSED, 252,
			512},
	};
	for (size_t i = 0; i < sizeof(signed_ones) / sizeof(signed_ones[0]); i++) {
		struct query query;
		uint8_t *bytes;
		check(&signed_ones[i]);
		read_sample(&signed_ones[i], &query, &bytes);
		/* Where its key's name begins. */
		assert_memory_equal(bytes + query.tsig, "\3key", 5);
		free(bytes);
	}
}

static void options_are_read(void **state)
{
	(void)state;
	const struct sample sample = {"options",
		ONE_OPT Q OPT_OF("0028") "000b 0000 000a 0008" HALF
					 "000a 0010 'another cookie !' 0003 0000"};
	struct query query;
	uint8_t *bytes;
	assert_int_equal(read_sample(&sample, &query, &bytes), 0);
	assert_int_equal(query.wants, QUERY_WANTS_NSID | QUERY_WANTS_KEEPALIVE);
	assert_int_equal(query.cookie_size, 8);
	assert_memory_equal(query.cookie, "\x01\x23\x45\x67\x89\xab\xcd\xef", 8);
	free(bytes);
}

static void answers_and_scraps_are_dropped(void **state)
{
	(void)state;
	uint8_t bytes[64];
	struct query query;
	size_t size = bytes_read("1234 8100 0001 0000 0000 0000" Q, bytes, sizeof(bytes));
	assert_int_equal(packet_read(bytes, size, &query), PACKET_DROP);
	bytes[2] |= 0x28; /* also of another opcode */
	assert_int_equal(packet_read(bytes, size, &query), PACKET_DROP);
	bytes[2] = 0;
	for (size_t cut = 0; cut < DNS_HEADER_SIZE; cut++)
		assert_int_equal(packet_read(bytes, cut, &query), PACKET_DROP);
}

static void every_cut_is_malformed(void **state)
{
	(void)state;
	uint8_t bytes[128];
	size_t size = bytes_read(ONE_OPT Q "00 0029 04d0 00000000 000a 000c 0002 0000 0003 0000",
		bytes, sizeof(bytes));
	for (size_t cut = DNS_HEADER_SIZE; cut < size; cut++) {
		struct query query;
		uint8_t *exact = malloc(cut);
		assert_non_null(exact);
		memcpy(exact, bytes, cut);
		assert_int_equal(packet_read(exact, cut, &query), DNS_RCODE_FORMERR);
		free(exact);
	}
}

static void opcode_and_rd_are_kept(void **state)
{
	(void)state;
	uint8_t bytes[64];
	struct query query;
	size_t size = bytes_read("beef 7800 0001 0000 0000 0000" Q, bytes, sizeof(bytes));
	assert_int_equal(packet_read(bytes, size, &query), DNS_RCODE_NOTIMP);
	assert_int_equal(query.id, 0xbeef);
	assert_int_equal(query.flags, 0x78);
	assert_int_equal(query.question_size, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_queries_are_read),
		cmocka_unit_test(bad_queries_are_named),
		cmocka_unit_test(a_signature_is_found),
		cmocka_unit_test(options_are_read),
		cmocka_unit_test(answers_and_scraps_are_dropped),
		cmocka_unit_test(every_cut_is_malformed),
		cmocka_unit_test(opcode_and_rd_are_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
