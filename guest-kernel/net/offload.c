/* SPDX-License-Identifier: ISC */
#include "guest-kernel/net/offload.h"

#include <string.h>

#define ETHERNET      14
#define ETHERNET_TYPE 12
#define TYPE_IPV4     0x0800
#define TYPE_IPV6     0x86dd
#define PROTOCOL_TCP  6
#define IP_PACKET_MAX 65535u
/* Less is no bulk, and not taken for one by the network (SEGMENT_MIN of summon-vmm/rings.c). */
#define SEGMENT_MIN   256

/* Offsets within IPv4's header (RFC 791, 3.1), without options; */
enum {
	V4_LENGTH = 2,
	V4_FRAGMENT = 6,
	V4_PROTOCOL = 9,
	V4_CHECKSUM = 10,
	V4_SOURCE = 12,
	V4_SIZE = 20
};
/* IPv6's (RFC 8200, 3), without extensions; */
enum { V6_LENGTH = 4, V6_PROTOCOL = 6, V6_SOURCE = 8, V6_SIZE = 40 };
/* and TCP's (RFC 9293, 3.1). */
enum {
	TCP_SEQUENCE = 4,
	TCP_ACKNOWLEDGED = 8,
	TCP_DATA = 12,
	TCP_FLAGS = 13,
	TCP_CHECKSUM = 16,
	TCP_SIZE = 20
};
enum { FIN = 1, PSH = 8, ACK = 16 };

static uint16_t read16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t read32(const uint8_t *at)
{
	return (uint32_t)read16(at) << 16 | read16(at + 2);
}

static void write16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* RFC 1071 */
static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)(sum + (sum >> 16));
}

static uint32_t add_words(uint32_t sum, const uint8_t *at, size_t size)
{
	for (size_t i = 0; i < size; i += 2)
		sum += read16(at + i);
	return sum;
}

/* Where things are in a frame. */
struct segment {
	bool is_ipv6;
	size_t tcp, data, end; /* offsets in the frame; `end` is without an Ethernet trailer */
};

static bool find_tcp(const uint8_t *frame, size_t size, struct segment *out)
{
	const uint8_t *ip = frame + ETHERNET;
	if (size < ETHERNET + V4_SIZE)
		return false;
	switch (read16(frame + ETHERNET_TYPE)) {
	case TYPE_IPV4:
		*out = (struct segment){
			false, ETHERNET + V4_SIZE, 0, ETHERNET + read16(ip + V4_LENGTH)};
		return ip[0] == 0x45 && ip[V4_PROTOCOL] == PROTOCOL_TCP &&
		       (read16(ip + V4_FRAGMENT) & 0x3fff) == 0;
	case TYPE_IPV6:
		if (size < ETHERNET + V6_SIZE)
			return false;
		*out = (struct segment){
			true, ETHERNET + V6_SIZE, 0, ETHERNET + V6_SIZE + read16(ip + V6_LENGTH)};
		return ip[V6_PROTOCOL] == PROTOCOL_TCP;
	default:
		return false;
	}
}

static bool find_segment(const struct offload_frame *f, struct segment *out)
{
	size_t whole = f->size + f->tail_size;
	if (!find_tcp(f->bytes, f->size, out) || out->end > whole ||
		out->tcp + TCP_SIZE > f->size || out->tcp + TCP_SIZE > out->end)
		return false;
	size_t header = (size_t)(f->bytes[out->tcp + TCP_DATA] >> 4) * 4;
	out->data = out->tcp + header;
	return header >= TCP_SIZE && out->data <= out->end && out->data <= f->size &&
	       (f->tail_size == 0 || out->end == whole);
}

/* The sum over the pseudo header, which stands where the checksum belongs. */
static void write_pseudo_sum(uint8_t *frame, const struct segment *s)
{
	const uint8_t *ip = frame + ETHERNET;
	uint32_t sum = PROTOCOL_TCP + (uint32_t)(s->end - s->tcp);
	sum = s->is_ipv6 ? add_words(sum, ip + V6_SOURCE, 32) : add_words(sum, ip + V4_SOURCE, 8);
	write16(frame + s->tcp + TCP_CHECKSUM, fold(sum));
}

void offload_checksum(const struct offload_frame *frame)
{
	struct segment s;
	*frame->header = (struct summon_frame_header){0};
	if (!find_segment(frame, &s))
		return;
	write_pseudo_sum(frame->bytes, &s);
	frame->header->flags = SUMMON_FRAME_NEEDS_CHECKSUM;
	frame->header->checksum_start = (uint16_t)s.tcp;
	frame->header->checksum_offset = TCP_CHECKSUM;
}

