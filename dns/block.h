/* SPDX-License-Identifier: ISC */
#ifndef DNS_BLOCK_H
#define DNS_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "dns/name.h"
#include "dns/records.h"

/*
 * A compiled set of records, as it goes out: of one owner, type and TTL. The owner of each is a
 * pointer to the question's name at offset 12, which answer_write() patches where the owner is
 * another. Names in the data that lie within the zone end in a pointer to its origin; these stand
 * at `fixup` and are patched always: where the origin is depends on the question.
 */
struct block {
	uint16_t type, size, count;
	uint16_t fixup_count;
	uint8_t origin_size;
	bool turns; /* its records are of one size, and each in turn may be the first (RFC 1794) */
	const uint16_t *fixup; /* both are behind the struct, in the same allocation */
	const uint8_t *bytes;
};

/* The largest block. With header, question and OPT it stays below what one TCP answer may be. */
#define BLOCK_MAX_SIZE   7168
#define BLOCK_MAX_FIXUPS 1024

/* A record of a block up to its data: owner, type, class, TTL, length. */
#define BLOCK_RECORD_FIXED 12

struct block_builder {
	struct block head;
	uint16_t fixup[BLOCK_MAX_FIXUPS];
	uint8_t bytes[BLOCK_MAX_SIZE];
	bool overflow;
	const struct name *origin; /* NULL: names are written whole */
};

void block_begin(struct block_builder *builder, const struct name *origin, uint16_t type);
/* Appends a record up to its data, of which the put functions append the rest. Returns where its
 * data begins, for block_end_record. */
size_t block_record(struct block_builder *builder, uint32_t ttl);
void block_end_record(struct block_builder *builder, size_t data);
void block_put(struct block_builder *builder, const void *bytes, size_t size);
/* A name in wire format, compressed where it is within the origin. */
void block_put_name(struct block_builder *builder, const uint8_t *wire);
/* Allocates the block; free() ends it. NULL where memory or the limits did not suffice; builder->
 * overflow tells which. */
struct block *block_finish(const struct block_builder *builder);

/* The block of a set with this TTL: of addresses of one family, which are brought into canonical order
 * (RFC 4034 section 6.3), or of `count` records. NULL as above. */
struct block *block_of_addresses(struct ip_address *addresses, size_t count, uint32_t ttl);
struct block *block_of_records(
	struct record *const *records, size_t count, uint32_t ttl, const struct name *origin);

#endif
