/* SPDX-License-Identifier: ISC */
#include "dns/transfer.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "dns/edns.h"
#include "dns/wire.h"

#define RECORD_FIXED 10
#define UDP_MAX_SIZE 512

CLEANUP_DEFINE(transfer_destroy, struct transfer *, transfer_destroy)

struct transfer {
	struct zone *zone; /* kept, whatever is served by now */
	struct tsig tsig;
	uint16_t id;
	uint8_t flags;
	uint16_t type;
	size_t next; /* record of the zone; its count: the SOA again */
	bool only_soa, tcp;
	struct query opt; /* what the request's OPT says, and nothing else */
	uint16_t question_size;
	uint8_t question[QUESTION_MAX_SIZE];
};

void transfer_destroy(struct transfer *transfer)
{
	if (!transfer)
		return;
	zone_destroy(transfer->zone);
	tsig_forget(&transfer->tsig);
	free(transfer);
}

/* --- the request --- */

struct asked {
	const uint8_t *question;
	size_t name_size, end; /* `end`: behind the question */
	uint16_t type;
	size_t tsig; /* where it begins; 0: there is none */
	bool edns, dnssec_ok;
	uint8_t version; /* of EDNS */
	bool has_serial;
	uint32_t serial; /* that an IXFR client has */
};

static bool read_question(const uint8_t *bytes, size_t size, struct asked *out)
{
	if (size < DNS_HEADER_SIZE || bytes[2] & (DNS_FLAG_QR | DNS_OPCODE_MASK) ||
		wire_get16(bytes + 4) != 1)
		return false;
	out->question = bytes + DNS_HEADER_SIZE;
	out->name_size = name_measure(out->question, size - DNS_HEADER_SIZE);
	if (out->name_size == 0 || size < DNS_HEADER_SIZE + out->name_size + 4)
		return false;
	out->type = wire_get16(out->question + out->name_size);
	out->end = DNS_HEADER_SIZE + out->name_size + 4;
	return out->type == DNS_TYPE_AXFR || out->type == DNS_TYPE_IXFR;
}

uint16_t transfer_asked(const uint8_t *bytes, size_t size)
{
	struct asked asked;
	return read_question(bytes, size, &asked) ? asked.type : 0;
}

/* The SOA that an IXFR client has. Its owner may be a pointer to the question, and nothing else. */
static bool read_soa(const uint8_t *bytes, size_t size, size_t *at, struct asked *out)
{
	size_t owner = name_measure(bytes + *at, size - *at);
	if (owner == 0 && size - *at >= 2 &&
		wire_get16(bytes + *at) == (DNS_POINTER | DNS_HEADER_SIZE))
		owner = 2;
	if (owner == 0 || size - *at < owner + RECORD_FIXED)
		return false;
	const uint8_t *fixed = bytes + *at + owner;
	size_t data = wire_get16(fixed + 8);
	if (wire_get16(fixed) != DNS_TYPE_SOA || data < 22 ||
		size - *at - owner - RECORD_FIXED < data)
		return false;
	out->serial = wire_get32(fixed + RECORD_FIXED + data - 20);
	out->has_serial = true;
	*at += owner + RECORD_FIXED + data;
	return true;
}

static void read_opt(const uint8_t *fixed, struct asked *out)
{
	out->edns = true;
	out->version = fixed[5];
	out->dnssec_ok = wire_get16(fixed + 6) & DNS_OPT_FLAG_DO;
}

/* One OPT, and TSIG as the last; nothing else. */
static bool read_additional(const uint8_t *bytes, size_t size, size_t at, struct asked *out)
{
	for (unsigned left = wire_get16(bytes + 10); left > 0; left--) {
		size_t owner = name_measure(bytes + at, size - at);
		if (owner == 0 || size - at < owner + RECORD_FIXED)
			return false;
		const uint8_t *fixed = bytes + at + owner;
		uint16_t type = wire_get16(fixed);
		size_t whole = owner + RECORD_FIXED + wire_get16(fixed + 8);
		if (size - at < whole || (type == DNS_TYPE_TSIG && left > 1) ||
			(type == DNS_TYPE_OPT ? owner != 1 || out->edns : type != DNS_TYPE_TSIG))
			return false;
		if (type == DNS_TYPE_TSIG)
			out->tsig = at;
		else
			read_opt(fixed, out);
		at += whole;
	}
	return at == size;
}

