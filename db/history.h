/* SPDX-License-Identifier: ISC */
#ifndef DB_HISTORY_H
#define DB_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "db/store.h"

/*
 * The journal: what happened. Entries are values with their text inside, so that the daemon can
 * queue them and hand a batch to the storage thread. Times are real-time nanoseconds; stages are
 * nanoseconds since their summon began.
 */

#define HISTORY_WORD_MAX   31  /* a state, event, stage, outcome */
#define HISTORY_CAUSE_MAX  95  /* what asked for a summon: a query or packet, and whose */
#define HISTORY_DETAIL_MAX 255 /* a reason for a person */

enum history_kind {
	HISTORY_SUMMON,     /* a summon has ended: its row */
	HISTORY_STAGE,      /* one stage of a summon */
	HISTORY_TRANSITION, /* a service's instance went from one state to another */
	HISTORY_INSTANCE_STARTED,
	HISTORY_INSTANCE_ENDED,
};

struct history_entry {
	enum history_kind kind;
	uint32_t service;    /* id; rows of removed services go with them */
	uint64_t at;         /* real time */
	uint64_t summon;     /* id, unique for ever; 0: none (a transition without a summon) */
	uint32_t generation; /* of the instance */
	char word[HISTORY_WORD_MAX + 1];  /* SUMMON outcome, STAGE name, TRANSITION event,
	                                       INSTANCE_* backend */
	char from[HISTORY_CAUSE_MAX + 1]; /* SUMMON cause; TRANSITION old state */
	char to[HISTORY_WORD_MAX + 1];    /* TRANSITION new state */
	uint64_t elapsed;                 /* STAGE: ns since the summon began; SUMMON: ns in all */
	uint32_t waiters;                 /* SUMMON: queries that were answered by it */
	char detail[HISTORY_DETAIL_MAX + 1]; /* cause of failure, client, reason of an end */
};

/* One transaction. Entries whose service no longer exists are left out, not an error. */
int history_write(
	struct store *store, const struct history_entry *entries, size_t count, struct error *err);

/* Keeps the newest `summons` summons (with their stages) and `transitions` transitions and ended
 * instances; removes at most a few thousand rows a call and returns 1 where more is left to do. */
int history_trim(struct store *store, uint64_t summons, uint64_t transitions, struct error *err);

/* The next free summon id: greater than any that was ever written. */
int history_next_summon(struct store *store, uint64_t *next, struct error *err);
/* The highest generation known for any instance, so that a new life starts above it. */
int history_last_generation(struct store *store, uint32_t *generation, struct error *err);

/* Newest first. `service` 0 is all; `before` 0 is from the newest (else ids below it: pages).
 * `each` gets SUMMON entries; history_each_stage the STAGEs of one in order of time. */
int history_each_summon(struct store *store, uint32_t service, uint64_t before, unsigned limit,
	int (*each)(void *ctx, const struct history_entry *entry), void *ctx, struct error *err);
int history_find_summon(struct store *store, uint64_t summon, struct history_entry *out,
	struct error *err); /* -ENOENT */
int history_each_stage(struct store *store, uint64_t summon,
	int (*each)(void *ctx, const struct history_entry *entry), void *ctx, struct error *err);
int history_each_transition(struct store *store, uint32_t service, unsigned limit,
	int (*each)(void *ctx, const struct history_entry *entry), void *ctx, struct error *err);

#endif
