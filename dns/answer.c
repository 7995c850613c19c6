/* SPDX-License-Identifier: ISC */
#include "dns/answer.h"

#include <string.h>

#include "dns/wire.h"

void answer_init(struct answer *answer, uint16_t rcode)
{
	answer->rcode = rcode;
	answer->authoritative = false;
	answer->truncated = false;
	answer->count = 0;
	answer->scratch_used = 0;
	answer->service = NULL;
}

bool answer_add(struct answer *answer, const struct block *block, struct part_owner owner,
	enum section section)
{
	if (answer->count == ANSWER_MAX_PARTS)
		return false;
	answer->part[answer->count++] =
		(struct part){.block = block, .owner = owner, .section = (uint8_t)section};
	return true;
}

bool answer_has_records(const struct answer *answer)
{
	return answer->count > 0 && answer->part[0].section == SECTION_ANSWER;
}

size_t answer_limit(const struct query *query, bool tcp)
{
	if (tcp)
		return ANSWER_MAX_TCP;
	return query->payload < ANSWER_MAX_UDP ? query->payload : ANSWER_MAX_UDP;
}

struct writer {
	const struct query *query;
	uint8_t *out;
	size_t size, limit;
	uint16_t count[3];                /* of each section */
	uint16_t begin[ANSWER_MAX_PARTS]; /* of each part, in the message; 0: it is not there */
};

static void set_owners(uint8_t *at, const struct block *block, uint16_t owner)
{
	for (unsigned i = 0; i < block->count; i++) {
		wire_put16(at, owner);
		at += BLOCK_RECORD_FIXED + wire_get16(at + BLOCK_RECORD_FIXED - 2);
	}
}

/* Whose turn it is, the query's ID decides: caches draw it at random, and nothing has to be counted. */
static void copy_turned(const struct block *block, unsigned turn, uint8_t *out)
{
	size_t first = turn % block->count * (block->size / block->count);
	memcpy(out, block->bytes + first, block->size - first);
	memcpy(out + block->size - first, block->bytes, first);
}

static void write_part(struct writer *writer, const struct part *part, uint16_t *begin)
{
	const struct block *block = part->block;
	uint8_t *at = writer->out + writer->size;
	size_t owner = part->owner.offset;
	owner += part->owner.part == 0 ? DNS_HEADER_SIZE : writer->begin[part->owner.part - 1];
	if (block->turns)
		copy_turned(block, writer->query->id, at);
	else
		memcpy(at, block->bytes, block->size);
	if (owner != DNS_HEADER_SIZE)
		set_owners(at, block, (uint16_t)(DNS_POINTER | owner));
	/* The origin is the tail of the question's name. */
	uint16_t origin =
		(uint16_t)(DNS_HEADER_SIZE + writer->query->name_size - block->origin_size);
	for (unsigned i = 0; i < block->fixup_count; i++)
		wire_put16(at + block->fixup[i], DNS_POINTER | origin);
	*begin = (uint16_t)writer->size;
	writer->size += block->size;
	writer->count[part->section] += block->count;
}

static void write_parts(struct writer *writer, const struct answer *answer)
{
	size_t first = writer->size;
	for (unsigned i = 0; i < answer->count; i++) {
		const struct part *part = &answer->part[i];
		if (part->block->size <= writer->limit - writer->size) {
			write_part(writer, part, &writer->begin[i]);
			continue;
		}
		if (part->optional)
			continue;
		writer->out[2] |= DNS_FLAG_TC;
		if (part->section == SECTION_ADDITIONAL)
			continue;
		/* Half an answer is none. */
		writer->size = first;
		memset(writer->count, 0, sizeof(writer->count));
		return;
	}
}

size_t answer_write(const struct query *query, const struct answer *answer,
	const struct edns_reply *edns, size_t limit, uint8_t *out)
{
	struct writer writer;
	struct edns_reply spare;
	size_t reserve = edns_reserve(query, edns);
	writer.query = query;
	writer.out = out;
	writer.size = DNS_HEADER_SIZE + query->question_size;
	if (writer.size + reserve > limit) {
		spare = (struct edns_reply){.cookie = edns->cookie};
		edns = &spare;
		reserve = edns_reserve(query, edns);
		limit = limit > writer.size + reserve ? limit : writer.size + reserve;
	}
	writer.limit = limit - reserve;
	memset(writer.count, 0, sizeof(writer.count));
	wire_put16(out, query->id);
	out[2] = DNS_FLAG_QR | query->flags | (answer->authoritative ? DNS_FLAG_AA : 0) |
		 (answer->truncated ? DNS_FLAG_TC : 0);
	out[3] = answer->rcode & 0x0f;
	wire_put16(out + 4, query->question_size > 0);
	if (query->question_size > 0)
		memcpy(out + DNS_HEADER_SIZE, query->question, query->question_size);
	write_parts(&writer, answer);
	if (query->edns) {
		writer.count[SECTION_ADDITIONAL]++;
		writer.size += edns_write(
			query, answer->rcode, edns, limit - writer.size, out + writer.size);
	}
	for (int i = 0; i < 3; i++)
		wire_put16(out + 6 + 2 * i, writer.count[i]);
	return writer.size;
}
