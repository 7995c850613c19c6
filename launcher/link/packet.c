/* SPDX-License-Identifier: ISC */
#include "launcher/link/packet.h"

#include <netinet/in.h>
#include <string.h>

enum {
	IPV4_HEADER = 20,
	IPV6_HEADER = 40,
	TCP_HEADER = 20,
	UDP_HEADER = 8,
	ICMP_HEADER = 8,
	EXTENSIONS_MOST = 8, /* of IPv6 headers; more are nobody's */
};

enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };
enum { ICMP_ECHO_REQUEST = 8, ICMP_ECHO_REPLY = 0, ICMPV6_ECHO_REQUEST = 128 };

static uint16_t read16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t read32(const uint8_t *at)
{
	return (uint32_t)read16(at) << 16 | read16(at + 2);
}

/* --- what is behind the IP header --- */

static enum packet_fault parse_tcp(struct packet *out, const uint8_t *at, size_t length)
{
	if (length < TCP_HEADER)
		return PACKET_MALFORMED;
	size_t header = (size_t)(at[12] >> 4) * 4;
	if (header < TCP_HEADER || header > length)
		return PACKET_MALFORMED;
	uint8_t flags = at[13] & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK);
	/* SYN beside RST or FIN is no segment of anybody's but scanners'. */
	if ((flags & TCP_SYN) && (flags & (TCP_RST | TCP_FIN)))
		return PACKET_MALFORMED;
	out->kind = flags & TCP_RST    ? PACKET_TCP_RESET
		    : flags == TCP_SYN ? PACKET_TCP_SYN
				       : PACKET_TCP_MORE;
	out->source_port = read16(at);
	out->port = read16(at + 2);
	out->sequence = read32(at + 4);
	out->acknowledgement = read32(at + 8);
	out->acknowledges = flags & TCP_ACK;
	out->segment_length =
		(uint32_t)(length - header) + !!(flags & TCP_SYN) + !!(flags & TCP_FIN);
	return out->port && out->source_port ? PACKET_FINE : PACKET_MALFORMED;
}

static enum packet_fault parse_udp(struct packet *out, const uint8_t *at, size_t length)
{
	if (length < UDP_HEADER)
		return PACKET_MALFORMED;
	size_t claimed = read16(at + 4);
	if (claimed < UDP_HEADER || (claimed > length && !out->more))
		return PACKET_MALFORMED;
	out->kind = PACKET_UDP;
	out->source_port = read16(at);
	out->port = read16(at + 2);
	return out->port ? PACKET_FINE : PACKET_MALFORMED;
}

static enum packet_fault parse_icmp(struct packet *out, const uint8_t *at, size_t length)
{
	if (length < ICMP_HEADER)
		return PACKET_MALFORMED;
	bool six = out->protocol == IPPROTO_ICMPV6;
	out->kind = at[0] == (six ? ICMPV6_ECHO_REQUEST : ICMP_ECHO_REQUEST) ? PACKET_PING
									     : PACKET_OTHER;
	/* Nothing else of ICMP is answered: what is no question is an error or an answer. */
	out->error = out->kind != PACKET_PING;
	return PACKET_FINE;
}

static enum packet_fault parse_payload(struct packet *out, const uint8_t *at, size_t length)
{
	switch (out->protocol) {
	case IPPROTO_TCP:
		return parse_tcp(out, at, length);
	case IPPROTO_UDP:
		return parse_udp(out, at, length);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return parse_icmp(out, at, length);
	}
	out->kind = PACKET_OTHER;
	return PACKET_FINE;
}

/* --- IPv4 --- */

static struct ip_address take_address(uint8_t family, const uint8_t *at)
{
	struct ip_address address = {.family = family};
	memcpy(address.bytes, at, ip_address_size(&address));
	return address;
}

/* 0/8, loopback, multicast and above are no host's address. */
static bool is_host4(const uint8_t *address)
{
	return address[0] != 0 && address[0] != 127 && address[0] < 224;
}

