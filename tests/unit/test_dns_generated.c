/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <string.h>

#include "dns/packet.h"
#include "dns/wire.h"
#include "tests/fuzz/judge.h"
#include "tests/unit/random.h"

/*
 * Packets that are made at random, with at most one defect each, of which the maker knows: what has
 * none must be taken, and mean to ldns what it means to us; what has one must not be.
 */
#define MAX_SIZE 4096

enum defect {
	DEFECT_NONE,
	DEFECT_ANSWER, /* QR */
	DEFECT_OPCODE,
	DEFECT_RCODE,
	DEFECT_QUESTIONS, /* a count that is not one */
	DEFECT_COUNTS,    /* records where none may be */
	DEFECT_POINTER,   /* in the name */
	DEFECT_LABEL,     /* of another type */
	DEFECT_LONG,      /* a name of more than 255 */
	DEFECT_CLASS,
	DEFECT_TYPE,
	DEFECT_TWO_OPT,
	DEFECT_OWNER,  /* an OPT that is not the root's */
	DEFECT_OPTION, /* one that does not fit */
	DEFECT_COOKIE,
	DEFECT_VERSION,
	DEFECT_RECORD, /* in the additional section, and no OPT */
	DEFECT_CUT,
	DEFECT_MORE, /* bytes behind the end */
	DEFECTS,
};

static const int verdicts[DEFECTS] = {
	[DEFECT_ANSWER] = PACKET_DROP,
	[DEFECT_OPCODE] = DNS_RCODE_NOTIMP,
	[DEFECT_CLASS] = DNS_RCODE_REFUSED,
	[DEFECT_VERSION] = DNS_RCODE_BADVERS,
};

struct maker {
	struct random random;
	enum defect defect;
	uint8_t bytes[MAX_SIZE];
	size_t size;
	bool edns;
};

static uint64_t below(struct maker *maker, uint64_t limit)
{
	return random_below(&maker->random, limit);
}

static void put8(struct maker *maker, uint64_t value)
{
	maker->bytes[maker->size++] = (uint8_t)value;
}

static void put16(struct maker *maker, uint64_t value)
{
	put8(maker, value >> 8);
	put8(maker, value);
}

static void put_random(struct maker *maker, size_t size)
{
	while (size-- > 0)
		put8(maker, random_next(&maker->random));
}

/* At most 255 bytes in all. */
static void put_name(struct maker *maker)
{
	size_t begin = maker->size, labels = below(maker, 6);
	if (maker->defect == DEFECT_LONG)
		for (int i = 0; i < 5; i++) {
			put8(maker, 50 + below(maker, 14));
			put_random(maker, maker->bytes[maker->size - 1]);
		}
	while (labels-- > 0) {
		size_t length = 1 + below(maker, below(maker, 4) ? 12 : 63);
		if (maker->size - begin + length + 2 > NAME_MAX_SIZE)
			break;
		put8(maker, length);
		put_random(maker, length);
	}
	if (maker->defect == DEFECT_POINTER)
		put16(maker, DNS_POINTER | below(maker, 40));
	else if (maker->defect == DEFECT_LABEL)
		put8(maker, 0x40 + below(maker, 0x80));
	else
		put8(maker, 0);
}

static uint16_t make_type(struct maker *maker)
{
	static const uint16_t usual[] = {
		1, 2, 5, 6, 12, 15, 16, 28, 33, 43, 48, 64, 65, 255, 256, 999};
	static const uint16_t bad[] = {0, 41, 249, 250, 251, 252, 253, 254};
	if (maker->defect == DEFECT_TYPE)
		return bad[below(maker, sizeof(bad) / sizeof(bad[0]))];
	return usual[below(maker, sizeof(usual) / sizeof(usual[0]))];
}

/* A size that a cookie can have, or cannot. */
static size_t cookie_size(struct maker *maker, bool good)
{
	size_t size;
	do
		size = below(maker, 60);
	while ((size == 8 || (size >= 16 && size <= 40)) != good);
	return size;
}

static void put_option(struct maker *maker)
{
	uint16_t code = (uint16_t)(below(maker, 3) ? 1 + below(maker, 20) : below(maker, 65536));
	size_t size = code == DNS_OPTION_COOKIE ? cookie_size(maker, true) : below(maker, 40);
	put16(maker, code);
	put16(maker, size);
	put_random(maker, size);
}

static void put_options(struct maker *maker)
{
	for (uint64_t count = below(maker, 4); count > 0; count--)
		put_option(maker);
	if (maker->defect == DEFECT_COOKIE) {
		size_t size = cookie_size(maker, false);
		put16(maker, DNS_OPTION_COOKIE);
		put16(maker, size);
		put_random(maker, size);
	} else if (maker->defect == DEFECT_OPTION) {
		size_t size = 1 + below(maker, 20);
		bool head = below(maker, 2);
		put16(maker, 65001);
		put8(maker, 0);
		if (head) {
			put8(maker, size);
			put_random(maker, below(maker, size));
		}
	}
}

static void put_opt(struct maker *maker)
{
	if (maker->defect == DEFECT_OWNER) {
		put8(maker, 1);
		put8(maker, 'x');
	}
	put8(maker, 0);
	put16(maker, DNS_TYPE_OPT);
	put16(maker, below(maker, 65536));
	put8(maker, 0);
	put8(maker, maker->defect == DEFECT_VERSION ? 1 + below(maker, 255) : 0);
	put16(maker, below(maker, 65536));
	size_t length = maker->size;
	put16(maker, 0);
	put_options(maker);
	wire_put16(maker->bytes + length, (uint16_t)(maker->size - length - 2));
}

