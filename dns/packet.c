/* SPDX-License-Identifier: ISC */
#include "dns/packet.h"

#include <string.h>

#include "dns/wire.h"

#define RECORD_FIXED_SIZE  10 /* type, class, TTL, length of the data */
#define OPTION_HEAD_SIZE   4  /* code, length of the data */
#define COOKIE_CLIENT_SIZE 8
#define COOKIE_MIN_SIZE    16 /* with a server's */

struct reader {
	const uint8_t *begin, *at, *end;
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
	out->qclass = wire_get16(reader->at + name_size + 2);
	reader->at += out->question_size;
	return 0;
}

/* RFC 7873 section 5.2.2: a cookie of an impossible size is malformed. Of several the first
 * counts. */
static int read_cookie(const uint8_t *data, size_t size, struct query *out)
{
	if (size != COOKIE_CLIENT_SIZE && (size < COOKIE_MIN_SIZE || size > sizeof(out->cookie)))
		return DNS_RCODE_FORMERR;
	if (out->cookie_size == 0) {
		out->cookie_size = (uint8_t)size;
		memcpy(out->cookie, data, size);
	}
	return 0;
}

/* What is said in an option that only asks is ignored (RFC 5001 section 2.1); a keepalive with a
 * timeout is an answer's (RFC 7828 section 3.2.1). */
static int read_option(uint16_t code, const uint8_t *data, size_t size, struct query *out)
{
	switch (code) {
	case DNS_OPTION_COOKIE:
		return read_cookie(data, size, out);
	case DNS_OPTION_NSID:
		out->wants |= QUERY_WANTS_NSID;
		return 0;
	case DNS_OPTION_KEEPALIVE:
		out->wants |= size == 0 ? QUERY_WANTS_KEEPALIVE : 0;
		return 0;
	default:
		return 0;
	}
}

static int read_options(const uint8_t *at, size_t left, struct query *out)
{
	while (left > 0) {
		if (left < OPTION_HEAD_SIZE)
			return DNS_RCODE_FORMERR;
		size_t size = wire_get16(at + 2);
		if (left - OPTION_HEAD_SIZE < size)
			return DNS_RCODE_FORMERR;
		int rcode = read_option(wire_get16(at), at + OPTION_HEAD_SIZE, size, out);
		if (rcode != 0)
			return rcode;
		at += OPTION_HEAD_SIZE + size;
		left -= OPTION_HEAD_SIZE + size;
	}
	return 0;
}

/* `fixed` is behind the owner's name. The layout of the options is known of version 0 only. */
static int read_opt(const uint8_t *fixed, size_t owner_size, struct query *out)
{
	uint8_t version = fixed[5];
	if (owner_size != 1 || out->edns)
		return DNS_RCODE_FORMERR;
	out->edns = true;
	out->payload = wire_get16(fixed + 2);
	if (out->payload < 512)
		out->payload = 512;
	out->dnssec_ok = wire_get16(fixed + 6) & DNS_OPT_FLAG_DO;
	out->compact_ok = wire_get16(fixed + 6) & DNS_OPT_FLAG_CO;
	if (version != 0)
		return DNS_RCODE_BADVERS;
	return read_options(fixed + RECORD_FIXED_SIZE, wire_get16(fixed + 8), out);
}

/* One record of the additional section, behind which `left` more follow. A signature with a public key
 * (RFC 2931) is refused; any other record has no meaning in a query. */
static int read_additional(struct reader *reader, unsigned left, struct query *out)
{
	size_t owner_size = name_measure(reader->at, reader_left(reader));
	if (owner_size == 0 || reader_left(reader) < owner_size + RECORD_FIXED_SIZE)
		return DNS_RCODE_FORMERR;
	const uint8_t *record = reader->at, *fixed = record + owner_size;
	size_t size = owner_size + RECORD_FIXED_SIZE + wire_get16(fixed + 8);
	if (reader_left(reader) < size)
		return DNS_RCODE_FORMERR;
	reader->at += size;
	switch (wire_get16(fixed)) {
	case DNS_TYPE_OPT:
		return read_opt(fixed, owner_size, out);
	case DNS_TYPE_TSIG:
		out->tsig = (uint16_t)(record - reader->begin);
		return left > 0 ? DNS_RCODE_FORMERR : 0;
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
	while (count-- > 0) {
		int rcode = read_additional(reader, count, out);
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
	case DNS_TYPE_NXNAME: /* RFC 9824 section 3.5 */
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
	struct reader reader = {bytes, bytes + DNS_HEADER_SIZE, bytes + size};
	/* RFC 9619: a query has exactly one question. */
	if (wire_get16(bytes + 4) != 1 || wire_get16(bytes + 6) != 0 ||
		wire_get16(bytes + 8) != 0 || bytes[3] & DNS_RCODE_MASK)
		return DNS_RCODE_FORMERR;
	int rcode = read_question(&reader, out);
	if (rcode != 0)
		return rcode;
	rcode = read_records(&reader, wire_get16(bytes + 10), out);
	if (rcode != 0)
		return rcode;
	if (out->qclass != DNS_CLASS_IN)
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
		.checks = bytes[3] & (DNS_FLAG_AD | DNS_FLAG_CD),
		.payload = 512,
	};
	/* What stands behind the header of another opcode is not for us to judge. */
	if (bytes[2] & DNS_OPCODE_MASK)
		return DNS_RCODE_NOTIMP;
	int rcode = read_body(bytes, size, out);
	/* Nothing of a malformed packet's EDNS is to be trusted, nor answered to. */
	if (rcode == DNS_RCODE_FORMERR) {
		out->edns = out->dnssec_ok = false;
		out->cookie_size = out->wants = 0;
		out->tsig = 0;
	}
	return rcode;
}
