/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_SUMMON_H
#define DAEMON_SUMMON_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/timer.h"
#include "db/history.h"
#include "dns/dns.h"

/*
 * One summon: a demand on a service that sleeps, from the first query to the answer, with all who
 * joined it meanwhile and the time of every stage.
 */
struct service;
struct summon;

enum summon_stage {
	STAGE_QUERY,             /* the first query came in */
	STAGE_ADMITTED,          /* policies said yes */
	STAGE_LINK_UP,           /* tap, route and neighbour are there */
	STAGE_ASKED,             /* the backend was told to start or resume */
	STAGE_CREATED,           /* the backend said that it runs */
	STAGE_FIRST_INSTRUCTION, /* the guest's first, by its own count back from ready */
	STAGE_CONSOLE,           /* its first byte on the console */
	STAGE_READY,             /* it can serve */
	STAGE_ANSWERED,          /* every waiter has its answer */
	STAGE_COUNT,
};

const char *summon_stage_name(enum summon_stage stage);

#define SUMMON_CAUSE_MAX HISTORY_CAUSE_MAX

/* For a waiter that is no query. `failure` is NULL for success. */
typedef void (*summon_done_fn)(void *ctx, const struct summon *summon, const char *failure);

struct waiter {
	uint64_t hold_until; /* monotonic; 0: as long as it takes */
	struct dns_query_id query;
	bool trusted;        /* is told what the backend said of a failure */
	summon_done_fn done; /* NULL: a query */
	void *ctx;
};

struct summon {
	uint64_t id;
	struct service *service;
	char cause[SUMMON_CAUSE_MAX + 1];
	uint64_t began; /* monotonic */
	uint64_t began_real;
	uint64_t stages[STAGE_COUNT]; /* monotonic; 0: not seen */
	struct waiter *waiters;
	unsigned waiter_count, waiter_size;
	unsigned answered;      /* waiters that have been told something */
	struct timer *deadline; /* of the waiter that is first to be told */
	uint64_t deadline_at;
};

struct summon *summon_create(struct service *service, const char *cause, uint64_t began);
/* Waiting queries are not told; others hear that the daemon ends. */
void summon_destroy(struct summon *summon);

/* The first time counts. NULL is fine: then nobody waits for this start. */
void summon_stage(struct summon *summon, enum summon_stage stage, uint64_t at);

/* -EBUSY where limits.waiters_per_service is reached, -ENOMEM. */
int summon_join(struct summon *summon, const struct waiter *waiter);

/* Tells every waiter, writes the summon to the journal and the log, and frees it. */
void summon_succeed(struct service *service);
void summon_fail(struct service *service, const char *failure);

#endif
