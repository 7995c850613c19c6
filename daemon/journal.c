/* SPDX-License-Identifier: ISC */
#include "daemon/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/daemon.h"

#define JOURNAL_BATCH_MAX   8192
#define JOURNAL_BATCHES_MAX 8 /* with the storage thread; more are not given to it */

struct batch {
	struct daemon *daemon;
	struct history_entry *entries;
	size_t count;
	uint64_t keep_summons, keep_transitions;
};

static struct history_entry *new_entries(void)
{
	return malloc(JOURNAL_BATCH_MAX * sizeof(struct history_entry));
}

int journal_init(
	struct journal *journal, struct daemon *daemon, uint64_t next_summon, struct error *err)
{
	*journal = (struct journal){.daemon = daemon, .next_summon = next_summon};
	journal->entries = new_entries();
	return journal->entries ? 0 : error_set(err, -ENOMEM, "out of memory");
}

void journal_finish(struct journal *journal)
{
	timer_cancel(&journal->flush);
	free(journal->entries);
	free(journal->fresh);
	journal->entries = journal->fresh = NULL;
}

static void on_flush(void *ctx)
{
	journal_flush(ctx);
}

struct history_entry *journal_add(struct journal *journal, enum history_kind kind)
{
	if (journal->daemon->ending)
		return NULL;
	if (journal->count == JOURNAL_BATCH_MAX)
		journal_flush(journal);
	if (journal->count == JOURNAL_BATCH_MAX) {
		journal->dropped++;
		return NULL;
	}
	if (!journal->flush)
		timer_start(&journal->daemon->loop, &journal->flush,
			journal->daemon->config->journal.flush, on_flush, journal);
	struct history_entry *entry = &journal->entries[journal->count++];
	memset(entry, 0, sizeof(*entry));
	entry->kind = kind;
	return entry;
}

static int write_batch(struct store *store, void *ctx, struct error *err)
{
	struct batch *batch = ctx;
	int rc = history_write(store, batch->entries, batch->count, err);
	while (rc >= 0) {
		rc = history_trim(store, batch->keep_summons, batch->keep_transitions, err);
		if (rc <= 0)
			break;
	}
	return rc;
}

static void on_written(void *ctx, int rc, const struct error *err)
{
	struct batch *batch = ctx;
	struct journal *journal = &batch->daemon->journal;
	if (rc < 0)
		log_line(&batch->daemon->log, LOG_ERROR, LOG_ABOUT_NOTHING,
			"%zu journal entries are lost: %s", batch->count, err->message);
	journal->writing--;
	free(journal->fresh);
	journal->fresh = batch->entries;
	free(batch);
	if (!journal->flush)
		journal_flush(journal); /* what had to wait */
}

void journal_flush(struct journal *journal)
{
	timer_cancel(&journal->flush);
	bool behind = journal->writing >= JOURNAL_BATCHES_MAX && !journal->daemon->ending;
	if (journal->count == 0 || behind)
		return;
	struct batch *batch = malloc(sizeof(*batch));
	if (!journal->fresh)
		journal->fresh = new_entries();
	if (!batch || !journal->fresh) {
		free(batch);
		return; /* journal_add counts what does not fit */
	}
	const struct config *config = journal->daemon->config;
	*batch = (struct batch){journal->daemon, journal->entries, journal->count,
		config->journal.summons, config->journal.transitions};
	if (storage_run(journal->daemon->storage, write_batch, on_written, batch, NULL) < 0) {
		free(batch);
		return;
	}
	journal->writing++;
	journal->entries = STEAL_POINTER(journal->fresh);
	journal->count = 0;
	if (journal->dropped) {
		log_line(&journal->daemon->log, LOG_WARNING, LOG_ABOUT_NOTHING,
			"%" PRIu64 " journal entries did not fit and are lost", journal->dropped);
		journal->dropped = 0;
	}
}