/* ---- one frame of many segments ---- */

static bool same(const uint8_t *a, const uint8_t *b, size_t from, size_t to)
{
	return memcmp(a + from, b + from, to - from) == 0;
}

/* Everything that is repeated when the frame is taken apart: all but lengths, IPv4's identification
 * and checksum, TCP's sequence number, flags and checksum. */
static bool has_same_headers(const uint8_t *a, const uint8_t *b, const struct segment *s)
{
	const size_t ip = ETHERNET, tcp = s->tcp;
	bool same_ip = s->is_ipv6 ? same(a, b, ip, ip + V6_LENGTH) &&
					    same(a, b, ip + V6_PROTOCOL, ip + V6_SIZE)
				  : same(a, b, ip, ip + V4_LENGTH) &&
					    same(a, b, ip + V4_FRAGMENT, ip + V4_CHECKSUM) &&
					    same(a, b, ip + V4_SOURCE, ip + V4_SIZE);
	return same_ip && same(a, b, 0, ip) && same(a, b, tcp, tcp + TCP_SEQUENCE) &&
	       same(a, b, tcp + TCP_ACKNOWLEDGED, tcp + TCP_FLAGS) &&
	       same(a, b, tcp + TCP_FLAGS + 1, tcp + TCP_CHECKSUM) &&
	       same(a, b, tcp + TCP_CHECKSUM + 2, s->data);
}

/* Whether segments of `unit` bytes, all of them full up to here, go on with `next`. */
static bool follows(const uint8_t *frame, const struct segment *s, const uint8_t *next,
	const struct segment *n, size_t unit)
{
	size_t data = s->end - s->data, more = n->end - n->data;
	return unit >= SEGMENT_MIN && data % unit == 0 && more > 0 && more <= unit &&
	       s->end + more - ETHERNET <= IP_PACKET_MAX && frame[s->tcp + TCP_FLAGS] == ACK &&
	       (next[n->tcp + TCP_FLAGS] & ~(FIN | PSH)) == ACK &&
	       read32(next + n->tcp + TCP_SEQUENCE) ==
		       read32(frame + s->tcp + TCP_SEQUENCE) + (uint32_t)data;
}

static void write_lengths(uint8_t *frame, const struct segment *s)
{
	uint8_t *ip = frame + ETHERNET;
	write_pseudo_sum(frame, s);
	if (s->is_ipv6) {
		write16(ip + V6_LENGTH, (uint32_t)(s->end - s->tcp));
		return;
	}
	write16(ip + V4_LENGTH, (uint32_t)(s->end - ETHERNET));
	write16(ip + V4_CHECKSUM, 0);
	write16(ip + V4_CHECKSUM, (uint16_t)~fold(add_words(0, ip, V4_SIZE)));
}

/* Whether what `next` carries lies, or can be made to lie, right behind what *frame carries. */
static bool can_join(const struct offload_frame *frame, const struct offload_frame *next,
	const struct segment *n)
{
	if (!frame->tail_size && !next->tail_size)
		return true;
	return frame->tail_size && next->tail_size && n->data == next->size &&
	       frame->tail + frame->tail_size == next->tail;
}

bool offload_append(struct offload_frame *frame, const struct offload_frame *next)
{
	struct segment s, n;
	struct summon_frame_header *header = frame->header;
	if (!find_segment(frame, &s) || !find_segment(next, &n))
		return false;
	size_t unit = header->segments ? header->segment_size : s.end - s.data;
	size_t more = n.end - n.data;
	if (s.is_ipv6 != n.is_ipv6 || s.data != n.data || !can_join(frame, next, &n) ||
		!has_same_headers(frame->bytes, next->bytes, &s) ||
		!follows(frame->bytes, &s, next->bytes, &n, unit))
		return false;
	/* What is said once for all of them, the last one says. */
	frame->bytes[s.tcp + TCP_FLAGS] = next->bytes[n.tcp + TCP_FLAGS];
	if (next->tail_size) {
		frame->tail_size += more;
	} else {
		memmove(frame->bytes + s.end, next->bytes + n.data, more);
		frame->size = s.end + more;
	}
	s.end += more;
	write_lengths(frame->bytes, &s);
	header->segments = s.is_ipv6 ? SUMMON_FRAME_TCP6 : SUMMON_FRAME_TCP4;
	header->headers_size = (uint16_t)s.data;
	header->segment_size = (uint16_t)unit;
	return true;
}