static bool read_request(const uint8_t *bytes, size_t size, struct asked *out)
{
	*out = (struct asked){0};
	if (!read_question(bytes, size, out) || wire_get16(bytes + 6) != 0 ||
		wire_get16(bytes + 8) != (out->type == DNS_TYPE_IXFR) || bytes[3] & DNS_RCODE_MASK)
		return false;
	size_t at = out->end;
	return (out->type == DNS_TYPE_AXFR || read_soa(bytes, size, &at, out)) &&
	       read_additional(bytes, size, at, out);
}

/* --- messages --- */

static uint64_t now_seconds(void)
{
	return clock_real() / NS_PER_S;
}

static size_t write_head(const struct transfer *transfer, unsigned rcode, uint8_t *out)
{
	memset(out, 0, DNS_HEADER_SIZE);
	wire_put16(out, transfer->id);
	out[2] = DNS_FLAG_QR | (rcode ? 0 : DNS_FLAG_AA) | transfer->flags;
	out[3] = rcode & DNS_RCODE_MASK;
	wire_put16(out + 4, transfer->question_size > 0);
	memcpy(out + DNS_HEADER_SIZE, transfer->question, transfer->question_size);
	return DNS_HEADER_SIZE + transfer->question_size;
}

/* The first message has an OPT where the request had one (RFC 5936 section 2.2.5). Returns its size. */
static size_t write_opt(
	const struct transfer *transfer, unsigned rcode, uint8_t *message, size_t size)
{
	const struct edns_reply nothing = {0};
	if (!transfer->opt.edns)
		return 0;
	wire_put16(message + 10, 1);
	return edns_write(&transfer->opt, (uint16_t)rcode, &nothing, DNS_OPT_SIZE, message + size);
}

/* The owner ends in a pointer to the question, which is the zone's name. 0: it does not fit. */
static size_t write_record(
	const struct transfer *transfer, const struct record *record, uint8_t *out, size_t room)
{
	size_t labels = (size_t)record->owner_size - transfer->zone->origin.size;
	size_t size = labels + 2 + RECORD_FIXED + record->data_size;
	if (size > room)
		return 0;
	memcpy(out, record->bytes, labels);
	out += labels;
	wire_put16(out, DNS_POINTER | DNS_HEADER_SIZE);
	wire_put16(out + 2, record->type);
	wire_put16(out + 4, DNS_CLASS_IN);
	wire_put32(out + 6, record->ttl);
	wire_put16(out + 10, record->data_size);
	memcpy(out + 12, record_data(record), record->data_size);
	return size;
}

/* The SOA comes first and last; where it stands among the rest it is left out. */
static const struct record *record_at(const struct transfer *transfer, size_t index)
{
	const struct records *records = &transfer->zone->records;
	if (index == 0 || index == records->count + 1)
		return zone_find_record(records, transfer->zone->origin.bytes, DNS_TYPE_SOA);
	const struct record *record = records->item[index - 1];
	return record->type == DNS_TYPE_SOA ? NULL : record;
}

size_t transfer_next(struct transfer *transfer, uint8_t *out, bool *more)
{
	size_t limit = transfer->tcp ? ANSWER_MAX_TCP : UDP_MAX_SIZE - tsig_size(&transfer->tsig);
	size_t size = write_head(transfer, 0, out);
	bool is_first = transfer->next == 0;
	limit -= is_first && transfer->opt.edns ? DNS_OPT_SIZE : 0;
	size_t end = transfer->only_soa ? 1 : transfer->zone->records.count + 2;
	uint16_t count = 0;
	for (; transfer->next < end; transfer->next++) {
		const struct record *record = record_at(transfer, transfer->next);
		size_t written = record && size < limit
					 ? write_record(transfer, record, out + size, limit - size)
					 : 0;
		if (record && written == 0)
			break;
		size += written;
		count += record != NULL;
	}
	wire_put16(out + 6, count);
	*more = transfer->tcp && transfer->next < end;
	/* A record that fits no message would come for ever. */
	if (count == 0 && transfer->tcp)
		return 0;
	out[2] |= count == 0 ? DNS_FLAG_TC : 0;
	size += is_first ? write_opt(transfer, 0, out, size) : 0;
	return tsig_sign(&transfer->tsig, out, size, now_seconds());
}

