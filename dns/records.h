/* SPDX-License-Identifier: ISC */
#ifndef DNS_RECORDS_H
#define DNS_RECORDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "dns/name.h"

/* A static record of a zone, in wire format without compression. */
struct record {
	uint16_t type, data_size;
	uint32_t ttl;
	uint32_t line; /* of its zone file; 0: it is from the configuration */
	uint8_t owner_size;
	uint8_t bytes[]; /* the owner in lower case, then the data */
};

static inline const uint8_t *record_data(const struct record *record)
{
	return record->bytes + record->owner_size;
}

/* Which names the data of a type has: so many, behind `before` bytes. Only those of RFC 1035 may be
 * compressed (RFC 3597 section 4). */
struct record_names {
	uint8_t before, count;
	bool compressed;
};
struct record_names record_names(uint16_t type);

/* Brings the data of a type into canonical form (RFC 4034 section 6.2): names in lower case. */
void record_lower(uint16_t type, uint8_t *data, size_t size);

struct records {
	struct record **item;
	size_t count, room;
};

void records_finish(struct records *records);
/* Copies the record in; its data is not checked. -ENOMEM. */
int records_add(struct records *records, const struct name *owner, uint16_t type, uint32_t ttl,
	uint32_t line, const void *data, size_t size, struct error *err);
/* Into the order of RFC 4034 section 6: owners with those above first, then types, then data. A
 * record that is there twice is there once (RFC 2181 section 5). */
void records_sort(struct records *records);
/* How many records from `begin` on have its owner, and its type if `same_type`. */
size_t records_run(const struct records *records, size_t begin, bool same_type);

/* "www.example.test TXT (line 7)" for messages. */
#define RECORD_TEXT 400
const char *record_print(const struct record *record, char text[RECORD_TEXT]);

#endif
