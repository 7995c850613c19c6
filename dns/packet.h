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
	uint16_t payload; /* the client's UDP limit, RFC 6891 section 6.2.3; 512 without EDNS */
	uint8_t flags;    /* opcode and RD, in their places in the first flag byte */
	bool edns;        /* the answer carries an OPT record */
	bool dnssec_ok;
};

#define PACKET_DROP (-1)

/*
 * Reads a datagram or a TCP frame, strictly: one question of class IN without compression, no
 * records but one OPT (RFC 6891), nothing behind them.
 * Returns 0 (an ordinary query, to be looked up), the RCODE to answer with, or PACKET_DROP for what
 * must not be answered at all: less than a header, or itself an answer (two servers would talk for
 * ever). *out is filled in the first two cases and points into `bytes`.
 */
int packet_read(const uint8_t *bytes, size_t size, struct query *out);

#endif
