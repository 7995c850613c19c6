/* SPDX-License-Identifier: ISC */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "daemon/daemon.h"
#include "daemon/summon.h"

/* From a query to a decision: which service, what do its policy and its load say. */

/* The types of query that can wake, RFC 1035, 3596 and 9460. */
static const struct {
	uint16_t type;
	unsigned wake; /* enum policy_wake */
	const char *name;
} types[] = {
	{1, POLICY_WAKE_A, "A"},
	{28, POLICY_WAKE_AAAA, "AAAA"},
	{65, POLICY_WAKE_HTTPS, "HTTPS"},
};

static size_t find_type(uint16_t type)
{
	size_t i = 0;
	while (i < sizeof(types) / sizeof(types[0]) - 1 && types[i].type != type)
		i++;
	return i;
}

static enum dns_reply explain(
	struct dns_ede *ede, enum dns_reply reply, uint16_t code, const char *text)
{
	ede->present = true;
	ede->code = code;
	snprintf(ede->text, sizeof(ede->text), "%.*s", (int)sizeof(ede->text) - 1, text);
	return reply;
}

static enum dns_reply fail(struct dns_ede *ede, uint16_t code, const char *text)
{
	return explain(ede, DNS_REPLY_SERVFAIL, code, text);
}

/* The name is told where it is not the service's own. */
static void describe_cause(
	const struct service *service, const struct dns_ask *ask, char cause[SUMMON_CAUSE_MAX + 1])
{
	char client[IP_ADDRESS_TEXT], text[DNS_QUESTION_TEXT] = "";
	struct ip_address address = ip_address_from_sockaddr(ask->source);
	if (ask->question)
		dns_question_text(ask->question, text);
	bool other = text[0] && strcmp(text, service->first->def.name) != 0;
	snprintf(cause, SUMMON_CAUSE_MAX + 1, "query %s %s%s%s", types[find_type(ask->qtype)].name,
		ip_address_print(&address, client), other ? " for " : "", other ? text : "");
}

static enum dns_reply wait_for_it(const struct seat_given *seat, const struct dns_ask *ask,
	const struct admit *admit, struct dns_ede *ede)
{
	struct service *service = seat->machine;
	const struct waiter waiter = {
		.hold_until = admit->hold_until,
		.query = ask->id,
		.trusted = guard_trusts(service->daemon, ask->source),
	};
	struct registry *registry = &service->daemon->registry;
	char cause[SUMMON_CAUSE_MAX + 1];
	describe_cause(service, ask, cause);
	bool at_once = service->policy->policy.answer == POLICY_ANSWER_AT_ONCE;
	/* The DNS server must not be called from its own callback, so nothing happens before this
	 * returns. */
	registry_hold_events(registry);
	seats_take(seat);
	struct summon *summon = service_demand(service, cause, ask->received_at);
	bool joined = summon && (at_once || summon_join(summon, &waiter) >= 0);
	registry_release_events(registry);
	/* The client's first packet waits at the door. */
	if (joined && at_once)
		return DNS_REPLY_ADDRESS;
	return joined ? DNS_REPLY_LATER
		      : fail(ede, DNS_EDE_NOT_READY, "too many queries wait for this name");
}

/* Strangers are not told what the backend said: it may have paths of this machine in it. */
static enum dns_reply back_off(const struct service *service, const struct dns_ask *ask,
	const struct admit *admit, struct dns_ede *ede)
{
	char text[sizeof(ede->text)];
	uint64_t now = clock_monotonic();
	uint64_t wait = admit->retry_at > now ? admit->retry_at - now : 0;
	bool trusted = guard_trusts(service->daemon, ask->source);
	snprintf(text, sizeof(text), "the last start failed, tried again in %.1f s%s%.70s",
		(double)wait / 1e9, trusted ? "; " : "", trusted ? service->last_error : "");
	return fail(ede, DNS_EDE_NETWORK_ERROR, text);
}

static enum dns_reply broken(const struct service *service, uint64_t wait, struct dns_ede *ede)
{
	char text[sizeof(ede->text)];
	snprintf(text, sizeof(text), "starts of backend %s fail, tried again in %.1f s",
		service->backend->ops->name, (double)wait / 1e9);
	return fail(ede, DNS_EDE_NETWORK_ERROR, text);
}

