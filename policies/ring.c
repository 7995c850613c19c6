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

static enum ring_verdict judge_start(
	const struct policy *policy, const struct load *load, const struct ring *ring, uint64_t now)
{
	enum ring_verdict verdict = judge_kind(policy, load, ring);
	if (verdict != RING_WAKE)
		return verdict;
	if (!prefixes_contain(&policy->ring_from, &ring->from))
		return RING_FROM;
	if (load->closed)
		return RING_CLOSED;
	if (now < decide_retry_at(policy, load))
		return RING_BACKOFF;
	return budget_has(&load->rung, &policy->ring_rate, now) ? RING_WAKE : RING_RATE;
}

enum ring_verdict decide_ring(
	const struct policy *policy, const struct load *load, const struct ring *ring, uint64_t now)
{
	bool begins = ring->kind == RING_CONNECT || judge_kind(policy, load, ring) == RING_WAKE;
	switch (load->state) {
	case LOAD_AWAKE:
		return RING_PASS;
	case LOAD_STARTING:
		return begins ? RING_WAIT : RING_PASS;
	case LOAD_STOPPING:
		/* Its connections end in their own way, as long as it lives. */
		if (ring->kind == RING_SEGMENT || ring->kind == RING_OTHER)
			return RING_PASS;
		break;
	case LOAD_ASLEEP:
		break;
	}
	return judge_start(policy, load, ring, now);
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
		[RING_CLOSED] = "closed",
		[RING_BACKOFF] = "backoff",
	};
	return names[verdict];
}
