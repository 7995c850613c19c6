/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_JOURNAL_H
#define DAEMON_JOURNAL_H

#include <stdint.h>

#include "base/error.h"
#include "daemon/timer.h"
#include "db/history.h"

/* Collects what happens and writes it in batches on the storage thread. Bounded: when the disk
 * cannot keep up, entries are dropped and counted. */
struct daemon;

struct journal {
	struct daemon *daemon;
	struct history_entry *entries;
	struct history_entry *fresh; /* of a batch that was written: its memory is there already */
	size_t count;
	unsigned writing; /* batches that the storage thread has */
	uint64_t dropped;
	uint64_t next_summon;
	struct timer *flush;
};

int journal_init(
	struct journal *journal, struct daemon *daemon, uint64_t next_summon, struct error *err);
void journal_finish(struct journal *journal);

/* A zeroed entry to be filled in before the next call, or NULL where there is no room. */
struct history_entry *journal_add(struct journal *journal, enum history_kind kind);
/* Hands what there is to the storage thread, at once where it is not far behind. */
void journal_flush(struct journal *journal);

#endif
