/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_ADMISSION_H
#define DAEMON_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policies/breaker.h"

/*
 * Whether what was demanded can begin now. So many starts at once, and guests with so much memory in
 * all: what is beyond waits for its turn, in order, and memory is taken from the least valuable idle
 * guest. Who waits for a start that waits is answered at its deadline, as ever; a start for which
 * nobody waits any more is given up.
 */
struct daemon;
struct service;
struct timer;

/* What a service has of what there is, or waits for. */
struct claim {
	bool admitted; /* EVENT_DEMAND has been posted, and not had its turn */
	bool starting; /* counted among the starts */
	bool queued;
	bool evicted;                /* its memory is being taken */
	bool no_disk;                /* it could not be taken to disk */
	uint64_t memory;             /* counted, bytes */
	uint64_t queued_at;          /* monotonic */
	struct service *prev, *next; /* in the queue */
};

struct admission_counters {
	uint64_t waited;  /* starts that had to wait */
	uint64_t expired; /* those that were given up */
	uint64_t evicted_resting, evicted_awake;
	uint64_t broken; /* refused, as starts of their backend fail */
};

struct admissions {
	struct service *queue;
	unsigned queued, starting;
	bool has_begun;  /* one in this turn of the loop */
	uint64_t memory; /* of all guests that have any */
	struct timer *timer;
	uint64_t look_at; /* when it fires (monotonic) */
	bool looking, again;
	struct admission_counters counters;
};

/* There is a summon: posts EVENT_DEMAND, now or when it is its turn. */
void admission_enter(struct service *service);
/* The summon has ended. */
void admission_leave(struct service *service);
/* After every step of its lifecycle. */
void admission_account(struct service *service);
/* A retirement for its memory was called off: it is in use. */
void admission_spare(struct service *service);
/* Whether there is room for a guest that nobody waits for. */
bool admission_has_room(const struct service *service);
/* What it waits for, for a person; false where it waits for nothing. */
bool admission_explain(const struct service *service, char *text, size_t size);
void admission_finish(struct daemon *daemon);

/* The breaker of its backend: 0, or when to ask again (monotonic). Only for what is to be started. */
uint64_t admission_breaker(struct service *service, uint64_t now);
/* A backend has started a guest, or has failed to. */
void admission_note(struct service *service, bool failed);

#endif
