/* SPDX-License-Identifier: ISC */
#include "dns/answer.h"

#include <string.h>

#include "dns/wire.h"

static enum node_slot slot_of(uint16_t type)
{
	switch (type) {
	case DNS_TYPE_A:
		return NODE_A;
	case DNS_TYPE_AAAA:
		return NODE_AAAA;
	case DNS_TYPE_NS:
		return NODE_NS;
	case DNS_TYPE_SOA:
		return NODE_SOA;
	default:
		return NODE_SLOTS;
	}
}

static bool has_records(const struct node *node)
{
	for (int slot = 0; slot < NODE_SLOTS; slot++)
		if (node->block[slot])
			return true;
	return false;
}

/* The DS of a zone is its parent's to give, where the parent is ours too (RFC 4035 section
 * 3.1.4.1). */
static const struct zone *zone_of(const struct node *node, uint16_t type)
{
	if (type == DNS_TYPE_DS && node->apex && node->parent->zone)
		return node->parent->zone;
	return node->zone;
}

void answer_find(const struct names *names, const struct query *query, struct answer *out)
{
	struct name name;
	bool exact;
	name_fold(query->question, &name);
	const struct node *node = table_closest(&names->table, &name, &exact);
	*out = (struct answer){.rcode = DNS_RCODE_REFUSED};
	if (!node->zone)
		return;
	out->authoritative = true;
	out->rcode = exact ? DNS_RCODE_NOERROR : DNS_RCODE_NXDOMAIN;
	out->block = node->zone->negative;
	if (!exact)
		return;
	enum node_slot slot = slot_of(query->type);
	if (slot != NODE_SLOTS && node->block[slot]) {
		out->block = node->block[slot];
		if (slot == NODE_A || slot == NODE_AAAA)
			out->service = node->service;
	} else if (query->type == DNS_TYPE_ANY && has_records(node)) {
		out->block = node->zone->any;
	} else {
		out->block = zone_of(node, query->type)->negative;
	}
}

size_t answer_limit(const struct query *query, bool tcp)
{
	if (tcp)
		return ANSWER_MAX_TCP;
	return query->payload < ANSWER_MAX_UDP ? query->payload : ANSWER_MAX_UDP;
}

/* Copies as much of the block as fits and returns its size. */
static size_t put_block(
	const struct block *block, const struct query *query, size_t room, uint8_t *header)
{
	size_t size = block->size <= room ? block->size : block->core;
	uint8_t *out = header + DNS_HEADER_SIZE + query->question_size;
	if (size > room) {
		header[2] |= DNS_FLAG_TC;
		return 0;
	}
	memcpy(out, block->bytes, size);
	wire_put16(header + 6, block->answers);
	wire_put16(header + 8, block->authority);
	wire_put16(header + 10, size == block->size ? block->additional : 0);
	/* The origin is the tail of the question's name. */
	uint16_t origin = (uint16_t)(DNS_HEADER_SIZE + query->name_size - block->origin_size);
	for (unsigned i = 0; i < block->fixup_count; i++)
		wire_put16(out + block->fixup[i], DNS_POINTER | origin);
	return size;
}

size_t answer_write(const struct query *query, const struct answer *answer,
	const struct edns_reply *edns, size_t limit, uint8_t *out)
{
	size_t size = DNS_HEADER_SIZE + query->question_size;
	size_t opt = edns_reserve(query, edns);
	wire_put16(out, query->id);
	out[2] = DNS_FLAG_QR | query->flags | (answer->authoritative ? DNS_FLAG_AA : 0) |
		 (answer->truncated ? DNS_FLAG_TC : 0);
	out[3] = answer->rcode & 0x0f;
	wire_put16(out + 4, query->question_size > 0);
	memset(out + 6, 0, 6);
	if (query->question_size > 0)
		memcpy(out + DNS_HEADER_SIZE, query->question, query->question_size);
	if (answer->block)
		size += put_block(answer->block, query, limit - size - opt, out);
	if (query->edns) {
		wire_put16(out + 10, (uint16_t)(wire_get16(out + 10) + 1));
		size += edns_write(query, answer->rcode, edns, limit - size, out + size);
	}
	return size;
}
