/* SPDX-License-Identifier: ISC */
#include "dns/forward_wire.h"

#include <string.h>

#include "dns/answer.h"

static bool is_letter(uint8_t byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static void mix_letters(uint8_t *name, size_t size, const uint8_t *letters)
{
	/* The lengths of labels are at most 63: no letters. */
	for (size_t i = 0; i < size; i++)
		if (is_letter(name[i]))
			name[i] = letters[i / 8] >> i % 8 & 1 ? name[i] & 0xdf : name[i] | 0x20;
}

size_t forward_write_query(const struct query *client, const struct forward_nonce *nonce, bool mix,
	uint8_t out[FORWARD_QUERY_MAX])
{
	size_t size = DNS_HEADER_SIZE + client->question_size;
	memset(out, 0, DNS_HEADER_SIZE);
	wire_put16(out, nonce->id);
	out[2] = DNS_FLAG_RD;
	out[3] = client->checks & DNS_FLAG_CD;
	wire_put16(out + 4, 1);
	memcpy(out + DNS_HEADER_SIZE, client->question, client->question_size);
	if (mix)
		mix_letters(out + DNS_HEADER_SIZE, client->name_size, nonce->letters);
	if (!client->edns)
		return size;
	wire_put16(out + 10, 1);
	uint8_t *opt = out + size;
	memset(opt, 0, DNS_OPT_SIZE);
	wire_put16(opt + 1, DNS_TYPE_OPT);
	wire_put16(opt + 3, ANSWER_MAX_UDP);
	wire_put16(opt + 7, client->dnssec_ok ? DNS_OPT_FLAG_DO : 0);
	return size + DNS_OPT_SIZE;
}

static uint8_t fold(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

static bool same_but_for_case(const uint8_t *a, const uint8_t *b, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (fold(a[i]) != fold(b[i]))
			return false;
	return true;
}

static bool is_failure(unsigned rcode)
{
	return rcode == DNS_RCODE_FORMERR || rcode == DNS_RCODE_SERVFAIL ||
	       rcode == DNS_RCODE_NOTIMP || rcode == DNS_RCODE_REFUSED;
}

enum forward_verdict forward_read_answer(const uint8_t *sent, const uint8_t *bytes, size_t size)
{
	if (size < DNS_HEADER_SIZE || memcmp(bytes, sent, 2) != 0 || !(bytes[2] & DNS_FLAG_QR) ||
		bytes[2] & DNS_OPCODE_MASK)
		return FORWARD_FOREIGN;
	unsigned rcode = bytes[3] & DNS_RCODE_MASK;
	/* Who does not understand a query may leave the question out (RFC 8906 section 3.1.5). It
	 * is worth another try, and nothing that could be passed on. */
	if (wire_get16(bytes + 4) == 0 && is_failure(rcode))
		return size == DNS_HEADER_SIZE ? FORWARD_FAILED : FORWARD_FOREIGN;
	const uint8_t *question = sent + DNS_HEADER_SIZE;
	size_t question_size = name_measure(question, NAME_MAX_SIZE) + 4;
	if (wire_get16(bytes + 4) != 1 || size < DNS_HEADER_SIZE + question_size ||
		!same_but_for_case(bytes + DNS_HEADER_SIZE, question, question_size - 4) ||
		memcmp(bytes + DNS_HEADER_SIZE + question_size - 4, question + question_size - 4,
			4) != 0)
		return FORWARD_FOREIGN;
	if (memcmp(bytes + DNS_HEADER_SIZE, question, question_size) != 0)
		return FORWARD_CASE;
	if (bytes[2] & DNS_FLAG_TC)
		return FORWARD_TRUNCATED;
	return is_failure(rcode) ? FORWARD_FAILED : FORWARD_GOOD;
}

/* Header and question, and nothing behind them. */
static size_t cut(const struct query *client, uint8_t *out)
{
	out[2] |= DNS_FLAG_TC;
	memset(out + 6, 0, 6);
	return DNS_HEADER_SIZE + client->question_size;
}

size_t forward_pass(
	const struct query *client, const uint8_t *bytes, size_t size, size_t limit, uint8_t *out)
{
	size_t head = DNS_HEADER_SIZE + client->question_size;
	bool whole = size >= head && size <= limit;
	memcpy(out, bytes, whole ? size : DNS_HEADER_SIZE);
	wire_put16(out, client->id);
	out[2] = (out[2] & ~DNS_FLAG_RD & 0xff) | (client->flags & DNS_FLAG_RD);
	wire_put16(out + 4, 1);
	memcpy(out + DNS_HEADER_SIZE, client->question, client->question_size);
	if (whole)
		return size;
	/* An answer without its question is a failure, and no more than that is known of it. */
	size_t shorter = cut(client, out);
	if (size < head)
		out[2] &= ~DNS_FLAG_TC & 0xff;
	return shorter;
}