/* --- whether it may be --- */

static struct zone *find_zone(const struct names *names, const uint8_t *question)
{
	struct name name;
	name_fold(question, &name);
	for (size_t i = 0; i < names->zone_count; i++)
		if (name_compare(names->zones[i]->origin.bytes, name.bytes) == 0)
			return names->zones[i];
	return NULL;
}

static bool is_allowed(const struct zone *zone, const struct tsig *tsig)
{
	for (size_t i = 0; i < zone->transfer_count; i++)
		if (name_compare(zone->transfer[i].bytes, tsig->name) == 0)
			return zone->key_count == 0;
	return false;
}

/* 0, or the RCODE of the refusal. */
static unsigned decide(struct responder *responder, const struct request *request,
	const struct asked *asked, struct transfer *transfer)
{
	struct zone *zone = find_zone(&responder->names, asked->question);
	if (asked->version != 0)
		return DNS_RCODE_BADVERS;
	if (asked->tsig == 0)
		return DNS_RCODE_REFUSED;
	int rcode = respond_verify(responder, request, asked->tsig, &transfer->tsig);
	if (rcode != 0)
		return (unsigned)rcode;
	if (wire_get16(asked->question + asked->name_size + 2) != DNS_CLASS_IN || !zone)
		return DNS_RCODE_NOTAUTH;
	if (!is_allowed(zone, &transfer->tsig))
		return DNS_RCODE_REFUSED;
	if (!access_allows(&responder->access, asked->question, &request->client->source.any)) {
		responder->counters.prohibited++;
		return DNS_RCODE_REFUSED;
	}
	transfer->zone = zone_keep(zone);
	transfer->only_soa = !transfer->tcp || (asked->has_serial && asked->serial == zone->serial);
	return 0;
}

static void count(struct dns_counters *counters, unsigned rcode)
{
	uint64_t *counter = rcode == DNS_RCODE_NOERROR    ? &counters->answered
			    : rcode == DNS_RCODE_FORMERR  ? &counters->malformed
			    : rcode == DNS_RCODE_REFUSED  ? &counters->refused
			    : rcode == DNS_RCODE_SERVFAIL ? &counters->servfail
							  : &counters->unsupported;
	(*counter)++;
}

size_t transfer_begin(struct responder *responder, const struct request *request,
	struct transfer **out, uint8_t *message)
{
	struct asked asked;
	size_t written;
	CLEANUP(transfer_destroy) struct transfer *transfer = calloc(1, sizeof(*transfer));
	if (!transfer || request->size < DNS_HEADER_SIZE)
		return 0;
	transfer->tcp = request->client->tcp;
	transfer->id = wire_get16(request->bytes);
	transfer->flags = request->bytes[2] & DNS_FLAG_RD;
	bool whole = read_request(request->bytes, request->size, &asked);
	if (asked.end > 0) {
		transfer->type = asked.type;
		transfer->question_size = (uint16_t)(asked.name_size + 4);
		memcpy(transfer->question, asked.question, transfer->question_size);
	}
	transfer->opt = (struct query){.edns = asked.edns, .dnssec_ok = asked.dnssec_ok};
	if (!whole) {
		count(&responder->counters, DNS_RCODE_FORMERR);
		written = write_head(transfer, DNS_RCODE_FORMERR, message);
		return written + write_opt(transfer, DNS_RCODE_FORMERR, message, written);
	}
	unsigned rcode = decide(responder, request, &asked, transfer);
	bool more = false;
	count(&responder->counters, rcode);
	if (rcode == 0) {
		written = transfer_next(transfer, message, &more);
	} else {
		written = write_head(transfer, rcode, message);
		written += write_opt(transfer, rcode, message, written);
		if (transfer->tsig.name_size > 0 && rcode != DNS_RCODE_FORMERR)
			written = tsig_sign(&transfer->tsig, message, written, now_seconds());
	}
	if (more)
		*out = STEAL_POINTER(transfer);
	return written;
}
