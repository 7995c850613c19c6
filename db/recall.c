/* SPDX-License-Identifier: ISC */
#include "db/history.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "db/sql.h"

/* Reading the journal back. Every statement here gives an entry's columns in the same order. */

static int read_counter(
	struct store *store, const char *name, uint64_t max, uint64_t *out, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	query_begin(&query, store, COUNTER_GET);
	bind_text(&query, name);
	int rc = query_next(&query, err);
	if (rc == 0)
		return error_set(err, -EUCLEAN, "%s: table counter, row '%s': it is missing",
			store->path, name);
	if (rc < 0)
		return rc;
	*out = take_u64(&query, max);
	return query_check(&query, err);
}

int history_next_summon(struct store *store, uint64_t *next, struct error *err)
{
	uint64_t last = 0;
	int rc = read_counter(store, "summon", INT64_MAX - 1, &last, err);
	if (rc == 0)
		*next = last + 1;
	return rc;
}

int history_last_generation(struct store *store, uint32_t *generation, struct error *err)
{
	uint64_t last = 0;
	int rc = read_counter(store, "generation", UINT32_MAX, &last, err);
	if (rc == 0)
		*generation = (uint32_t)last;
	return rc;
}

static int take_entry(
	struct query *query, enum history_kind kind, struct history_entry *entry, struct error *err)
{
	*entry = (struct history_entry){.kind = kind};
	entry->summon = take_u64(query, INT64_MAX);
	entry->service = (uint32_t)take_u64(query, UINT32_MAX);
	entry->at = take_u64(query, INT64_MAX);
	entry->generation = (uint32_t)take_u64(query, UINT32_MAX);
	take_text(query, entry->word, sizeof(entry->word));
	take_text(query, entry->from, sizeof(entry->from));
	take_text(query, entry->to, sizeof(entry->to));
	entry->elapsed = take_u64(query, INT64_MAX);
	entry->waiters = (uint32_t)take_u64(query, UINT32_MAX);
	take_text(query, entry->detail, sizeof(entry->detail));
	return query_check(query, err);
}

typedef int each_entry(void *ctx, const struct history_entry *entry);

static int each_row(
	struct query *query, enum history_kind kind, each_entry *each, void *ctx, struct error *err)
{
	for (;;) {
		struct history_entry entry;
		int rc = query_next(query, err);
		if (rc <= 0)
			return rc;
		rc = take_entry(query, kind, &entry, err);
		if (rc == 0)
			rc = each(ctx, &entry);
		if (rc < 0)
			return rc;
	}
}

int history_each_summon(struct store *store, uint32_t service, uint64_t before, unsigned limit,
	int (*each)(void *ctx, const struct history_entry *entry), void *ctx, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	query_begin(&query, store, service ? SUMMON_EACH_OF : SUMMON_EACH);
	bind_u64(&query, before && before < INT64_MAX ? before : INT64_MAX);
	if (service)
		bind_u64(&query, service);
	bind_u64(&query, limit);
	return each_row(&query, HISTORY_SUMMON, each, ctx, err);
}

int history_find_summon(
	struct store *store, uint64_t summon, struct history_entry *out, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	struct history_entry entry;
	query_begin(&query, store, SUMMON_FIND);
	bind_u64(&query, summon);
	int rc = query_next(&query, err);
	if (rc == 0)
		return error_set(err, -ENOENT, "there is no summon %llu in the journal",
			(unsigned long long)summon);
	if (rc > 0)
		rc = take_entry(&query, HISTORY_SUMMON, &entry, err);
	if (rc == 0)
		*out = entry;
	return rc;
}

int history_each_stage(struct store *store, uint64_t summon,
	int (*each)(void *ctx, const struct history_entry *entry), void *ctx, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	query_begin(&query, store, STAGE_EACH);
	bind_u64(&query, summon);
	return each_row(&query, HISTORY_STAGE, each, ctx, err);
}

int history_each_transition(struct store *store, uint32_t service, unsigned limit,
	int (*each)(void *ctx, const struct history_entry *entry), void *ctx, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	query_begin(&query, store, service ? TRANSITION_EACH_OF : TRANSITION_EACH);
	if (service)
		bind_u64(&query, service);
	bind_u64(&query, limit);
	return each_row(&query, HISTORY_TRANSITION, each, ctx, err);
}
