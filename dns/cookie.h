/* SPDX-License-Identifier: ISC */
#ifndef DNS_COOKIE_H
#define DNS_COOKIE_H

#include <stdint.h>
#include <sys/socket.h>

#include "dns/edns.h"
#include "dns/packet.h"

/*
 * DNS cookies (RFC 7873) whose server part is made as RFC 9018 says, with SipHash-2-4, so that
 * servers of any make behind one address that share a secret take each other's.
 */
struct cookies {
	uint8_t secret[2][DNS_COOKIE_SECRET_SIZE]; /* the first makes cookies, both are taken */
	unsigned count;
	bool given;         /* by the operator, who rolls them */
	uint32_t rolled_at; /* else: real time, s */
};

enum cookie_state {
	COOKIE_NONE,   /* the client sent none */
	COOKIE_CLIENT, /* only its own part */
	COOKIE_BAD,    /* ours is false, or too old */
	COOKIE_GOOD,   /* the client has been at its address lately */
};

/* Without secrets given one is made up, and another a day later. -EAGAIN where there is no
 * randomness. */
int cookies_init(struct cookies *cookies, uint32_t now);
/* One or two of the operator's; 0: as cookies_init. */
int cookies_give(struct cookies *cookies, const uint8_t (*secrets)[DNS_COOKIE_SECRET_SIZE],
	unsigned count, uint32_t now);

/* Judges a query's cookie, and writes the one to answer with unless it sent none. `now` is the real
 * time in seconds. */
enum cookie_state cookies_check(struct cookies *cookies, const struct query *query,
	const struct sockaddr *source, uint32_t now, uint8_t reply[EDNS_COOKIE_REPLY]);

#endif
