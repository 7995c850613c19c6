/* SPDX-License-Identifier: ISC */
#ifndef DNS_PACKET_H
#define DNS_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/name.h"

#define QUESTION_MAX_SIZE (NAME_MAX_SIZE + 4)

/* One query, as far as it could be read. */
struct query {
	const uint8_t *question; /* name, type and class as they came: echoed byte for byte */
	uint16_t question_size;  /* 0: none could be read, and none is echoed */
	uint16_t name_size;
	uint16_t id;
	uint16_t type;
	uint16_t tsig; /* where in the packet its TSIG begins, which nobody verified yet; 0: none */
	uint16_t payload; /* the client's UDP limit, RFC 6891 section 6.2.3; 512 without EDNS */
	uint8_t flags;    /* opcode and RD, in their places in the first flag byte */
	uint8_t checks;   /* AD and CD, in their places in the second one */
	uint16_t qclass;
	bool edns; /* the answer carries an OPT record */
	bool dnssec_ok;
	bool compact_ok;     /* RFC 9824: knows NXDOMAIN with a compact denial */
	uint8_t wants;       /* QUERY_WANTS_* */
	uint8_t cookie_size; /* 0: none; 8: the client's alone; 16 to 40: with a server's */
	uint8_t cookie[40];
};

/* Options of the OPT record that ask for something. */
#define QUERY_WANTS_NSID      1
#define QUERY_WANTS_KEEPALIVE 2

#define PACKET_DROP (-1)

/*
 * Reads a datagram or a TCP frame, strictly: one question of class IN without compression, no
 * records but one OPT (RFC 6891) whose options fit and one TSIG (RFC 8945) as the last, nothing
 * behind them; and no RCODE, which a query cannot have. Other header bits and options of no meaning
 * here are ignored (RFC 8906).
 * Returns 0 (an ordinary query, to be looked up), the RCODE to answer with, or PACKET_DROP for what
 * must not be answered at all: less than a header, or itself an answer (two servers would talk for
 * ever). *out is filled in the first two cases and points into `bytes`.
 */
int packet_read(const uint8_t *bytes, size_t size, struct query *out);

#endif
