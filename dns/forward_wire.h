/* SPDX-License-Identifier: ISC */
#ifndef DNS_FORWARD_WIRE_H
#define DNS_FORWARD_WIRE_H

#include "dns/packet.h"
#include "dns/wire.h"

/* The bytes of forwarding, without its sockets. What comes from an upstream is hostile, too. */

#define FORWARD_QUERY_MAX (DNS_HEADER_SIZE + QUESTION_MAX_SIZE + DNS_OPT_SIZE)

/* What nobody can guess who does not see the query. */
struct forward_nonce {
	uint16_t id;
	uint8_t letters[NAME_MAX_SIZE / 8 + 1]; /* a bit for each byte of the name */
};

/* Writes what the client asks as a query of our own: its flags CD and DO, and none of its options.
 * The name's letters are capitals where the nonce says so (draft-vixie-dnsext-dns0x20), if `mix`.
 * Returns its size. */
size_t forward_write_query(const struct query *client, const struct forward_nonce *nonce, bool mix,
	uint8_t out[FORWARD_QUERY_MAX]);

enum forward_verdict {
	FORWARD_GOOD,
	FORWARD_TRUNCATED, /* to be asked over TCP */
	FORWARD_FAILED,    /* the upstream could not or would not: another may */
	FORWARD_CASE,      /* a good answer to another spelling: over UDP, it may be forged */
	FORWARD_FOREIGN,   /* no answer to this query */
};

/* Judges an answer to what forward_write_query wrote. */
enum forward_verdict forward_read_answer(const uint8_t *sent, const uint8_t *bytes, size_t size);

/* Writes an upstream's answer (FORWARD_GOOD, FORWARD_FAILED or FORWARD_CASE) as one to the client,
 * with its id, its spelling of the name and its RD; what does not fit `limit` (512 or more) is
 * cut down to TC. Returns its size. */
size_t forward_pass(
	const struct query *client, const uint8_t *bytes, size_t size, size_t limit, uint8_t *out);

#endif