/* What is said to a client that may not wake; LATER where it may. */
static enum dns_reply ask_guard(
	struct service *service, const struct dns_ask *ask, bool starts, struct dns_ede *ede)
{
	char reason[128];
	struct daemon *daemon = service->daemon;
	const struct guard_client client = {.address = ask->source, .verified = ask->verified};
	enum guard_verdict verdict = guard_admit(daemon, service, &client, reason);
	if (verdict == GUARD_PASS && starts)
		verdict = guard_spend(daemon, service->first, &client, ask->received_at, reason);
	switch (verdict) {
	case GUARD_PROHIBITED:
		return explain(ede, DNS_REPLY_REFUSED, DNS_EDE_PROHIBITED, reason);
	case GUARD_UNVERIFIED:
		return DNS_REPLY_TRUNCATED;
	case GUARD_SPENT:
		return fail(ede, DNS_EDE_NOT_READY, reason);
	case GUARD_PASS:
		break;
	}
	return DNS_REPLY_LATER;
}

/* Which of the service's machines the client gets; false, after an explanation, where it gets none. */
static bool find_seat(struct service *service, const struct dns_ask *ask, struct seat_given *seat,
	struct dns_ede *ede)
{
	const struct policy *policy = &service->policy->policy;
	*seat = (struct seat_given){.machine = service};
	if (policy->instances.how == POLICY_ONE)
		return true;
	struct ip_address client = ip_address_from_sockaddr(ask->source);
	char text[sizeof(ede->text)];
	if (seats_choose(service, &client, seat)) {
		*ask->answer_as = seat->machine->def.id;
		return true;
	}
	snprintf(text, sizeof(text), "%u clients have a machine of it each, and there are no more",
		policy->instances.count);
	fail(ede, DNS_EDE_NOT_READY, text);
	return false;
}

/* A machine that is there, and is to be this client's from now on, like one that is to be started. */
static enum dns_reply answer_now(
	const struct seat_given *seat, const struct dns_ask *ask, struct dns_ede *ede)
{
	enum dns_reply reply =
		seat->takes ? ask_guard(seat->machine, ask, true, ede) : DNS_REPLY_LATER;
	if (reply != DNS_REPLY_LATER)
		return reply;
	seats_take(seat);
	return DNS_REPLY_ADDRESS;
}

enum dns_reply daemon_ask(void *ctx, const struct dns_ask *ask, struct dns_ede *ede)
{
	struct daemon *daemon = ctx;
	struct service *service = service_by_id(&daemon->registry, ask->service);
	if (!service || daemon->ending)
		return fail(ede, DNS_EDE_OTHER, "this server is about to stop");
	struct seat_given seat;
	if (!find_seat(service, ask, &seat, ede))
		return DNS_REPLY_SERVFAIL;
	service = seat.machine;
	const struct policy *policy = &service->policy->policy;
	struct load load = service_load(service);
	seats_load(service, &load);
	unsigned wake = types[find_type(ask->qtype)].wake;
	struct admit admit = decide_admit(policy, &load, wake, ask->received_at);
	if (policy->activity & POLICY_ACTIVITY_QUERIES)
		service->load.active_at = ask->received_at;
	switch (admit.verdict) {
	case ADMIT_ANSWER:
		return answer_now(&seat, ask, ede);
	case ADMIT_NO_WAKE:
		return DNS_REPLY_ADDRESS;
	case ADMIT_CLOSED:
		return fail(ede, DNS_EDE_NOT_READY, "its schedule keeps it asleep at this hour");
	case ADMIT_BACKOFF:
		return back_off(service, ask, &admit, ede);
	case ADMIT_JOIN:
	case ADMIT_WAKE:
		break;
	}
	bool starts = admit.verdict == ADMIT_WAKE || seat.takes;
	enum dns_reply reply = ask_guard(service, ask, starts, ede);
	if (reply != DNS_REPLY_LATER)
		return reply;
	if (service->backend->failure[0])
		return fail(ede, DNS_EDE_NETWORK_ERROR,
			guard_trusts(daemon, ask->source) ? service->backend->failure
							  : "its backend is not usable");
	uint64_t again =
		admit.verdict == ADMIT_WAKE ? admission_breaker(service, ask->received_at) : 0;
	if (again)
		return broken(service, again - ask->received_at, ede);
	return wait_for_it(&seat, ask, &admit, ede);
}
