/* SPDX-License-Identifier: ISC */
#include <netinet/in.h>
#include <string.h>

#include "launcher/link/packet.h"

/* The answers of packet.h: what a sender hears of a packet that is not let in. */

enum { IPV4_HEADER = 20, IPV6_HEADER = 40, TCP_HEADER = 20, ICMP_HEADER = 8 };
enum { TCP_RST = 4, TCP_ACK = 16, HOPS = 64 };
/* RFC 1812, 4.3.2.3: an IPv4 error is at most this long; RFC 4443, 2.4: an IPv6 one fits into the
 * least MTU, which PACKET_ANSWER_MAX is. */
enum { IPV4_ERROR_MAX = 576 };

static void write16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void write32(uint8_t *at, uint32_t value)
{
	write16(at, value >> 16);
	write16(at + 2, value & 0xffff);
}

/* RFC 1071: the sum of 16-bit words in ones' complement, not yet folded. */
static uint32_t sum(const uint8_t *at, size_t length, uint32_t start)
{
	uint32_t total = start;
	for (size_t i = 0; i + 1 < length; i += 2)
		total += (uint32_t)(at[i] << 8 | at[i + 1]);
	return length % 2 ? total + (uint32_t)(at[length - 1] << 8) : total;
}

static uint16_t fold(uint32_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return (uint16_t)~total;
}

/* Writes the IP header in front of a payload that is there already; the checksum of the payload is
 * at `checksum` in it. Addresses are those of the packet, the other way round. */
static size_t finish(
	const struct packet *packet, uint8_t *out, uint8_t protocol, size_t length, size_t checksum)
{
	size_t size = ip_address_size(&packet->source);
	bool six = packet->source.family == AF_INET6;
	size_t header = six ? IPV6_HEADER : IPV4_HEADER;
	uint8_t *addresses = out + (six ? 8 : 12);
	memset(out, 0, header);
	memcpy(addresses, packet->destination.bytes, size);
	memcpy(addresses + size, packet->source.bytes, size);
	/* ICMP of IPv4 is the one without a pseudo-header. */
	uint32_t pseudo = protocol == IPPROTO_ICMP
				  ? 0
				  : sum(addresses, 2 * size, (uint32_t)length + protocol);
	write16(out + header + checksum, fold(sum(out + header, length, pseudo)));
	if (six) {
		out[0] = 0x60;
		write16(out + 4, (uint32_t)length);
		out[6] = protocol;
		out[7] = HOPS;
	} else {
		out[0] = 0x45;
		write16(out + 2, (uint32_t)(header + length));
		write16(out + 6, 0x4000); /* do not fragment */
		out[8] = HOPS;
		out[9] = protocol;
		write16(out + 10, fold(sum(out, header, 0)));
	}
	return header + length;
}

static size_t reset(const struct packet *packet, uint8_t *out)
{
	bool six = packet->source.family == AF_INET6;
	uint8_t *tcp = out + (six ? IPV6_HEADER : IPV4_HEADER);
	memset(tcp, 0, TCP_HEADER);
	write16(tcp, packet->port);
	write16(tcp + 2, packet->source_port);
	tcp[12] = TCP_HEADER / 4 << 4;
	tcp[13] = TCP_RST;
	if (packet->acknowledges) {
		write32(tcp + 4, packet->acknowledgement);
	} else {
		write32(tcp + 8, packet->sequence + packet->segment_length);
		tcp[13] |= TCP_ACK;
	}
	return finish(packet, out, IPPROTO_TCP, TCP_HEADER, 16);
}

/* RFC 792: destination unreachable is type 3. RFC 4443, 3.1: type 1. */
static const struct {
	uint8_t code4, code6;
} unreachable[] = {
	[PACKET_ANSWER_PORT] = {3, 4},
	[PACKET_ANSWER_HOST] = {1, 3},
	[PACKET_ANSWER_PROHIBITED] = {13, 1},
};

static size_t tell_unreachable(const struct packet *packet, enum packet_answer answer, uint8_t *out)
{
	bool six = packet->source.family == AF_INET6;
	size_t header = six ? IPV6_HEADER : IPV4_HEADER;
	size_t room = (six ? PACKET_ANSWER_MAX : IPV4_ERROR_MAX) - header - ICMP_HEADER;
	size_t quoted = packet->length < room ? packet->length : room;
	uint8_t *icmp = out + header;
	memset(icmp, 0, ICMP_HEADER);
	icmp[0] = six ? 1 : 3;
	icmp[1] = six ? unreachable[answer].code6 : unreachable[answer].code4;
	memcpy(icmp + ICMP_HEADER, packet->data, quoted);
	return finish(packet, out, six ? IPPROTO_ICMPV6 : IPPROTO_ICMP, ICMP_HEADER + quoted, 2);
}

size_t packet_answer(
	const struct packet *packet, enum packet_answer answer, uint8_t out[PACKET_ANSWER_MAX])
{
	bool tcp = packet->kind == PACKET_TCP_SYN || packet->kind == PACKET_TCP_MORE;
	if (packet->error || packet->kind == PACKET_TCP_RESET || packet->kind == PACKET_FRAGMENT)
		return 0;
	if (answer == PACKET_ANSWER_RESET)
		return tcp ? reset(packet, out) : 0;
	return tell_unreachable(packet, answer, out);
}
