/* SPDX-License-Identifier: ISC */
#include "policies/decide.h"
#include "policies/lists.h"

/* What may wake a service: RING_WAKE, or why it may not. */
static enum ring_verdict judge_kind(
	const struct policy *policy, const struct load *load, const struct ring *ring)
{
	switch (ring->kind) {
	case RING_CONNECT:
		return ports_contain(&policy->ring_tcp, ring->port) ? RING_WAKE : RING_PORT;
	case RING_SEGMENT:
		/* A guest whose memory is kept may know the connection. */
		if (!load->remembers)
			return RING_DEAD;
		return ports_contain(&policy->ring_tcp, ring->port) ? RING_WAKE : RING_PORT;
	case RING_DATAGRAM:
		return ports_contain(&policy->ring_udp, ring->port) ? RING_WAKE : RING_PORT;
	case RING_PING:
		return policy->ring_ping == POLICY_YES ? RING_WAKE : RING_NO_PING;
	case RING_OTHER:
		break;
	}
	return RING_KIND;
}

/* The generic cell rate algorithm (ITU-T I.371): rung_until moves on by span / count with each
 * wake, and may be ahead of now by as much as lets `count` of them come at once. */
static bool within_rate(
	const struct policy_rate *rate, const struct load *load, uint64_t now, uint64_t *until)
{
	*until = load->rung_until;
	if (rate->count == 0)
		return true;
	uint64_t each = rate->span / rate->count;
	uint64_t from = load->rung_until > now ? load->rung_until : now;
	if (from - now > rate->span - each)
		return false;
	*until = from + each;
	return true;
}

static enum ring_verdict judge_start(const struct policy *policy, const struct load *load,
	const struct ring *ring, uint64_t now, uint64_t *until)
{
	uint64_t retry = load->failed_at + decide_backoff(policy, load->failures);
	enum ring_verdict verdict = judge_kind(policy, load, ring);
	if (verdict != RING_WAKE)
		return verdict;
	if (!prefixes_contain(&policy->ring_from, &ring->from))
		return RING_FROM;
	if (load->failures && now < retry)
		return RING_BACKOFF;
	return within_rate(&policy->ring_rate, load, now, until) ? RING_WAKE : RING_RATE;
}

struct ring_decision decide_ring(
	const struct policy *policy, const struct load *load, const struct ring *ring, uint64_t now)
{
	struct ring_decision decision = {RING_PASS, load->rung_until};
	bool begins = ring->kind == RING_CONNECT || judge_kind(policy, load, ring) == RING_WAKE;
	switch (load->state) {
	case LOAD_AWAKE:
		break;
	case LOAD_STARTING:
		decision.verdict = begins ? RING_WAIT : RING_PASS;
		break;
	case LOAD_STOPPING:
		/* Its connections end in their own way, as long as it lives. */
		if (ring->kind == RING_SEGMENT || ring->kind == RING_OTHER)
			break;
		/* fall through */
	case LOAD_ASLEEP:
		decision.verdict = judge_start(policy, load, ring, now, &decision.rung_until);
		break;
	}
	return decision;
}

const char *ring_verdict_name(enum ring_verdict verdict)
{
	static const char *const names[RING_VERDICTS] = {
		[RING_PASS] = "passed",
		[RING_WAIT] = "waited",
		[RING_WAKE] = "woke",
		[RING_DEAD] = "dead",
		[RING_PORT] = "port",
		[RING_NO_PING] = "ping",
		[RING_KIND] = "kind",
		[RING_FROM] = "source",
		[RING_RATE] = "rate",
		[RING_BACKOFF] = "backoff",
	};
	return names[verdict];
}
