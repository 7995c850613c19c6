/* SPDX-License-Identifier: ISC */
#include "dns/limit.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/units.h"
#include "dns/source.h"

/* No RCODE, and no address. */
#define ALL_KINDS UINT64_MAX

int limit_init(struct limiter *limiter, uint32_t rate, uint32_t slip)
{
	*limiter = (struct limiter){.rate = rate, .slip = slip, .secret = clock_real()};
	/* Early in a boot there may be no randomness yet, and then the clock has to do. */
	ssize_t got = getrandom(&limiter->secret, sizeof(limiter->secret), GRND_NONBLOCK);
	(void)got;
	if (rate == 0)
		return 0;
	/* Pages of buckets that are never used are never touched. */
	limiter->buckets = calloc(LIMIT_BUCKETS, sizeof(*limiter->buckets));
	return limiter->buckets ? 0 : -ENOMEM;
}

void limit_finish(struct limiter *limiter)
{
	free(limiter->buckets);
	*limiter = (struct limiter){0};
}

/* Only looked at where the limit is reached: that costs the others nothing. */
static enum limit_verdict beyond(
	struct limiter *limiter, struct limit_bucket *bucket, const struct sockaddr *client)
{
	if (limiter->exempt && prefixes_match(limiter->exempt, client))
		return LIMIT_PASS;
	bucket->skipped++;
	return limiter->slip > 0 && bucket->skipped % limiter->slip == 0 ? LIMIT_SLIP : LIMIT_DROP;
}

/* One more of `rate` a second, with a burst of as many; false: not now. */
static bool take(struct limit_bucket *bucket, uint32_t rate, uint64_t now)
{
	uint64_t interval = NS_PER_S / rate;
	uint64_t from = bucket->full_at > now ? bucket->full_at : now;
	if (from - now > interval * (rate - 1))
		return false;
	bucket->full_at = from + interval;
	return true;
}

static struct limit_bucket *bucket_of(struct limiter *limiter, uint64_t network, uint64_t kind)
{
	/* The odd factor spreads what differs in few bits, as addresses do. */
	uint64_t hash = source_hash(network ^ kind * 0x9e3779b97f4a7c15u, limiter->secret);
	struct limit_bucket *bucket = &limiter->buckets[hash % LIMIT_BUCKETS];
	if (bucket->kind != hash >> 32)
		*bucket = (struct limit_bucket){.kind = (uint32_t)(hash >> 32)};
	return bucket;
}

enum limit_verdict limit_check(
	struct limiter *limiter, const struct sockaddr *client, uint64_t kind, uint64_t now)
{
	if (!limiter->buckets)
		return LIMIT_PASS;
	uint64_t network = source_network(client);
	struct limit_bucket *bucket = bucket_of(limiter, network, kind);
	if (!take(bucket, limiter->rate, now))
		return beyond(limiter, bucket, client);
	bucket = bucket_of(limiter, network, ALL_KINDS);
	if (!take(bucket, limiter->rate * LIMIT_KINDS, now))
		return beyond(limiter, bucket, client);
	return LIMIT_PASS;
}

int limit_work_init(
	struct limit_work *work, uint32_t network, uint32_t strangers, uint32_t verified)
{
	*work = (struct limit_work){.strangers_rate = strangers, .verified_rate = verified};
	return limit_init(&work->network, network, 0);
}

void limit_work_finish(struct limit_work *work)
{
	limit_finish(&work->network);
}

bool limit_work_take(
	struct limit_work *work, const struct sockaddr *client, bool verified, uint64_t now)
{
	/* Whoever forges a network's addresses must not use up what its own clients have. */
	if (limit_check(&work->network, client, verified, now) != LIMIT_PASS)
		return false;
	return verified ? take(&work->verified, work->verified_rate, now)
			: take(&work->strangers, work->strangers_rate, now);
}
