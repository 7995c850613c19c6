/* SPDX-License-Identifier: ISC */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/units.h"
#include "daemon/daemon.h"
#include "daemon/summon.h"

/* From a query to a decision: which service, what do its policy and its load say. */

enum { TYPE_A = 1, TYPE_AAAA = 28 };
enum { EDE_OTHER = 0, EDE_NOT_READY = 14, EDE_NETWORK_ERROR = 23 }; /* RFC 8914, section 4 */

static enum dns_reply refuse(struct dns_ede *ede, uint16_t code, const char *text)
{
	ede->present = true;
	ede->code = code;
	snprintf(ede->text, sizeof(ede->text), "%.*s", (int)sizeof(ede->text) - 1, text);
	return DNS_REPLY_SERVFAIL;
}

static void describe_cause(const struct dns_ask *ask, char cause[SUMMON_CAUSE_MAX + 1])
{
	char client[IP_ADDRESS_TEXT];
	struct ip_address address = ip_address_from_sockaddr(ask->source);
	snprintf(cause, SUMMON_CAUSE_MAX + 1, "query %s %s", ask->qtype == TYPE_A ? "A" : "AAAA",
		ip_address_print(&address, client));
}

static enum dns_reply wait_for_it(struct service *service, const struct dns_ask *ask,
	const struct admit *admit, struct dns_ede *ede)
{
	const struct waiter waiter = {.hold_until = admit->hold_until, .query = ask->id};
	struct registry *registry = &service->daemon->registry;
	char cause[SUMMON_CAUSE_MAX + 1];
	describe_cause(ask, cause);
	bool at_once = service->policy->policy.answer == POLICY_ANSWER_AT_ONCE;
	/* The DNS server must not be called from its own callback, so nothing happens before this
	 * returns. */
	registry_hold_events(registry);
	struct summon *summon = service_demand(service, cause, ask->received_at);
	bool joined = summon && (at_once || summon_join(summon, &waiter) >= 0);
	registry_release_events(registry);
	/* The client's first packet waits at the door. */
	if (joined && at_once)
		return DNS_REPLY_ADDRESS;
	return joined ? DNS_REPLY_LATER
		      : refuse(ede, EDE_NOT_READY, "too many queries wait for this name");
}

static enum dns_reply back_off(
	const struct service *service, const struct admit *admit, struct dns_ede *ede)
{
	char text[sizeof(ede->text)];
	uint64_t now = clock_monotonic();
	uint64_t wait = admit->retry_at > now ? admit->retry_at - now : 0;
	snprintf(text, sizeof(text), "tried again in %.1f s; %.90s", (double)wait / 1e9,
		service->last_error);
	return refuse(ede, EDE_NETWORK_ERROR, text);
}

enum dns_reply daemon_ask(void *ctx, const struct dns_ask *ask, struct dns_ede *ede)
{
	struct daemon *daemon = ctx;
	struct service *service = service_by_id(&daemon->registry, ask->service);
	if (!service || daemon->ending)
		return refuse(ede, EDE_OTHER, "this server is about to stop");
	const struct policy *policy = &service->policy->policy;
	struct load load = service_load(service);
	unsigned wake = ask->qtype == TYPE_A ? POLICY_WAKE_A : POLICY_WAKE_AAAA;
	struct admit admit = decide_admit(policy, &load, wake, ask->received_at);
	if (policy->activity & POLICY_ACTIVITY_QUERIES)
		service->load.active_at = ask->received_at;
	switch (admit.verdict) {
	case ADMIT_ANSWER:
	case ADMIT_NO_WAKE:
		return DNS_REPLY_ADDRESS;
	case ADMIT_BACKOFF:
		return back_off(service, &admit, ede);
	case ADMIT_JOIN:
	case ADMIT_WAKE:
		break;
	}
	if (service->backend->failure[0])
		return refuse(ede, EDE_NETWORK_ERROR, service->backend->failure);
	return wait_for_it(service, ask, &admit, ede);
}
