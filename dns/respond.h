/* SPDX-License-Identifier: ISC */
#ifndef DNS_RESPOND_H
#define DNS_RESPOND_H

#include "dns/access.h"
#include "dns/answer.h"
#include "dns/chaos.h"
#include "dns/client.h"
#include "dns/cookie.h"
#include "dns/dns.h"
#include "dns/limit.h"
#include "dns/lookup.h"
#include "dns/names.h"
#include "dns/waiting.h"

struct request;

/* What became of a query for a name that is not ours. */
enum forward_result {
	FORWARD_TAKEN,      /* it waits */
	FORWARD_PROHIBITED, /* the client may not have that */
	FORWARD_BUSY,       /* too many wait */
	FORWARD_LOOP,       /* it is our own, come back */
};
typedef enum forward_result (*forward_fn)(
	void *ctx, const struct request *request, const struct query *query);

/* The server without its sockets: from the bytes of a query to the bytes of its answer. */
struct responder {
	struct names names;
	struct waiting waiting;
	struct chaos chaos;
	struct access access;
	struct limiter limiter;
	struct limit_work signing, verifying; /* of new signatures, and of those of clients */
	struct cookies cookies;
	enum dns_cookie_mode cookie_mode;
	char nsid[CHAOS_MAX_TEXT + 1]; /* "": none */
	uint16_t keepalive;            /* what TCP clients are told (RFC 7828), units of 100 ms */
	dns_ask_fn ask;
	void *ctx;
	forward_fn forward; /* NULL: what is not ours is refused */
	void *forward_ctx;
	struct dns_counters counters;
};

/* 0, -ENOMEM or -EINVAL; sockets are not looked at. */
int responder_init(struct responder *responder, const struct dns_config *config, dns_ask_fn ask,
	void *ctx, struct error *err);
void responder_finish(struct responder *responder);

/* One query as it came in. */
struct request {
	const struct client *client;
	const uint8_t *bytes;
	size_t size;
	uint64_t received_at;
	struct waiting_owner *owner; /* the client's connection; NULL over UDP */
	bool may_wait;               /* false where the connection has enough waiting queries */
	const struct tsig *tsig;     /* its signature, once it is verified; NULL: none */
};

/* The most that an answer has over TCP. */
#define RESPOND_MAX_TCP (ANSWER_MAX_TCP + TSIG_MAX_SIZE)

/* Returns the size of the answer written to `out` (ANSWER_MAX_UDP or RESPOND_MAX_TCP bytes, as the
 * client is), or 0 where there is none: never, or not yet. */
size_t respond(struct responder *responder, const struct request *request, uint8_t *out);

/* What a query that waited is told: what the daemon said, or an upstream's answer as it came. */
struct late_answer {
	enum dns_reply reply;
	const struct dns_ede *ede; /* NULL: none */
	const uint8_t *passed;     /* NULL: none */
	size_t passed_size;
};

/* Writes at most `limit` bytes (512 or more), and over TCP a signature behind them, of the answer to a
 * query that waited, and returns its size; 0 without memory. */
size_t respond_later(struct responder *responder, const struct waiting_query *entry,
	const struct late_answer *late, size_t limit, uint8_t *out);

/* Whether the client may have this work done, too. */
bool responder_may_work(const struct responder *responder, struct limit_work *work,
	const struct client *client, bool verified, uint64_t now);

/* Verifies the signature that begins at `at` of a request, where the budget for that allows it. 0, or
 * the RCODE to answer with: those of tsig_verify, or SERVFAIL with no signature where it does not. */
int respond_verify(
	struct responder *responder, const struct request *request, size_t at, struct tsig *tsig);

#endif
