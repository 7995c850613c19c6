/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "db/history.h"
#include "tests/unit/stores.h"

static uint32_t add_service(struct store *store, const char *name)
{
	struct store_service s = {.backend = "sim", .policy = "default"};
	snprintf(s.name, sizeof(s.name), "%s", name);
	assert_int_equal(store_put_service(store, &s, NULL), 0);
	return s.id;
}

static struct history_entry entry(enum history_kind kind, uint32_t service, uint64_t summon)
{
	return (struct history_entry){.kind = kind,
		.service = service,
		.summon = summon,
		.at = 1000 + summon,
		.generation = 7,
		.word = "ready",
		.from = "query",
		.to = "awake",
		.elapsed = 99,
		.waiters = 3,
		.detail = "192.0.2.1"};
}

static void write_one(struct store *store, struct history_entry e)
{
	assert_int_equal(history_write(store, &e, 1, NULL), 0);
}

static long count_rows(const struct scratch *scratch, const char *table)
{
	sqlite3 *db;
	sqlite3_stmt *stmt;
	char sql[200];
	snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
	assert_int_equal(sqlite3_open(scratch->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	long count = (long)sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return count;
}

struct seen {
	unsigned count;
	char ids[400];
	struct history_entry last;
};

static int see(void *ctx, const struct history_entry *e)
{
	struct seen *seen = ctx;
	size_t used = strlen(seen->ids);
	seen->count++;
	seen->last = *e;
	snprintf(
		seen->ids + used, sizeof(seen->ids) - used, "%llu ", (unsigned long long)e->summon);
	return 0;
}

static void assert_summons(
	struct store *store, uint32_t service, uint64_t before, unsigned limit, const char *ids)
{
	struct seen seen = {0};
	assert_int_equal(history_each_summon(store, service, before, limit, see, &seen, NULL), 0);
	assert_string_equal(seen.ids, ids);
}

static void written_is_read(void **state)
{
	struct scratch *scratch = *state;
	struct store *store = open_store(scratch);
	uint32_t a = add_service(store, "a");
	struct history_entry batch[] = {
		entry(HISTORY_STAGE, a, 5),
		entry(HISTORY_STAGE, a, 5),
		entry(HISTORY_TRANSITION, a, 5),
		entry(HISTORY_INSTANCE_STARTED, a, 5),
		entry(HISTORY_SUMMON, a, 5),
		entry(HISTORY_INSTANCE_ENDED, a, 5),
	};
	struct history_entry found;
	struct seen seen = {0};
	batch[1].elapsed = 50;
	assert_int_equal(history_write(store, batch, 6, NULL), 0);
	assert_int_equal(history_write(store, NULL, 0, NULL), 0);
	store_close(store);
	assert_int_equal(count_rows(scratch, "instance WHERE started_at = 1005 AND ended_at = 1005 "
					     "AND backend = 'ready' AND reason = '192.0.2.1'"),
		1);
	store = open_store(scratch);
	assert_int_equal(history_find_summon(store, 5, &found, NULL), 0);
	assert_int_equal(found.kind, HISTORY_SUMMON);
	assert_int_equal(found.service, a);
	assert_int_equal(found.summon, 5);
	assert_int_equal(found.at, 1005);
	assert_int_equal(found.generation, 7);
	assert_string_equal(found.word, "ready");
	assert_string_equal(found.from, "query");
	assert_int_equal(found.elapsed, 99);
	assert_int_equal(found.waiters, 3);
	assert_string_equal(found.detail, "192.0.2.1");
	assert_int_equal(history_find_summon(store, 6, &found, NULL), -ENOENT);
	assert_int_equal(history_each_stage(store, 5, see, &seen, NULL), 0);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.last.elapsed, 99);
	assert_int_equal(seen.last.kind, HISTORY_STAGE);
	assert_int_equal(history_each_transition(store, 0, 10, see, &seen, NULL), 0);
	assert_int_equal(seen.count, 3);
	assert_string_equal(seen.last.to, "awake");
	assert_string_equal(seen.last.from, "query");
	assert_int_equal(seen.last.generation, 7);
	store_close(store);
}

static void pages(void **state)
{
	struct store *store = open_store(*state);
	uint32_t a = add_service(store, "a"), b = add_service(store, "b");
	struct seen seen = {0};
	for (uint64_t id = 1; id <= 10; id++) {
		write_one(store, entry(HISTORY_SUMMON, id % 2 ? a : b, id));
		write_one(store, entry(HISTORY_TRANSITION, id % 2 ? a : b, id));
	}
	assert_summons(store, 0, 0, 3, "10 9 8 ");
	assert_summons(store, 0, 8, 3, "7 6 5 ");
	assert_summons(store, 0, 2, 3, "1 ");
	assert_summons(store, 0, 1, 3, "");
	assert_summons(store, 0, 0, 0, "");
	assert_summons(store, a, 0, 2, "9 7 ");
	assert_summons(store, a, 7, 9, "5 3 1 ");
	assert_summons(store, 99, 0, 9, "");
	assert_int_equal(history_each_transition(store, b, 2, see, &seen, NULL), 0);
	assert_string_equal(seen.ids, "10 8 ");
	store_close(store);
}

static void removed_services(void **state)
{
	struct scratch *scratch = *state;
	static const char *const tables[] = {"summon", "stage", "transition", "instance"};
	struct store *store = open_store(scratch);
	uint32_t a = add_service(store, "a"), b = add_service(store, "b");
	struct history_entry batch[8];
	uint64_t next;
	uint32_t generation;
	for (unsigned i = 0; i < 4; i++) {
		batch[i] = entry((enum history_kind)i, a, 41);
		batch[4 + i] = entry((enum history_kind)i, b, 40);
	}
	assert_int_equal(history_write(store, batch, 8, NULL), 0);
	assert_int_equal(store_remove_service(store, a, NULL), 0);
	/* Late entries of a removed service are left out, and the others of the batch kept. */
	for (unsigned i = 0; i < 8; i++)
		batch[i].summon += 10, batch[i].generation = 1000;
	assert_int_equal(history_write(store, batch, 8, NULL), 0);
	assert_summons(store, 0, 0, 9, "50 40 ");
	/* What was used once is not used again, although its rows are gone. */
	assert_int_equal(history_next_summon(store, &next, NULL), 0);
	assert_int_equal(next, 52);
	assert_int_equal(history_last_generation(store, &generation, NULL), 0);
	assert_int_equal(generation, 1000);
	store_close(store);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(count_rows(scratch, tables[i]), 2);
}

static void counters_begin_at_nothing(void **state)
{
	struct store *store = open_store(*state);
	uint64_t next;
	uint32_t generation = 1;
	assert_int_equal(history_next_summon(store, &next, NULL), 0);
	assert_int_equal(next, 1);
	assert_int_equal(history_last_generation(store, &generation, NULL), 0);
	assert_int_equal(generation, 0);
	store_close(store);
}

static void hostile_counters(void **state)
{
	static const char *const sql[] = {"UPDATE counter SET value = -1",
		"UPDATE counter SET value = 9223372036854775807", "DELETE FROM counter"};
	struct scratch *scratch = *state;
	for (size_t i = 0; i < sizeof(sql) / sizeof(sql[0]); i++) {
		struct error err = ERROR_INIT;
		sqlite3 *db;
		uint64_t next;
		uint32_t generation;
		store_close(open_store(scratch));
		assert_int_equal(sqlite3_open(scratch->path, &db), SQLITE_OK);
		assert_int_equal(sqlite3_exec(db, sql[i], NULL, NULL, NULL), SQLITE_OK);
		sqlite3_close(db);
		struct store *store = open_store(scratch);
		assert_int_equal(history_next_summon(store, &next, &err), -EUCLEAN);
		assert_contains(err.message, "table counter");
		assert_int_equal(history_last_generation(store, &generation, NULL), -EUCLEAN);
		store_close(store);
	}
}

static void a_batch_is_whole_or_not_at_all(void **state)
{
	struct store *store = open_store(*state);
	struct error err = ERROR_INIT;
	uint32_t a = add_service(store, "a");
	struct history_entry batch[] = {entry(HISTORY_SUMMON, a, 1), entry(HISTORY_SUMMON, a, 2)};
	uint64_t next;
	batch[1].kind = (enum history_kind)17;
	assert_int_equal(history_write(store, batch, 2, &err), -EINVAL);
	assert_non_null(strstr(err.message, "17"));
	batch[1] = entry(HISTORY_SUMMON, a, UINT64_MAX);
	assert_int_equal(history_write(store, batch, 2, NULL), -ERANGE);
	assert_summons(store, 0, 0, 9, "");
	assert_int_equal(history_next_summon(store, &next, NULL), 0);
	assert_int_equal(next, 1);
	/* A batch that is written a second time, after a doubtful failure, adds no summon. */
	batch[1] = entry(HISTORY_SUMMON, a, 2);
	assert_int_equal(history_write(store, batch, 2, NULL), 0);
	assert_int_equal(history_write(store, batch, 2, NULL), 0);
	assert_summons(store, 0, 0, 9, "2 1 ");
	store_close(store);
}

/* An array that is full to the brim is cut at its end, never read beyond it. */
static void unterminated_words(void **state)
{
	struct store *store = open_store(*state);
	struct history_entry e = entry(HISTORY_SUMMON, add_service(store, "a"), 1);
	memset(e.word, 'w', sizeof(e.word));
	memset(e.detail, 'd', sizeof(e.detail));
	write_one(store, e);
	assert_int_equal(history_find_summon(store, 1, &e, NULL), 0);
	assert_int_equal(strlen(e.word), HISTORY_WORD_MAX);
	assert_int_equal(strlen(e.detail), HISTORY_DETAIL_MAX);
	assert_string_equal(e.from, "query");
	store_close(store);
}

static void trimmed(void **state)
{
	struct scratch *scratch = *state;
	struct store *store = open_store(scratch);
	uint32_t a = add_service(store, "a");
	enum { SUMMONS = 3000 };
	struct history_entry *batch = calloc(SUMMONS * 5, sizeof(*batch));
	assert_non_null(batch);
	for (size_t i = 0; i < SUMMONS; i++) {
		for (unsigned kind = 0; kind < 5; kind++) {
			batch[i * 5 + kind] = entry((enum history_kind)kind, a, i + 1);
			batch[i * 5 + kind].generation = (uint32_t)i + 1;
		}
	}
	/* The newest instance still runs, and so does the oldest. */
	batch[SUMMONS * 5 - 1].kind = HISTORY_STAGE;
	batch[4].kind = HISTORY_STAGE;
	assert_int_equal(history_write(store, batch, SUMMONS * 5, NULL), 0);
	free(batch);
	unsigned calls = 1;
	int rc;
	while ((rc = history_trim(store, 10, 20, NULL)) > 0 && calls < 100)
		calls++;
	assert_int_equal(rc, 0);
	assert_true(calls > 2); /* bounded: not all at once */
	assert_int_equal(history_trim(store, 10, 20, NULL), 0);
	assert_summons(store, 0, 0, 100, "3000 2999 2998 2997 2996 2995 2994 2993 2992 2991 ");
	store_close(store);
	assert_int_equal(count_rows(scratch, "stage"), 11);
	assert_int_equal(count_rows(scratch, "transition"), 20);
	assert_int_equal(count_rows(scratch, "instance WHERE ended_at IS NOT NULL"), 20);
	assert_int_equal(count_rows(scratch, "instance WHERE ended_at IS NULL"), 2);
	store = open_store(scratch);
	assert_int_equal(history_trim(store, 0, 0, NULL), 0);
	assert_summons(store, 0, 0, 100, "");
	assert_int_equal(history_trim(store, UINT64_MAX, UINT64_MAX, NULL), 0);
	uint64_t next;
	assert_int_equal(history_next_summon(store, &next, NULL), 0);
	assert_int_equal(next, 3001);
	store_close(store);
}

static int stop(void *ctx, const struct history_entry *e)
{
	(void)e;
	++*(unsigned *)ctx;
	return -ECANCELED;
}

static void each_can_stop(void **state)
{
	struct store *store = open_store(*state);
	uint32_t a = add_service(store, "a");
	unsigned calls = 0;
	write_one(store, entry(HISTORY_SUMMON, a, 1));
	write_one(store, entry(HISTORY_SUMMON, a, 2));
	assert_int_equal(history_each_summon(store, 0, 0, 9, stop, &calls, NULL), -ECANCELED);
	assert_int_equal(calls, 1);
	assert_summons(store, 0, 0, 9, "2 1 ");
	store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(written_is_read),
		SCRATCH_TEST(pages),
		SCRATCH_TEST(removed_services),
		SCRATCH_TEST(counters_begin_at_nothing),
		SCRATCH_TEST(hostile_counters),
		SCRATCH_TEST(a_batch_is_whole_or_not_at_all),
		SCRATCH_TEST(unterminated_words),
		SCRATCH_TEST(trimmed),
		SCRATCH_TEST(each_can_stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
