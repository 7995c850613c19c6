/* SPDX-License-Identifier: ISC */
#include "dns/block.h"

#include <stdlib.h>
#include <string.h>

#include "dns/wire.h"

void block_begin(struct block_builder *builder, const struct name *origin, uint16_t type)
{
	builder->head = (struct block){.type = type, .origin_size = origin ? origin->size : 0};
	builder->overflow = false;
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

void block_put_name(struct block_builder *builder, const uint8_t *wire)
{
	struct block *head = &builder->head;
	struct name name;
	name_fold(wire, &name);
	if (!builder->origin || !name_within(&name, builder->origin)) {
		block_put(builder, wire, name.size);
		return;
	}
	block_put(builder, wire, (size_t)(name.size - builder->origin->size));
	if (head->fixup_count == BLOCK_MAX_FIXUPS)
		builder->overflow = true;
	else
		builder->fixup[head->fixup_count++] = head->size;
	put16(builder, DNS_POINTER | DNS_HEADER_SIZE);
}

size_t block_record(struct block_builder *builder, uint32_t ttl)
{
	uint8_t fixed[BLOCK_RECORD_FIXED];
	builder->head.count++;
	wire_put16(fixed, DNS_POINTER | DNS_HEADER_SIZE);
	wire_put16(fixed + 2, builder->head.type);
	wire_put16(fixed + 4, DNS_CLASS_IN);
	wire_put32(fixed + 6, ttl);
	wire_put16(fixed + 10, 0);
	block_put(builder, fixed, sizeof(fixed));
	return builder->head.size;
}

void block_end_record(struct block_builder *builder, size_t data)
{
	if (!builder->overflow)
		wire_put16(builder->bytes + data - 2, (uint16_t)(builder->head.size - data));
}

struct block *block_finish(const struct block_builder *builder)
{
	size_t size = builder->head.size;
	size_t fixups = builder->head.fixup_count * sizeof(builder->fixup[0]);
	struct block *block = builder->overflow ? NULL : malloc(sizeof(*block) + fixups + size);
	if (!block)
		return NULL;
	*block = builder->head;
	block->fixup = memcpy(block + 1, builder->fixup, fixups);
	block->bytes = memcpy((uint8_t *)(block + 1) + fixups, builder->bytes, size);
	return block;
}

static int compare_addresses(const void *a, const void *b)
{
	const struct ip_address *left = a, *right = b;
	return memcmp(left->bytes, right->bytes, sizeof(left->bytes));
}

struct block *block_of_addresses(struct ip_address *addresses, size_t count, uint32_t ttl)
{
	struct block_builder builder;
	size_t size = ip_address_size(addresses);
	qsort(addresses, count, sizeof(*addresses), compare_addresses);
	block_begin(&builder, NULL, size == 4 ? DNS_TYPE_A : DNS_TYPE_AAAA);
	for (size_t i = 0; i < count; i++) {
		size_t data = block_record(&builder, ttl);
		block_put(&builder, addresses[i].bytes, size);
		block_end_record(&builder, data);
	}
	builder.head.turns = count > 1;
	return block_finish(&builder);
}

static void put_data(struct block_builder *builder, const struct record *record)
{
	struct record_names names = record_names(record->type);
	const uint8_t *data = record_data(record);
	size_t at = names.before;
	block_put(builder, data, at);
	for (unsigned i = 0; i < names.count && names.compressed; i++) {
		block_put_name(builder, data + at);
		at += name_measure(data + at, record->data_size - at);
	}
	block_put(builder, data + at, record->data_size - at);
}

struct block *block_of_records(
	struct record *const *records, size_t count, uint32_t ttl, const struct name *origin)
{
	struct block_builder builder;
	block_begin(&builder, origin, records[0]->type);
	for (size_t i = 0; i < count; i++) {
		size_t data = block_record(&builder, ttl);
		put_data(&builder, records[i]);
		block_end_record(&builder, data);
	}
	return block_finish(&builder);
}
