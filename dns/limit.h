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

/* One more of `rate` a second, with a burst of as many; false: not now. For a bucket of the
 * caller's, which begins as zeros. */
bool limit_take(struct limit_bucket *bucket, uint32_t rate, uint64_t now);

/* `rate` answers a second (0: no limit); every `slip`th is cut down (0: none). 0 or -ENOMEM. */
int limit_init(struct limiter *limiter, uint32_t rate, uint32_t slip);
void limit_finish(struct limiter *limiter);

/* What becomes of an answer over UDP to a client that has shown nothing of itself. `kind` tells
 * kinds apart; `now` is monotonic ns. */
enum limit_verdict limit_check(
	struct limiter *limiter, const struct sockaddr *client, uint64_t kind, uint64_t now);

#endif
