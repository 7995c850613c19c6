/* SPDX-License-Identifier: ISC */
#include "dns/block.h"

#include <stdlib.h>
#include <string.h>

#include "dns/wire.h"

void block_begin(struct block_builder *builder, const struct name *origin, bool floating)
{
	builder->head = (struct block){.origin_size = origin ? origin->size : 0};
	builder->overflow = false;
	builder->floating = floating;
	builder->origin = origin;
}

void block_put(struct block_builder *builder, const void *bytes, size_t size)
{
	if (size > sizeof(builder->bytes) - builder->head.size) {
		builder->overflow = true;
		return;
	}
	memcpy(builder->bytes + builder->head.size, bytes, size);
	builder->head.size += (uint16_t)size;
}

static void put16(struct block_builder *builder, uint16_t value)
{
	uint8_t bytes[2];
	wire_put16(bytes, value);
	block_put(builder, bytes, sizeof(bytes));
}

void block_put32(struct block_builder *builder, uint32_t value)
{
	uint8_t bytes[4];
	wire_put32(bytes, value);
	block_put(builder, bytes, sizeof(bytes));
}

static void put_origin(struct block_builder *builder)
{
	struct block *head = &builder->head;
	if (builder->floating) {
		if (head->fixup_count < sizeof(head->fixup) / sizeof(head->fixup[0]))
			head->fixup[head->fixup_count++] = head->size;
		else
			builder->overflow = true;
	}
	put16(builder, DNS_POINTER | DNS_HEADER_SIZE);
}

void block_put_name(struct block_builder *builder, const struct name *name)
{
	if (!builder->origin || !name_within(name, builder->origin)) {
		block_put(builder, name->bytes, name->size);
		return;
	}
	block_put(builder, name->bytes, (size_t)(name->size - builder->origin->size));
	put_origin(builder);
}

size_t block_record(struct block_builder *builder, enum block_section section, uint16_t owner,
	uint16_t type, uint32_t ttl)
{
	struct block *head = &builder->head;
	uint16_t *counts[] = {&head->answers, &head->authority, &head->additional};
	++*counts[section];
	if (owner == BLOCK_OWNER_ORIGIN)
		put_origin(builder);
	else
		put16(builder, owner);
	put16(builder, type);
	put16(builder, DNS_CLASS_IN);
	block_put32(builder, ttl);
	put16(builder, 0);
	return head->size;
}

void block_end_record(struct block_builder *builder, size_t data)
{
	struct block *head = &builder->head;
	if (builder->overflow)
		return;
	wire_put16(builder->bytes + data - 2, (uint16_t)(head->size - data));
	if (head->additional == 0)
		head->core = head->size;
}

void block_put_address(struct block_builder *builder, enum block_section section, uint16_t owner,
	uint32_t ttl, const struct ip_address *address)
{
	size_t size = ip_address_size(address);
	size_t data =
		block_record(builder, section, owner, size == 4 ? DNS_TYPE_A : DNS_TYPE_AAAA, ttl);
	block_put(builder, address->bytes, size);
	block_end_record(builder, data);
}

struct block *block_finish(const struct block_builder *builder)
{
	size_t size = builder->head.size;
	struct block *block = builder->overflow ? NULL : malloc(sizeof(*block) + size);
	if (!block)
		return NULL;
	*block = builder->head;
	block->bytes = memcpy(block + 1, builder->bytes, size);
	return block;
}

struct block *block_of_address(const struct ip_address *address, uint32_t ttl)
{
	struct block_builder builder;
	block_begin(&builder, NULL, false);
	block_put_address(&builder, BLOCK_ANSWER, BLOCK_OWNER_QUESTION, ttl, address);
	return block_finish(&builder);
}
