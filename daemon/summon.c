/* SPDX-License-Identifier: ISC */
#include "daemon/summon.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "daemon/control.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"

static const char *const stage_names[STAGE_COUNT] = {
	[STAGE_QUERY] = "query",
	[STAGE_ADMITTED] = "admitted",
	[STAGE_LINK_UP] = "link-up",
	[STAGE_ASKED] = "asked",
	[STAGE_CREATED] = "created",
	[STAGE_FIRST_INSTRUCTION] = "first-instruction",
	[STAGE_CONSOLE] = "console",
	[STAGE_READY] = "ready",
	[STAGE_ANSWERED] = "answered",
};

const char *summon_stage_name(enum summon_stage stage)
{
	return stage_names[stage];
}

struct summon *summon_create(struct service *service, const char *cause, uint64_t began)
{
	struct summon *summon = calloc(1, sizeof(*summon));
	if (!summon)
		return NULL;
	summon->id = service->daemon->journal.next_summon++;
	summon->service = service;
	summon->began = began;
	summon->began_real = clock_real() - (clock_monotonic() - began);
	snprintf(summon->cause, sizeof(summon->cause), "%s", cause);
	summon_stage(summon, STAGE_QUERY, began);
	return summon;
}

void summon_destroy(struct summon *summon)
{
	if (!summon)
		return;
	timer_cancel(&summon->deadline);
	for (unsigned i = 0; i < summon->waiter_count; i++)
		if (summon->waiters[i].done)
			summon->waiters[i].done(
				summon->waiters[i].ctx, summon, "summond is ending");
	free(summon->waiters);
	free(summon);
}

void summon_stage(struct summon *summon, enum summon_stage stage, uint64_t at)
{
	if (summon && !summon->stages[stage])
		summon->stages[stage] = at;
}

/* --- waiters --- */

static void tell(struct summon *summon, const struct waiter *waiter, enum dns_reply reply,
	const struct dns_ede *ede, const char *failure)
{
	summon->answered++;
	if (waiter->done)
		waiter->done(waiter->ctx, summon, failure);
	else
		dns_answer(summon->service->daemon->dns, waiter->query, reply, ede);
}

/* `detailed` is for those who are trusted. */
static void tell_all(struct summon *summon, enum dns_reply reply, const struct dns_ede *ede,
	const struct dns_ede *detailed, const char *failure)
{
	timer_cancel(&summon->deadline);
	for (unsigned i = 0; i < summon->waiter_count; i++)
		tell(summon, &summon->waiters[i], reply,
			summon->waiters[i].trusted ? detailed : ede, failure);
	summon->waiter_count = 0;
}

static void on_deadline(void *ctx);

static void arm_deadline(struct summon *summon)
{
	uint64_t first = 0, now = clock_monotonic();
	for (unsigned i = 0; i < summon->waiter_count; i++) {
		uint64_t at = summon->waiters[i].hold_until;
		if (at && (!first || at < first))
			first = at;
	}
	summon->deadline_at = first;
	if (!first)
		timer_cancel(&summon->deadline);
	else
		timer_start(&summon->service->daemon->loop, &summon->deadline,
			first > now ? first - now : 0, on_deadline, summon);
}

/* The policy's word for a client whose time is up; the summon goes on. */
static void on_deadline(void *ctx)
{
	struct summon *summon = ctx;
	const struct policy *policy = &summon->service->policy->policy;
	enum dns_reply reply = policy->at_deadline == POLICY_DEADLINE_ADDRESS ? DNS_REPLY_ADDRESS
									      : DNS_REPLY_SERVFAIL;
	struct dns_ede ede = {.code = DNS_EDE_NOT_READY, .present = true};
	char text[sizeof(ede.text)];
	if (admission_explain(summon->service, text, sizeof(text)))
		snprintf(ede.text, sizeof(ede.text), "it %.*s", (int)sizeof(ede.text) - 4, text);
	else
		snprintf(ede.text, sizeof(ede.text), "still %s",
			lifecycle_state_name(summon->service->state));
	uint64_t now = clock_monotonic();
	unsigned kept = 0;
	for (unsigned i = 0; i < summon->waiter_count; i++) {
		struct waiter waiter = summon->waiters[i];
		if (waiter.hold_until && waiter.hold_until <= now)
			tell(summon, &waiter, reply, &ede, "not ready in time");
		else
			summon->waiters[kept++] = waiter;
	}
	summon->waiter_count = kept;
	arm_deadline(summon);
}