static enum packet_fault parse_ipv4(struct packet *out, const uint8_t *data, size_t length)
{
	if (length < IPV4_HEADER)
		return PACKET_MALFORMED;
	size_t header = (size_t)(data[0] & 15) * 4, total = read16(data + 2);
	if (header < IPV4_HEADER || header > total || total > length)
		return PACKET_MALFORMED;
	if (!is_host4(data + 12) || !is_host4(data + 16))
		return PACKET_NOISE;
	uint16_t fragment = read16(data + 6);
	out->length = total;
	out->source = take_address(AF_INET, data + 12);
	out->destination = take_address(AF_INET, data + 16);
	out->protocol = data[9];
	out->more = fragment & 0x2000;
	if (out->protocol == IPPROTO_ICMPV6)
		return PACKET_MALFORMED;
	if (out->more || (fragment & 0x1fff))
		out->fragment_id = read16(data + 4);
	if (fragment & 0x1fff) {
		out->kind = PACKET_FRAGMENT;
		return PACKET_FINE;
	}
	return parse_payload(out, data + header, total - header);
}

/* --- IPv6 --- */

/* Unspecified, loopback, link-local, and multicast addresses are no guest's and no client's. */
static bool is_host6(const uint8_t *address)
{
	static const uint8_t zeros[15];
	bool special = memcmp(address, zeros, sizeof(zeros)) == 0 && address[15] <= 1;
	bool link_local = address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
	return !special && !link_local && address[0] != 0xff;
}

static bool is_extension(uint8_t header)
{
	return header == IPPROTO_HOPOPTS || header == IPPROTO_ROUTING ||
	       header == IPPROTO_FRAGMENT || header == IPPROTO_DSTOPTS;
}

static enum packet_fault parse_extensions(
	struct packet *out, const uint8_t *data, uint8_t next, size_t at)
{
	for (int count = 0; is_extension(next); count++) {
		if (count == EXTENSIONS_MOST || out->length - at < 8)
			return PACKET_MALFORMED;
		const uint8_t *header = data + at;
		size_t size = next == IPPROTO_FRAGMENT ? 8 : ((size_t)header[1] + 1) * 8;
		if (size > out->length - at)
			return PACKET_MALFORMED;
		if (next == IPPROTO_FRAGMENT) {
			uint16_t fragment = read16(header + 2);
			out->more = fragment & 1;
			out->fragment_id = read32(header + 4);
			out->protocol = header[0];
			if (fragment & 0xfff8) {
				out->kind = PACKET_FRAGMENT;
				return PACKET_FINE;
			}
		}
		next = header[0];
		at += size;
	}
	out->protocol = next;
	if (next == IPPROTO_ICMP)
		return PACKET_MALFORMED;
	return parse_payload(out, data + at, out->length - at);
}

static enum packet_fault parse_ipv6(struct packet *out, const uint8_t *data, size_t length)
{
	if (length < IPV6_HEADER)
		return PACKET_MALFORMED;
	size_t total = IPV6_HEADER + (size_t)read16(data + 4);
	if (total > length)
		return PACKET_MALFORMED;
	if (!is_host6(data + 8) || !is_host6(data + 24))
		return PACKET_NOISE;
	out->length = total;
	out->source = take_address(AF_INET6, data + 8);
	out->destination = take_address(AF_INET6, data + 24);
	return parse_extensions(out, data, data[6], IPV6_HEADER);
}

enum packet_fault packet_parse(uint8_t *data, size_t length, struct packet *out)
{
	struct packet packet = {.data = data};
	enum packet_fault fault = PACKET_MALFORMED;
	if (length > 0 && data[0] >> 4 == 4)
		fault = parse_ipv4(&packet, data, length);
	else if (length > 0 && data[0] >> 4 == 6)
		fault = parse_ipv6(&packet, data, length);
	/* Who writes to itself is nobody. */
	if (fault == PACKET_FINE && ip_address_equal(&packet.source, &packet.destination))
		fault = PACKET_MALFORMED;
	if (fault == PACKET_FINE)
		*out = packet;
	return fault;
}
