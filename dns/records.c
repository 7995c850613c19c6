/* SPDX-License-Identifier: ISC */
#include "dns/records.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/wire.h"

struct record_names record_names(uint16_t type)
{
	static const struct {
		uint16_t type;
		struct record_names names;
	} known[] = {
		{DNS_TYPE_NS, {0, 1, true}},
		{DNS_TYPE_CNAME, {0, 1, true}},
		{DNS_TYPE_SOA, {0, 2, true}},
		{DNS_TYPE_PTR, {0, 1, true}},
		{DNS_TYPE_MX, {2, 1, true}},
		{3, {0, 1, false}},  /* MD */
		{4, {0, 1, false}},  /* MF */
		{7, {0, 1, false}},  /* MB */
		{8, {0, 1, false}},  /* MG */
		{9, {0, 1, false}},  /* MR */
		{14, {0, 2, false}}, /* MINFO */
		{17, {0, 2, false}}, /* RP */
		{18, {2, 1, false}}, /* AFSDB */
		{21, {2, 1, false}}, /* RT */
		{26, {2, 2, false}}, /* PX */
		{36, {2, 1, false}}, /* KX */
		{DNS_TYPE_SRV, {6, 1, false}},
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].type == type)
			return known[i].names;
	return (struct record_names){0};
}

static void lower_name(uint8_t *wire, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (wire[i] >= 'A' && wire[i] <= 'Z')
			wire[i] |= 0x20;
}

/* Three strings stand before the name of a NAPTR (RFC 3403 section 4.1). */
static size_t naptr_name(const uint8_t *data, size_t size)
{
	size_t at = 4;
	for (int i = 0; i < 3 && at < size; i++)
		at += 1u + data[at];
	return at;
}

void record_lower(uint16_t type, uint8_t *data, size_t size)
{
	struct record_names names = record_names(type);
	size_t at = names.before;
	if (type == DNS_TYPE_NAPTR) {
		names.count = 1;
		at = naptr_name(data, size);
	}
	for (unsigned i = 0; i < names.count && at < size; i++) {
		size_t name = name_measure(data + at, size - at);
		lower_name(data + at, name);
		at += name;
	}
}

void records_finish(struct records *records)
{
	for (size_t i = 0; i < records->count; i++)
		free(records->item[i]);
	free(records->item);
	*records = (struct records){0};
}

static int reserve(struct records *records, size_t more, struct error *err)
{
	if (more <= records->room - records->count)
		return 0;
	size_t room = (records->count + more) * 2;
	struct record **item = reallocarray(records->item, room, sizeof(struct record *));
	if (!item)
		return error_set(err, -ENOMEM, "out of memory");
	records->item = item;
	records->room = room;
	return 0;
}

int records_add(struct records *records, const struct name *owner, uint16_t type, uint32_t ttl,
	uint32_t line, const void *data, size_t size, struct error *err)
{
	int rc = reserve(records, 1, err);
	struct record *record = rc < 0 ? NULL : malloc(sizeof(*record) + owner->size + size);
	if (!record)
		return error_set(err, -ENOMEM, "out of memory");
	record->type = type;
	record->ttl = ttl;
	record->line = line;
	record->data_size = (uint16_t)size;
	record->owner_size = owner->size;
	memcpy(record->bytes, owner->bytes, owner->size);
	memcpy(record->bytes + owner->size, data, size);
	records->item[records->count++] = record;
	return 0;
}

static int compare_data(const struct record *a, const struct record *b)
{
	size_t least = a->data_size < b->data_size ? a->data_size : b->data_size;
	int order = memcmp(record_data(a), record_data(b), least);
	return order ? order : a->data_size - b->data_size;
}

static int compare(const void *left, const void *right)
{
	const struct record *a = *(struct record *const *)left, *b = *(struct record *const *)right;
	int order = name_compare(a->bytes, b->bytes);
	if (order == 0)
		order = a->type - b->type;
	return order ? order : compare_data(a, b);
}

void records_sort(struct records *records)
{
	size_t kept = 0;
	if (records->count == 0)
		return;
	qsort(records->item, records->count, sizeof(struct record *), compare);
	for (size_t i = 1; i < records->count; i++) {
		if (compare(&records->item[kept], &records->item[i]) == 0)
			free(records->item[i]);
		else
			records->item[++kept] = records->item[i];
	}
	records->count = kept + 1;
}

size_t records_run(const struct records *records, size_t begin, bool same_type)
{
	const struct record *first = records->item[begin];
	size_t end = begin + 1;
	for (; end < records->count; end++) {
		const struct record *next = records->item[end];
		if (next->owner_size != first->owner_size ||
			memcmp(next->bytes, first->bytes, first->owner_size) != 0 ||
			(same_type && next->type != first->type))
			break;
	}
	return end - begin;
}

/* "TXT", or "TYPE4711" (RFC 3597 section 5). */
#define RECORD_TYPE_TEXT 16

static const char *print_type(uint16_t type, char text[RECORD_TYPE_TEXT])
{
	static const struct {
		uint16_t type;
		const char *text;
	} known[] = {
		{DNS_TYPE_A, "A"},
		{DNS_TYPE_NS, "NS"},
		{DNS_TYPE_CNAME, "CNAME"},
		{DNS_TYPE_SOA, "SOA"},
		{DNS_TYPE_PTR, "PTR"},
		{DNS_TYPE_MX, "MX"},
		{DNS_TYPE_TXT, "TXT"},
		{DNS_TYPE_AAAA, "AAAA"},
		{DNS_TYPE_SRV, "SRV"},
		{DNS_TYPE_DNAME, "DNAME"},
		{DNS_TYPE_DS, "DS"},
		{DNS_TYPE_RRSIG, "RRSIG"},
		{DNS_TYPE_NSEC, "NSEC"},
		{DNS_TYPE_DNSKEY, "DNSKEY"},
		{DNS_TYPE_NSEC3, "NSEC3"},
		{DNS_TYPE_NSEC3PARAM, "NSEC3PARAM"},
		{DNS_TYPE_CDS, "CDS"},
		{DNS_TYPE_CDNSKEY, "CDNSKEY"},
		{DNS_TYPE_SVCB, "SVCB"},
		{DNS_TYPE_HTTPS, "HTTPS"},
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].type == type) {
			snprintf(text, RECORD_TYPE_TEXT, "%s", known[i].text);
			return text;
		}
	}
	snprintf(text, RECORD_TYPE_TEXT, "TYPE%u", type);
	return text;
}

const char *record_print(const struct record *record, char text[RECORD_TEXT])
{
	char owner[NAME_TEXT], type[RECORD_TYPE_TEXT];
	int length = snprintf(text, RECORD_TEXT, "%.300s %s", name_print_wire(record->bytes, owner),
		print_type(record->type, type));
	if (record->line)
		snprintf(text + length, RECORD_TEXT - (size_t)length, " (line %u)", record->line);
	return text;
}
