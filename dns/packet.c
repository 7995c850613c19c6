/* SPDX-License-Identifier: ISC */
#include "dns/packet.h"

#include "dns/wire.h"

#define RECORD_FIXED_SIZE 10 /* type, class, TTL, length of the data */

struct reader {
	const uint8_t *at, *end;
};

static size_t reader_left(const struct reader *reader)
{
	return (size_t)(reader->end - reader->at);
}

static int read_question(struct reader *reader, struct query *out)
{
	size_t name_size = name_measure(reader->at, reader_left(reader));
	if (name_size == 0 || reader_left(reader) < name_size + 4)
		return DNS_RCODE_FORMERR;
	out->question = reader->at;
	out->name_size = (uint16_t)name_size;
	out->question_size = (uint16_t)(name_size + 4);
	out->type = wire_get16(reader->at + name_size);
	reader->at += out->question_size;
	return 0;
}

static bool options_fit(const uint8_t *at, size_t left)
{
	while (left > 0) {
		if (left < 4)
			return false;
		size_t size = 4u + wire_get16(at + 2);
		if (left < size)
			return false;
		at += size;
		left -= size;
	}
	return true;
}

/* `fixed` is behind the owner's name. The layout of the options is known of version 0 only. */
static int read_opt(const uint8_t *fixed, size_t owner_size, struct query *out)
{
	uint16_t data_size = wire_get16(fixed + 8);
	uint8_t version = fixed[5];
	if (owner_size != 1 || out->edns)
		return DNS_RCODE_FORMERR;
	if (version == 0 && !options_fit(fixed + RECORD_FIXED_SIZE, data_size))
		return DNS_RCODE_FORMERR;
	out->edns = true;
	out->payload = wire_get16(fixed + 2);
	if (out->payload < 512)
		out->payload = 512;
	out->dnssec_ok = wire_get16(fixed + 6) & DNS_OPT_FLAG_DO;
	return version == 0 ? 0 : DNS_RCODE_BADVERS;
}

/* One record of the additional section. No key is known for a signature, so that a signed query is
 * refused; any other record has no meaning in a query. */
static int read_additional(struct reader *reader, struct query *out)
{
	size_t owner_size = name_measure(reader->at, reader_left(reader));
	if (owner_size == 0 || reader_left(reader) < owner_size + RECORD_FIXED_SIZE)
		return DNS_RCODE_FORMERR;
	const uint8_t *fixed = reader->at + owner_size;
	size_t size = owner_size + RECORD_FIXED_SIZE + wire_get16(fixed + 8);
	if (reader_left(reader) < size)
		return DNS_RCODE_FORMERR;
	reader->at += size;
	switch (wire_get16(fixed)) {
	case DNS_TYPE_OPT:
		return read_opt(fixed, owner_size, out);
	case DNS_TYPE_TSIG:
	case DNS_TYPE_SIG:
		return DNS_RCODE_REFUSED;
	default:
		return DNS_RCODE_FORMERR;
	}
}

/* A malformed record outweighs a refused one, wherever it stands. */
static int read_records(struct reader *reader, unsigned count, struct query *out)
{
	int verdict = 0;
	for (; count > 0; count--) {
		int rcode = read_additional(reader, out);
		if (rcode == DNS_RCODE_FORMERR)
			return rcode;
		if (rcode != 0 && verdict == 0)
			verdict = rcode;
	}
	return reader_left(reader) == 0 ? verdict : DNS_RCODE_FORMERR;
}

/* RFC 6895 section 3.1: types that are no data of a name. */
static int check_type(uint16_t type)
{
	switch (type) {
	case 0:
	case DNS_TYPE_OPT:
		return DNS_RCODE_FORMERR;
	case DNS_TYPE_TKEY:
	case DNS_TYPE_TSIG:
	case DNS_TYPE_IXFR:
	case DNS_TYPE_AXFR:
	case DNS_TYPE_MAILB:
	case DNS_TYPE_MAILA:
		return DNS_RCODE_REFUSED;
	default:
		return 0;
	}
}

static int read_body(const uint8_t *bytes, size_t size, struct query *out)
{
	struct reader reader = {bytes + DNS_HEADER_SIZE, bytes + size};
	/* RFC 9619: a query has exactly one question. */
	if (wire_get16(bytes + 4) != 1 || wire_get16(bytes + 6) != 0 || wire_get16(bytes + 8) != 0)
		return DNS_RCODE_FORMERR;
	int rcode = read_question(&reader, out);
	if (rcode != 0)
		return rcode;
	rcode = read_records(&reader, wire_get16(bytes + 10), out);
	if (rcode != 0)
		return rcode;
	if (wire_get16(out->question + out->name_size + 2) != DNS_CLASS_IN)
		return DNS_RCODE_REFUSED;
	return check_type(out->type);
}

int packet_read(const uint8_t *bytes, size_t size, struct query *out)
{
	if (size < DNS_HEADER_SIZE || bytes[2] & DNS_FLAG_QR)
		return PACKET_DROP;
	*out = (struct query){
		.id = wire_get16(bytes),
		.flags = bytes[2] & (DNS_OPCODE_MASK | DNS_FLAG_RD),
		.payload = 512,
	};
	/* What stands behind the header of another opcode is not for us to judge. */
	if (bytes[2] & DNS_OPCODE_MASK)
		return DNS_RCODE_NOTIMP;
	int rcode = read_body(bytes, size, out);
	/* Nothing of a malformed packet's EDNS is to be trusted, nor answered to. */
	if (rcode == DNS_RCODE_FORMERR)
		out->edns = false;
	return rcode;
}
