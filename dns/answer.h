/* SPDX-License-Identifier: ISC */
#ifndef DNS_ANSWER_H
#define DNS_ANSWER_H

#include "dns/dns.h"
#include "dns/edns.h"
#include "dns/names.h"
#include "dns/packet.h"

/* What we say we take over UDP, and the most we send: no fragments (RFC 9715). */
#define ANSWER_MAX_UDP 1232
/* The most over TCP: header, question and OPT with an explanation fit beside any block. */
#define ANSWER_MAX_TCP 8192

/* What a query comes to. */
struct answer {
	uint16_t rcode;
	bool authoritative;
	bool truncated;                /* nothing but TC is said */
	const struct block *block;     /* NULL: no records */
	const struct service *service; /* is to be asked before the block may be said */
};

/* Looks up a query that packet_read found ordinary. */
void answer_find(const struct names *names, const struct query *query, struct answer *out);

/* The most bytes that an answer may have. */
size_t answer_limit(const struct query *query, bool tcp);

/* Writes the answer, at most `limit` bytes of it (512 or more), truncated with TC where it does not
 * fit, and returns its size. */
size_t answer_write(const struct query *query, const struct answer *answer,
	const struct edns_reply *edns, size_t limit, uint8_t *out);

#endif
