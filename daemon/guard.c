/* SPDX-License-Identifier: ISC */
#include "daemon/guard.h"

#include <sys/random.h>

#include "base/units.h"
#include "daemon/daemon.h"
#include "dns/source.h"

/* At most so many lines about refusals: a flood must not fill the log. */
static const struct budget_rate note_rate = {.count = 10, .span = 60 * NS_PER_S};

void guard_init(struct guard *guard)
{
	/* Early in a boot there may be no randomness yet, and then the clock has to do. */
	guard->secret = clock_real();
	ssize_t got = getrandom(&guard->secret, sizeof(guard->secret), GRND_NONBLOCK);
	(void)got;
}

bool guard_trusts(const struct daemon *daemon, const struct sockaddr *address)
{
	return prefixes_match(&daemon->config->wake.trusts, address);
}

static void note(
	struct daemon *daemon, const struct service *service, const char *client, const char *why)
{
	struct guard *guard = &daemon->guard;
	if (!budget_take(&guard->notes, &note_rate, clock_monotonic())) {
		guard->unsaid++;
		return;
	}
	log_line(&daemon->log, LOG_WARNING, (struct log_about){.service = service->def.name},
		"not started for %s: %s (%u more refusals were not told)", client, why,
		guard->unsaid);
	guard->unsaid = 0;
}

static const char *print(const struct guard_client *client, char text[IP_ADDRESS_TEXT])
{
	struct ip_address address = ip_address_from_sockaddr(client->address);
	return ip_address_print(&address, text);
}

enum guard_verdict guard_admit(struct daemon *daemon, const struct service *service,
	const struct guard_client *client, char reason[128])
{
	const struct config *config = daemon->config;
	struct guard_counters *counters = &daemon->guard.counters;
	char text[IP_ADDRESS_TEXT];
	if (!prefixes_match(&config->wake.access, client->address)) {
		counters->prohibited++;
		snprintf(reason, 128, "clients of this network may not start it");
		note(daemon, service, print(client, text),
			"its network may not (wake.allow, wake.deny)");
		return GUARD_PROHIBITED;
	}
	if (config->wake.verify && !client->verified && !guard_trusts(daemon, client->address)) {
		counters->unverified++;
		snprintf(reason, 128, "ask over TCP");
		return GUARD_UNVERIFIED;
	}
	return GUARD_PASS;
}

enum guard_verdict guard_spend(struct daemon *daemon, struct service *service,
	const struct guard_client *client, uint64_t now, char reason[128])
{
	struct guard *guard = &daemon->guard;
	const struct config *config = daemon->config;
	uint64_t hash = source_hash(source_network(client->address), guard->secret);
	const struct {
		struct budget *budget;
		const struct budget_rate *rate;
		uint64_t *counter;
		const char *whose;
	} budgets[] = {
		{&guard->source[hash % GUARD_SOURCES], &config->wake.per_source,
			&guard->counters.over_source, "by this network"},
		{&service->wakes, &config->wake.per_service, &guard->counters.over_service,
			"of this service"},
		{&guard->total, &config->wake.total, &guard->counters.over_total, "in all"},
	};
	char text[IP_ADDRESS_TEXT];
	/* All are looked at before any is charged. */
	for (size_t i = 0; i < sizeof(budgets) / sizeof(budgets[0]); i++) {
		uint64_t next = budget_next(budgets[i].budget, budgets[i].rate, now);
		if (next == now)
			continue;
		++*budgets[i].counter;
		snprintf(reason, 128, "too many starts %s, again in %.1f s", budgets[i].whose,
			(double)(next - now) / 1e9);
		note(daemon, service, print(client, text), reason);
		return GUARD_SPENT;
	}
	for (size_t i = 0; i < sizeof(budgets) / sizeof(budgets[0]); i++)
		budget_take(budgets[i].budget, budgets[i].rate, now);
	guard->counters.passed++;
	return GUARD_PASS;
}
