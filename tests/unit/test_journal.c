/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <string.h>

#include "daemon/daemon.h"
#include "scratch.h"

/* A disk that stands still until it is told otherwise. */
static int stand_still(struct store *store, void *ctx, struct error *err)
{
	(void)store;
	(void)err;
	uv_sem_wait(ctx);
	return 0;
}

static void add_many(struct journal *journal, unsigned count)
{
	while (count-- > 0)
		journal_add(journal, HISTORY_TRANSITION);
}

static void a_disk_that_is_too_slow_costs_entries_and_not_memory(void **state)
{
	static struct config config = {.journal = {.summons = 10, .transitions = 10}};
	static struct daemon daemon = {.config = &config};
	struct journal *journal = &daemon.journal;
	struct store *store;
	uv_sem_t disk;
	const struct scratch *scratch = *state;
	config.journal.flush = UINT64_MAX / 2;
	uv_loop_init(&daemon.loop);
	uv_sem_init(&disk, 0);
	assert_int_equal(store_open(scratch->path, &store, NULL), 0);
	assert_int_equal(storage_create(&daemon.loop, store, &daemon.storage, NULL), 0);
	assert_int_equal(journal_init(journal, &daemon, 1, NULL), 0);
	storage_run(daemon.storage, stand_still, NULL, &disk, NULL);
	add_many(journal, 100000);
	assert_true(journal->dropped > 0);
	uv_sem_post(&disk);
	while (journal->count > 0 || journal->writing > 0)
		uv_run(&daemon.loop, UV_RUN_ONCE);
	assert_int_equal(journal->dropped, 0); /* it was told */
	add_many(journal, 1);
	assert_int_equal(journal->count, 1);
	storage_destroy(daemon.storage);
	journal_finish(journal);
	uv_run(&daemon.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&daemon.loop), 0);
	uv_sem_destroy(&disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(a_disk_that_is_too_slow_costs_entries_and_not_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
