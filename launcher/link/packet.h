/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_PACKET_H
#define LAUNCHER_LINK_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

/*
 * Packets as strangers send them: IPv4 (RFC 791), IPv6 (RFC 8200), and what of TCP (RFC 9293), UDP
 * (RFC 768) and ICMP (RFC 792, RFC 4443) is needed to judge them. Pure functions; nothing in a
 * packet is believed before its length was checked.
 */
#define PACKET_MAX 65535

enum packet_kind {
	PACKET_TCP_SYN,  /* asks for a connection: SYN and neither ACK, RST nor FIN */
	PACKET_TCP_MORE, /* any other segment but a reset */
	PACKET_TCP_RESET,
	PACKET_UDP,
	PACKET_PING,     /* echo request */
	PACKET_FRAGMENT, /* a later piece of a datagram: it has no ports */
	PACKET_OTHER,
};

/* Ports, sequence numbers and the like are in host order. Those that a kind does not have are 0. */
struct packet {
	enum packet_kind kind;
	struct ip_address source, destination;
	uint16_t source_port, port;
	uint32_t sequence, acknowledgement; /* TCP */
	uint32_t segment_length;            /* TCP: SEG.LEN, with SYN and FIN counted */
	bool acknowledges;                  /* TCP: ACK is set */
	bool more;                          /* the first piece of a datagram: fragments follow */
	bool error;                         /* ICMP or ICMPv6 that must never be answered */
	uint32_t fragment_id;               /* of a piece of a datagram */
	uint8_t protocol;                   /* after IPv6's extension headers */
	uint8_t *data;                      /* the whole packet; borrowed */
	size_t length;                      /* by the IP header: what is behind it is cut off */
};

enum packet_fault {
	PACKET_FINE,
	PACKET_NOISE,     /* to many, or from nobody: nothing that a guest waits for */
	PACKET_MALFORMED, /* its headers contradict each other or its length */
};

/* Reads the packet at data, which *out borrows. Filled only where the result is PACKET_FINE. */
enum packet_fault packet_parse(uint8_t *data, size_t length, struct packet *out);

/* What is said to the sender of a packet that is not let in. */
enum packet_answer {
	PACKET_ANSWER_RESET, /* TCP: as a closed port (RFC 9293, 3.10.7.1) */
	PACKET_ANSWER_PORT,  /* ICMP: port unreachable */
	PACKET_ANSWER_HOST,  /* ICMP: host (IPv6: address) unreachable */
	PACKET_ANSWER_PROHIBITED,
};

/* An answer quotes of its cause what fits into the least MTU of its family. */
#define PACKET_ANSWER_MAX 1280

/* Writes the answer, from the packet's destination to its source; returns its length, 0 where
 * there must be none (a reset, an error, a later fragment). */
size_t packet_answer(
	const struct packet *packet, enum packet_answer answer, uint8_t out[PACKET_ANSWER_MAX]);

#endif
