/* SPDX-License-Identifier: ISC */
#ifndef DNS_TRANSFER_H
#define DNS_TRANSFER_H

#include "dns/respond.h"

/*
 * Transfers of a zone's static records to secondaries: AXFR (RFC 5936), over TCP, signed with a key
 * that the zone names, and to clients that may ask for its names. IXFR (RFC 1995) is answered with the
 * whole zone, or with the SOA where the client has it already, and over UDP always. A zone that is
 * signed online is not given away: its signatures and its services are made here.
 */
struct transfer;

/* The type of a query for a transfer, AXFR or IXFR, whatever else is wrong with it; 0: it is none. */
uint16_t transfer_asked(const uint8_t *bytes, size_t size);

/* Writes the first message of the answer, or the refusal, into `message` (RESPOND_MAX_TCP bytes) and
 * returns its size; 0 for what must not be answered. *out is set where more messages follow, which
 * is never over UDP (ANSWER_MAX_UDP bytes). */
size_t transfer_begin(struct responder *responder, const struct request *request,
	struct transfer **out, uint8_t *message);
/* Writes the next message. *more is false behind the last one; 0: it failed, and the connection
 * must end. */
size_t transfer_next(struct transfer *transfer, uint8_t *out, bool *more);
void transfer_destroy(struct transfer *transfer); /* NULL is fine */

#endif