int summon_join(struct summon *summon, const struct waiter *waiter)
{
	const struct config *config = summon->service->daemon->config;
	if (summon->waiter_count >= config->limits.waiters_per_service)
		return -EBUSY;
	if (summon->waiter_count == summon->waiter_size) {
		unsigned size = summon->waiter_size ? summon->waiter_size * 2 : 4;
		struct waiter *more = reallocarray(summon->waiters, size, sizeof(*more));
		if (!more)
			return -ENOMEM;
		summon->waiters = more;
		summon->waiter_size = size;
	}
	summon->waiters[summon->waiter_count++] = *waiter;
	/* Times of one policy come in order: mostly the first of them is the one with the timer. */
	bool earlier = !summon->deadline || waiter->hold_until < summon->deadline_at;
	if (waiter->hold_until && earlier)
		arm_deadline(summon);
	return 0;
}

/* --- its end --- */

static void record(struct summon *summon, const char *outcome, const char *detail)
{
	struct journal *journal = &summon->service->daemon->journal;
	struct history_entry *row = journal_add(journal, HISTORY_SUMMON);
	if (!row)
		return;
	row->service = summon->service->def.id;
	row->summon = summon->id;
	row->generation = summon->service->instance ? summon->service->instance->id.generation : 0;
	row->at = summon->began_real;
	row->elapsed = clock_monotonic() - summon->began;
	row->waiters = summon->answered;
	snprintf(row->word, sizeof(row->word), "%s", outcome);
	snprintf(row->from, sizeof(row->from), "%.*s", HISTORY_CAUSE_MAX, summon->cause);
	snprintf(row->detail, sizeof(row->detail), "%s", detail);
	for (enum summon_stage stage = 0; stage < STAGE_COUNT; stage++) {
		if (!summon->stages[stage])
			continue;
		struct history_entry *entry = journal_add(journal, HISTORY_STAGE);
		if (!entry)
			return;
		entry->service = summon->service->def.id;
		entry->summon = summon->id;
		entry->at = summon->began_real + (summon->stages[stage] - summon->began);
		entry->elapsed = summon->stages[stage] - summon->began;
		snprintf(entry->word, sizeof(entry->word), "%s", stage_names[stage]);
	}
}

static struct log_about about(const struct summon *summon)
{
	return (struct log_about){
		.service = summon->service->def.name,
		.summon = summon->id,
		.generation =
			summon->service->instance ? summon->service->instance->id.generation : 0,
	};
}

static void end(struct service *service, const char *outcome, const char *detail)
{
	struct summon *summon = service->summon;
	record(summon, outcome, detail);
	service->last_summon = summon->id;
	control_announce_summon(service->daemon->control, summon, outcome, detail);
	service->summon = NULL;
	admission_leave(service);
	summon_destroy(summon);
}

void summon_succeed(struct service *service)
{
	struct summon *summon = service->summon;
	if (!summon)
		return;
	tell_all(summon, DNS_REPLY_ADDRESS, NULL, NULL, NULL);
	summon_stage(summon, STAGE_ANSWERED, clock_monotonic());
	log_line(&service->daemon->log, LOG_INFO, about(summon),
		"ready after %.1f ms, %u answered; cause: %s",
		(double)(summon->stages[STAGE_ANSWERED] - summon->began) / 1e6, summon->answered,
		summon->cause);
	end(service, "ready", "");
}

/* The first stage that every start goes through and this one did not reach. */
static enum summon_stage missed_stage(const struct summon *summon)
{
	static const enum summon_stage way[] = {STAGE_ADMITTED, STAGE_ASKED, STAGE_CREATED};
	for (size_t i = 0; i < sizeof(way) / sizeof(way[0]); i++)
		if (!summon->stages[way[i]])
			return way[i];
	return STAGE_READY;
}

void summon_fail(struct service *service, const char *failure)
{
	struct summon *summon = service->summon;
	if (!summon)
		return;
	struct dns_ede ede = {.code = DNS_EDE_NETWORK_ERROR, .present = true};
	snprintf(ede.text, sizeof(ede.text), "failed before stage %s",
		summon_stage_name(missed_stage(summon)));
	struct dns_ede detailed = ede;
	snprintf(detailed.text, sizeof(detailed.text), "%.44s: %.80s", ede.text, failure);
	tell_all(summon, DNS_REPLY_SERVFAIL, &ede, &detailed, failure);
	log_line(&service->daemon->log, LOG_WARNING, about(summon), "failed: %s; cause: %s",
		failure, summon->cause);
	end(service, "failed", failure);
}
