/* SPDX-License-Identifier: ISC */
#ifndef DNS_BLOCK_H
#define DNS_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "dns/name.h"

/*
 * A compiled answer: the records that follow a question, as they go out. Its names are compressed
 * against the question's name, which stands at offset 12. Where the block serves questions of any
 * length (the SOA of negative answers), the pointers to the zone's origin are patched for each.
 */
struct block {
	uint16_t size;
	uint16_t core; /* without the additional records, which may be left out */
	uint16_t answers, authority, additional;
	uint8_t origin_size;
	uint8_t fixup_count;
	uint16_t fixup[3];    /* where pointers to the origin stand */
	const uint8_t *bytes; /* behind the struct, in the same allocation */
};

/* The largest block. With header, question and OPT it stays below what one TCP answer may be. */
#define BLOCK_MAX_SIZE 7168

struct block_builder {
	struct block head;
	uint8_t bytes[BLOCK_MAX_SIZE];
	bool overflow;
	bool floating;             /* the question may be longer than the origin: keep fixups */
	const struct name *origin; /* NULL: names are written whole */
};

enum block_section { BLOCK_ANSWER, BLOCK_AUTHORITY, BLOCK_ADDITIONAL };

#define BLOCK_OWNER_QUESTION 0xc00c
#define BLOCK_OWNER_ORIGIN   0 /* found by the builder */

void block_begin(struct block_builder *builder, const struct name *origin, bool floating);
/* Appends a record up to its data, of which the put functions append the rest. Returns where its
 * data begins, for block_end_record. `owner` is a compression pointer or BLOCK_OWNER_ORIGIN. */
size_t block_record(struct block_builder *builder, enum block_section section, uint16_t owner,
	uint16_t type, uint32_t ttl);
void block_end_record(struct block_builder *builder, size_t data);
void block_put(struct block_builder *builder, const void *bytes, size_t size);
void block_put32(struct block_builder *builder, uint32_t value);
/* A name, compressed where it is within the origin. */
void block_put_name(struct block_builder *builder, const struct name *name);
/* A whole A or AAAA record. */
void block_put_address(struct block_builder *builder, enum block_section section, uint16_t owner,
	uint32_t ttl, const struct ip_address *address);
/* Allocates the block. NULL where memory or BLOCK_MAX_SIZE did not suffice. */
struct block *block_finish(const struct block_builder *builder);

/* The block of one address record of the name asked for; NULL without memory. */
struct block *block_of_address(const struct ip_address *address, uint32_t ttl);

#endif
