/* SPDX-License-Identifier: ISC */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/forward_wire.h"
#include "tests/fuzz/cost.h"

/*
 * What an upstream answers to a query that we passed on. The input: how (1 byte), the size of the
 * client's query (1 byte), the query, and the answer. MODE_MATCH makes the answer's id and question
 * those that were asked for, which no fuzzer finds by itself.
 */
#define MODE_MATCH 0x01
#define MODE_SMALL 0x02
#define MODE_MIX   0x04

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "does not hold: %s\n", what);
	abort();
}

static void check_passed(const struct query *query, const uint8_t *answer, size_t size,
	const uint8_t *out, size_t written, size_t limit)
{
	size_t head = DNS_HEADER_SIZE + query->question_size;
	must(written <= limit || written == head, "the limit is kept");
	must(wire_get16(out) == query->id, "the id is the client's");
	must(out[2] & DNS_FLAG_QR, "it is an answer");
	must(memcmp(out + DNS_HEADER_SIZE, query->question, query->question_size) == 0,
		"the question is the client's");
	must((out[3] & DNS_RCODE_MASK) == (answer[3] & DNS_RCODE_MASK), "the RCODE is passed");
	must(written == head ||
			(written == size && memcmp(out + head, answer + head, size - head) == 0),
		"all or nothing is passed");
}

static void pass(const struct query *query, const uint8_t *answer, size_t size, size_t limit)
{
	size_t head = DNS_HEADER_SIZE + query->question_size;
	uint8_t *out = malloc(limit > head ? limit : head);
	must(out != NULL, "there is memory");
	size_t written = forward_pass(query, answer, size, limit, out);
	check_passed(query, answer, size, out, written, limit);
	free(out);
}

static void run(uint8_t mode, const struct query *query, uint8_t *answer, size_t size)
{
	uint8_t sent[FORWARD_QUERY_MAX];
	struct forward_nonce nonce = {.id = 0x1234};
	struct query again;
	memset(nonce.letters, 0x5a, sizeof(nonce.letters));
	size_t sent_size = forward_write_query(query, &nonce, mode & MODE_MIX, sent);
	must(packet_read(sent, sent_size, &again) == 0, "what we ask is a query");
	must(again.type == query->type && again.name_size == query->name_size, "the same one");
	must(again.edns == query->edns && again.dnssec_ok == query->dnssec_ok, "with its EDNS");
	if (mode & MODE_MATCH && size >= (size_t)DNS_HEADER_SIZE + again.question_size) {
		memcpy(answer, sent, 2);
		memcpy(answer + DNS_HEADER_SIZE, again.question, again.question_size);
	}
	struct cost before = cost_now();
	enum forward_verdict verdict = forward_read_answer(sent, answer, size);
	if (verdict != FORWARD_FOREIGN)
		pass(query, answer, size, mode & MODE_SMALL ? 512 : UINT16_MAX);
	cost_note(before);
	must(verdict == FORWARD_FOREIGN || memcmp(answer, sent, 2) == 0, "only ours is taken");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct query query;
	if (size < 2 || size - 2 < data[1] || packet_read(data + 2, data[1], &query) != 0)
		return 0;
	size_t answer_size = size - 2 - data[1];
	/* Of its exact size, so that a read beyond it is seen. */
	uint8_t *answer = malloc(answer_size);
	must(answer != NULL, "there is memory");
	memcpy(answer, data + 2 + data[1], answer_size);
	run(data[0], &query, answer, answer_size);
	free(answer);
	return 0;
}
