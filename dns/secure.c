/* SPDX-License-Identifier: ISC */
#include "dns/secure.h"

#include <string.h>

#include "dns/wire.h"

static void fail(const struct secure *secure)
{
	answer_init(secure->out, DNS_RCODE_SERVFAIL);
}

/* A block of the answer's own, of which `room` bytes may be written; NULL where there is no room. */
static struct block *begin_block(struct answer *out, size_t room, uint8_t **bytes)
{
	if (sizeof(struct block) + room > sizeof(out->scratch) - out->scratch_used)
		return NULL;
	struct block *block = (struct block *)(out->scratch + out->scratch_used);
	*bytes = (uint8_t *)(block + 1);
	*block = (struct block){.count = 1, .bytes = *bytes};
	return block;
}

static void end_block(struct answer *out, const struct block *block)
{
	size_t size = sizeof(*block) + block->size, unit = _Alignof(struct block);
	out->scratch_used += (size + unit - 1) / unit * unit;
}

void secure_sign(const struct secure *secure, const struct name *owner, uint32_t ttl)
{
	struct answer *out = secure->out;
	const struct zone *zone = secure->zone;
	uint8_t *bytes;
	if (out->count == 0)
		return;
	const struct part *part = &out->part[out->count - 1];
	const struct sign_subject subject = {
		.block = part->block,
		.owner = owner,
		.origin = &zone->origin,
		.ttl = ttl ? ttl : wire_get32(part->block->bytes + 6),
		.known_only = !out->may_sign,
	};
	size_t keys = part->block->type == DNS_TYPE_DNSKEY ? zone->key_count : 1;
	struct block *block = begin_block(out, keys * SIGN_MAX_SIZE, &bytes);
	size_t size = block ? sign(secure->signatures, &subject, zone->keys, keys, bytes) : 0;
	if (size == 0) {
		out->unsigned_yet = !out->may_sign;
		fail(secure);
		return;
	}
	block->type = DNS_TYPE_RRSIG;
	block->size = (uint16_t)size;
	block->count = (uint16_t)keys;
	end_block(out, block);
	if (!answer_add(out, block, part->owner, (enum section)part->section))
		fail(secure);
}

/* --- denials --- */

/* The name right behind this one in canonical order: with a label of one zero byte in front (RFC
 * 4470 section 3.1.2). Where no label fits, the first label's last byte is made one larger: between
 * the two only names could be that are too long. Returns the size; 0: there is none. */
static size_t write_successor(const struct name *name, uint8_t *out)
{
	if (name->size + 2u <= NAME_MAX_SIZE) {
		out[0] = 1;
		out[1] = 0;
		memcpy(out + 2, name->bytes, name->size);
		return name->size + 2u;
	}
	memcpy(out, name->bytes, name->size);
	if (out[out[0]] == 0xff)
		return 0;
	/* Upper case does not exist in canonical order. */
	out[out[0]] = out[out[0]] == 'A' - 1 ? 'Z' + 1 : (uint8_t)(out[out[0]] + 1);
	return name->size;
}

/* RFC 4034 section 4.1.2. Returns the size. */
static size_t write_types(const uint16_t *types, size_t count, uint8_t *out)
{
	uint8_t *at = out;
	for (size_t i = 0; i < count;) {
		unsigned window = types[i] >> 8;
		uint8_t bits[32] = {0};
		uint8_t size = 0;
		for (; i < count && types[i] >> 8 == window; i++) {
			uint8_t low = (uint8_t)types[i];
			bits[low >> 3] |= (uint8_t)(0x80 >> (low & 7));
			size = (uint8_t)((low >> 3) + 1);
		}
		*at++ = (uint8_t)window;
		*at++ = size;
		memcpy(at, bits, size);
		at += size;
	}
	return (size_t)(at - out);
}

#define NSEC_MAX_SIZE (BLOCK_RECORD_FIXED + NAME_MAX_SIZE + (SECURE_MAX_TYPES + 3) * 34)

void secure_deny(const struct secure *secure, const struct name *name, struct part_owner owner,
	const uint16_t *types, size_t count, enum section section)
{
	uint8_t *bytes;
	struct block *block = begin_block(secure->out, NSEC_MAX_SIZE, &bytes);
	size_t size = block ? write_successor(name, bytes + BLOCK_RECORD_FIXED) : 0;
	if (size == 0) {
		fail(secure);
		return;
	}
	size += write_types(types, count, bytes + BLOCK_RECORD_FIXED + size);
	wire_put16(bytes, DNS_POINTER | DNS_HEADER_SIZE);
	wire_put16(bytes + 2, DNS_TYPE_NSEC);
	wire_put16(bytes + 4, DNS_CLASS_IN);
	/* As long as the denial may be kept. */
	memcpy(bytes + 6, secure->zone->negative->bytes + 6, 4);
	wire_put16(bytes + 10, (uint16_t)size);
	block->type = DNS_TYPE_NSEC;
	block->size = (uint16_t)(BLOCK_RECORD_FIXED + size);
	end_block(secure->out, block);
	if (!answer_add(secure->out, block, owner, section)) {
		fail(secure);
		return;
	}
	secure_sign(secure, name, 0);
}

/* --- what a name has --- */

static size_t insert(uint16_t *types, size_t count, uint16_t type)
{
	size_t at = count;
	while (at > 0 && types[at - 1] > type)
		at--;
	if ((at > 0 && types[at - 1] == type) || count == SECURE_MAX_TYPES)
		return count;
	memmove(types + at + 1, types + at, (count - at) * sizeof(types[0]));
	types[at] = type;
	return count + 1;
}

size_t secure_types(const struct node *node, uint16_t types[SECURE_MAX_TYPES])
{
	static const uint16_t slots[NODE_SLOTS] = {[NODE_A] = DNS_TYPE_A,
		[NODE_AAAA] = DNS_TYPE_AAAA,
		[NODE_PTR] = DNS_TYPE_PTR,
		[NODE_HTTPS] = DNS_TYPE_HTTPS};
	size_t count = 0;
	/* Of a delegation only what the zone may say of it. */
	for (uint32_t i = 0; i < node->set_count; i++)
		if (!node->cut || node->sets[i].type == DNS_TYPE_NS ||
			node->sets[i].type == DNS_TYPE_DS)
			count = insert(types, count, node->sets[i].type);
	for (int slot = 0; slot < NODE_SLOTS && !node->cut; slot++)
		if (node->block[slot])
			count = insert(types, count, slots[slot]);
	count = insert(types, count, DNS_TYPE_RRSIG);
	return insert(types, count, DNS_TYPE_NSEC);
}