static void put_record(struct maker *maker)
{
	size_t size = below(maker, 20);
	put8(maker, 0);
	put16(maker, 1 + below(maker, 20));
	put16(maker, 1);
	put_random(maker, 4);
	put16(maker, size);
	put_random(maker, size);
}

static void put_header(struct maker *maker)
{
	put_random(maker, 2);
	/* AA, TC and RD, RA, Z, AD and CD mean nothing to us. */
	put8(maker, below(maker, 8));
	put8(maker, below(maker, 16) << 4);
	put16(maker, 1);
	put16(maker, 0);
	put16(maker, 0);
	put16(maker, 0);
	uint8_t *header = maker->bytes;
	if (maker->defect == DEFECT_ANSWER)
		header[2] |= DNS_FLAG_QR;
	if (maker->defect == DEFECT_OPCODE)
		header[2] |= (uint8_t)((1 + below(maker, 15)) << 3);
	if (maker->defect == DEFECT_RCODE)
		header[3] |= (uint8_t)(1 + below(maker, 15));
	if (maker->defect == DEFECT_QUESTIONS)
		wire_put16(header + 4, (uint16_t)(below(maker, 2) ? 0 : 2 + below(maker, 65534)));
	if (maker->defect == DEFECT_COUNTS)
		wire_put16(header + 6 + 2 * below(maker, 2), (uint16_t)(1 + below(maker, 65535)));
}

static void make(struct maker *maker, enum defect defect)
{
	maker->defect = defect;
	maker->size = 0;
	bool needs_opt = defect >= DEFECT_TWO_OPT && defect <= DEFECT_VERSION;
	maker->edns = needs_opt || below(maker, 2);
	put_header(maker);
	put_name(maker);
	put16(maker, make_type(maker));
	put16(maker, defect == DEFECT_CLASS ? 2 + below(maker, 65534) : DNS_CLASS_IN);
	bool record = defect == DEFECT_RECORD, first = below(maker, 2);
	if (record && first)
		put_record(maker);
	if (maker->edns)
		put_opt(maker);
	if (defect == DEFECT_TWO_OPT)
		put_opt(maker);
	if (record && !first)
		put_record(maker);
	unsigned records = maker->edns + record + (defect == DEFECT_TWO_OPT);
	wire_put16(maker->bytes + 10, (uint16_t)records);
	if (defect == DEFECT_MORE)
		put_random(maker, 1 + below(maker, 30));
	if (defect == DEFECT_CUT)
		maker->size = DNS_HEADER_SIZE + below(maker, maker->size - DNS_HEADER_SIZE);
}

static void expect(const struct maker *maker, int wanted, const struct query *query, int verdict)
{
	if (verdict == wanted)
		return;
	fprintf(stderr, "# defect %d, verdict %d, wanted %d, type %u:", maker->defect, verdict,
		wanted, query->type);
	for (size_t i = 0; i < maker->size; i++)
		fprintf(stderr, " %02x", maker->bytes[i]);
	fprintf(stderr, "\n");
	fail();
}

static void check(struct maker *maker)
{
	struct query query = {0};
	/* Of its exact size, so that a sanitizer sees a read beyond it. */
	uint8_t *exact = malloc(maker->size);
	assert_non_null(exact);
	memcpy(exact, maker->bytes, maker->size);
	int verdict = packet_read(exact, maker->size, &query);
	int wanted = verdicts[maker->defect];
	if (maker->defect != DEFECT_NONE && wanted == 0)
		wanted = DNS_RCODE_FORMERR;
	if (maker->defect == DEFECT_TYPE && verdict == DNS_RCODE_REFUSED)
		wanted = verdict;
	expect(maker, wanted, &query, verdict);
	if (verdict == 0) {
		const char *what = judge_query(exact, maker->size, &query);
		if (what)
			fail_msg("ldns sees another %s", what);
		assert_int_equal(query.edns, maker->edns);
	}
	free(exact);
}

static void what_is_right_is_taken_and_nothing_else(void **state)
{
	(void)state;
	struct maker maker = {.random = {2026}};
	for (int run = 0; run < 4000; run++) {
		make(&maker, DEFECT_NONE);
		check(&maker);
		for (enum defect defect = 1; defect < DEFECTS; defect++) {
			make(&maker, defect);
			check(&maker);
		}
	}
}

/* Whatever a few flipped bits make of a query: what we take, ldns takes, and sees the same. */
static void what_we_take_is_what_ldns_reads(void **state)
{
	(void)state;
	struct maker maker = {.random = {4}};
	unsigned taken = 0;
	for (int run = 0; run < 40000; run++) {
		make(&maker, DEFECT_NONE);
		for (uint64_t flips = 1 + below(&maker, 4); flips > 0; flips--)
			maker.bytes[below(&maker, maker.size)] ^= (uint8_t)(1u << below(&maker, 8));
		struct query query;
		if (packet_read(maker.bytes, maker.size, &query) != 0)
			continue;
		taken++;
		const char *what = judge_query(maker.bytes, maker.size, &query);
		if (what)
			fail_msg("ldns sees another %s", what);
	}
	assert_true(taken > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_right_is_taken_and_nothing_else),
		cmocka_unit_test(what_we_take_is_what_ldns_reads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
