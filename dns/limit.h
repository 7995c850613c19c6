/* SPDX-License-Identifier: ISC */
#ifndef DNS_LIMIT_H
#define DNS_LIMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/prefixes.h"

/*
 * Response rate limiting: to one network (/24, /56) go so many answers of one kind a second, with
 * a burst of as many, so that a forged source is not flooded by way of us. Of what is beyond, every
 * nth is cut down to TC, for an honest client to ask over TCP; the rest is dropped. A kind is what
 * an answer consists of: the records of one name and type, the denial of one zone, an RCODE. All
 * kinds together have LIMIT_KINDS times as much, so that many names make no larger flood.
 */
struct limit_bucket {
	uint32_t kind;    /* more bits of the hash: another network's answers begin anew */
	uint32_t skipped; /* beyond the limit, so far */
	uint64_t full_at; /* monotonic ns: when all of the burst is there again */
};

#define LIMIT_BUCKETS (1u << 16)
#define LIMIT_KINDS   10

struct limiter {
	struct limit_bucket *buckets; /* LIMIT_BUCKETS; NULL: there is no limit */
	uint32_t rate, slip;
	uint64_t secret;
	const struct prefixes *exempt; /* networks without limit; NULL: none. The caller's. */
};

enum limit_verdict { LIMIT_PASS, LIMIT_SLIP, LIMIT_DROP };

/* `rate` answers a second (0: no limit); every `slip`th is cut down (0: none). 0 or -ENOMEM. */
int limit_init(struct limiter *limiter, uint32_t rate, uint32_t slip);
void limit_finish(struct limiter *limiter);

/* What becomes of an answer over UDP to a client that has shown nothing of itself. `kind` tells
 * kinds apart; `now` is monotonic ns. */
enum limit_verdict limit_check(
	struct limiter *limiter, const struct sockaddr *client, uint64_t kind, uint64_t now);

/*
 * Work that packets have done, other than an answer's: signatures that are made or verified. So much of
 * it a second is there for one network (once for clients of it that are where they say, and once for those
 * that may not be), for all clients that may not be where they say, and for all that are.
 */
struct limit_work {
	struct limiter network;
	struct limit_bucket strangers, verified;
	uint32_t strangers_rate, verified_rate;
};

int limit_work_init(struct limit_work *work, uint32_t network, uint32_t strangers,
	uint32_t verified); /* or -ENOMEM */
void limit_work_finish(struct limit_work *work);
/* One more for the client; false: not now. */
bool limit_work_take(
	struct limit_work *work, const struct sockaddr *client, bool verified, uint64_t now);

#endif
