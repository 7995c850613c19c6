/* SPDX-License-Identifier: ISC */
#ifndef DNS_EDNS_H
#define DNS_EDNS_H

#include <stddef.h>
#include <stdint.h>

#include "dns/dns.h"
#include "dns/packet.h"

/* A client's cookie and ours behind it (RFC 9018). */
#define EDNS_COOKIE_REPLY 24

/* What the OPT record of an answer says besides its fixed fields; all zero: nothing. */
struct edns_reply {
	const struct dns_ede *ede; /* is left out where it does not fit */
	const char *nsid;          /* RFC 5001; "" or NULL: none */
	bool keepalive;            /* RFC 7828: how long we keep the idle connection */
	uint16_t timeout;          /* in units of 100 ms */
	const uint8_t *cookie;     /* EDNS_COOKIE_REPLY bytes; NULL: none */
};

/* The room that edns_write needs for all that must be said. 0 for a client without EDNS. */
size_t edns_reserve(const struct query *query, const struct edns_reply *reply);

/* Writes the OPT record (RFC 6891 section 6.1) in at most `room` bytes, of which edns_reserve are
 * there, and returns its size. Requires that the client spoke EDNS. */
size_t edns_write(const struct query *query, uint16_t rcode, const struct edns_reply *reply,
	size_t room, uint8_t *out);

#endif
