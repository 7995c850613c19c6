/* SPDX-License-Identifier: ISC */
#include "db/history.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "db/sql.h"

/* Writing and trimming the journal; recall.c reads it. */

/* Rows that one call of history_trim removes of one table at most: some ten milliseconds. */
enum { TRIM_ROWS = 1000 };

static const enum statement inserts[] = {
	[HISTORY_SUMMON] = SUMMON_INSERT,
	[HISTORY_STAGE] = STAGE_INSERT,
	[HISTORY_TRANSITION] = TRANSITION_INSERT,
	[HISTORY_INSTANCE_STARTED] = INSTANCE_START,
	[HISTORY_INSTANCE_ENDED] = INSTANCE_END,
};

static int write_entry(struct store *store, const struct history_entry *entry, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	if ((unsigned)entry->kind >= sizeof(inserts) / sizeof(inserts[0]))
		return error_set(err, -EINVAL, "the journal has no entries of kind %u",
			(unsigned)entry->kind);
	query_begin(&query, store, inserts[entry->kind]);
	bind_u64(&query, entry->summon);
	bind_u64(&query, entry->service);
	bind_u64(&query, entry->at);
	bind_u64(&query, entry->generation);
	bind_array(&query, entry->word, HISTORY_WORD_MAX);
	bind_array(&query, entry->from, HISTORY_CAUSE_MAX);
	bind_array(&query, entry->to, HISTORY_WORD_MAX);
	bind_u64(&query, entry->elapsed);
	bind_u64(&query, entry->waiters);
	bind_array(&query, entry->detail, HISTORY_DETAIL_MAX);
	int rc = query_run(&query, err);
	return rc < 0 ? rc : 0;
}

static int raise_counter(struct store *store, const char *name, uint64_t value, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	query_begin(&query, store, COUNTER_RAISE);
	bind_u64(&query, value);
	bind_text(&query, name);
	int rc = query_run(&query, err);
	return rc < 0 ? rc : 0;
}

int history_write(
	struct store *store, const struct history_entry *entries, size_t count, struct error *err)
{
	CLEANUP(transaction) struct transaction transaction = {0};
	uint64_t summon = 0, generation = 0;
	if (count == 0)
		return 0;
	int rc = transaction_begin(&transaction, store, err);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		rc = write_entry(store, &entries[i], err);
		summon = entries[i].summon > summon ? entries[i].summon : summon;
		generation =
			entries[i].generation > generation ? entries[i].generation : generation;
	}
	if (rc == 0)
		rc = raise_counter(store, "summon", summon, err);
	if (rc == 0)
		rc = raise_counter(store, "generation", generation, err);
	if (rc == 0)
		rc = transaction_commit(&transaction, err);
	return rc;
}

/* --- trimming --- */

/* The highest id that is to go; 0 for none. */
static int find_bound(struct store *store, enum statement which, uint64_t keep, uint64_t *bound,
	struct error *err)
{
	CLEANUP(query) struct query query = {0};
	*bound = 0;
	query_begin(&query, store, which);
	bind_u64(&query, keep < INT64_MAX ? keep : INT64_MAX);
	int rc = query_next(&query, err);
	if (rc <= 0)
		return rc;
	*bound = take_u64(&query, INT64_MAX);
	return query_check(&query, err);
}

/* 1 where there may be more. */
static int trim_rows(struct store *store, enum statement which, uint64_t bound, struct error *err)
{
	CLEANUP(query) struct query query = {0};
	query_begin(&query, store, which);
	bind_u64(&query, bound);
	bind_u64(&query, TRIM_ROWS);
	int rc = query_run(&query, err);
	return rc < 0 ? rc : rc == TRIM_ROWS;
}

/* The stages go first: those of a summon whose row is gone could not be found again. */
static int trim_summons(struct store *store, uint64_t keep, struct error *err)
{
	uint64_t bound;
	int rc = find_bound(store, SUMMON_BOUND, keep, &bound, err);
	if (rc < 0 || bound == 0)
		return rc;
	rc = trim_rows(store, STAGE_TRIM, bound, err);
	return rc ? rc : trim_rows(store, SUMMON_TRIM, bound, err);
}

static int trim_table(struct store *store, enum statement find, enum statement trim, uint64_t keep,
	struct error *err)
{
	uint64_t bound;
	int rc = find_bound(store, find, keep, &bound, err);
	return rc < 0 || bound == 0 ? rc : trim_rows(store, trim, bound, err);
}

int history_trim(struct store *store, uint64_t summons, uint64_t transitions, struct error *err)
{
	CLEANUP(transaction) struct transaction transaction = {0};
	int more = transaction_begin(&transaction, store, err);
	if (more < 0)
		return more;
	int rc = trim_summons(store, summons, err);
	if (rc >= 0) {
		more |= rc;
		rc = trim_table(store, TRANSITION_BOUND, TRANSITION_TRIM, transitions, err);
	}
	if (rc >= 0) {
		more |= rc;
		rc = trim_table(store, INSTANCE_BOUND, INSTANCE_TRIM, transitions, err);
	}
	if (rc >= 0) {
		more |= rc;
		rc = transaction_commit(&transaction, err);
	}
	return rc < 0 ? rc : more;
}
