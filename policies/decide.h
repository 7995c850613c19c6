/* SPDX-License-Identifier: ISC */
#ifndef POLICIES_DECIDE_H
#define POLICIES_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "policies/policy.h"

/*
 * Decisions: pure functions of (policy, load, now). No I/O, no clock: `now` and all times are
 * CLOCK_MONOTONIC nanoseconds that the caller read; 0 stands for "not yet".
 */

enum load_state {
	LOAD_ASLEEP,   /* nothing runs: cold, prepared, suspended, or failed */
	LOAD_STARTING, /* on its way to awake; a query joins */
	LOAD_AWAKE,
	LOAD_STOPPING, /* on its way down; demand starts it again */
};

struct load {
	enum load_state state;
	bool pinned;        /* never retired; kept awake */
	bool closed;        /* its schedule keeps it asleep: neither queries nor packets wake it */
	uint64_t ready_at;  /* of the present life */
	uint64_t active_at; /* last use that the policy counts */
	uint64_t rested_at; /* since when we know it to be at rest; 0: it is not */
	uint64_t rested;    /* how long it had been before that, in an earlier life of ours */
	uint64_t failed_at; /* last failed start */
	unsigned failures;  /* in a row; 0 after a success */
	bool busy;          /* the guest says that it must not be retired as idle */
	bool done;          /* the guest asks for it */
	bool remembers;     /* LOAD_ASLEEP: its memory is kept, and with it its connections */
	struct budget rung; /* wakes by packets, at ring_rate */
};

enum admission {
	ADMIT_ANSWER,  /* awake: answer now */
	ADMIT_JOIN,    /* a start is under way: wait for it */
	ADMIT_WAKE,    /* start it, and wait */
	ADMIT_NO_WAKE, /* this kind of query does not wake: answer without waking */
	ADMIT_CLOSED,  /* refused: it is kept asleep at this hour */
	ADMIT_BACKOFF, /* refused: the last start failed too short a time ago */
};

struct admit {
	enum admission verdict;
	uint64_t hold_until; /* JOIN, WAKE: when a held answer must go out */
	uint64_t retry_at;   /* BACKOFF: when a wake would be admitted */
};

/* `wake` is the one enum policy_wake bit of the query, or 0 for a demand that always wakes (an
 * operator's, a pin's). */
struct admit decide_admit(
	const struct policy *policy, const struct load *load, unsigned wake, uint64_t now);

/* What a packet to the service's address is. */
enum ring_kind {
	RING_CONNECT,  /* TCP: asks for a connection */
	RING_SEGMENT,  /* TCP: of a connection that somebody believes to be there */
	RING_DATAGRAM, /* UDP */
	RING_PING,     /* echo request */
	RING_OTHER,
};

struct ring {
	enum ring_kind kind;
	uint16_t port; /* that it is sent to, where the kind has one */
	struct ip_address from;
};

enum ring_verdict {
	RING_PASS,    /* the guest is there: to it, now */
	RING_WAIT,    /* a start is under way: keep it */
	RING_WAKE,    /* start it, and keep the packet */
	RING_DEAD,    /* refused: of a connection of an earlier life */
	RING_PORT,    /* refused: to a port that does not wake */
	RING_NO_PING, /* refused: echo requests do not wake */
	RING_KIND,    /* refused: no packet of that kind wakes anything */
	RING_FROM,    /* refused: this client does not wake it */
	RING_RATE,    /* refused: packets have woken it too often of late */
	RING_CLOSED,  /* refused: it is kept asleep at this hour */
	RING_BACKOFF, /* refused: the last start failed too short a time ago */
	RING_VERDICTS,
};

/* Whether a packet may start the service. What a client sends to a guest that is on its way up
 * waits if it begins something; the rest is the guest's own affair. A WAKE that is acted on costs
 * load.rung a token. */
enum ring_verdict decide_ring(const struct policy *policy, const struct load *load,
	const struct ring *ring, uint64_t now);
/* A word for it: "port", "source", ... */
const char *ring_verdict_name(enum ring_verdict verdict);

enum rest_reason {
	REST_NOT,
	REST_IDLE, /* idle_after without use */
	REST_DONE, /* it asked for it */
	REST_MAX_LIFE,
};

struct rest {
	enum rest_reason reason; /* REST_NOT: stay awake */
	enum policy_retire how;
	uint64_t check_at; /* REST_NOT: look again then; 0: never on its own account */
};

/* Only meaningful for LOAD_AWAKE; anything else gives REST_NOT with check_at 0. */
struct rest decide_rest(const struct policy *policy, const struct load *load, uint64_t now);

enum depth { DEPTH_NONE, DEPTH_MEMORY, DEPTH_DISK };

struct tier {
	bool due;
	enum policy_retire how; /* due: SNAPSHOT or DESTROY */
	uint64_t check_at;      /* not due: look again then; 0: there is no further tier */
};

/* Where a guest that has been at rest for some time (load->rested_at), now as deep as `depth`, has to go. Where
 * time has passed several tiers, it goes to the last of them. */
struct tier decide_tier(
	const struct policy *policy, const struct load *load, enum depth depth, uint64_t now);

/* How long after failure number `failures` (1 is the first) starts are refused. */
uint64_t decide_backoff(const struct policy *policy, unsigned failures);
/* When starts are admitted again after the last one that failed; 0 where none did. */
uint64_t decide_retry_at(const struct policy *policy, const struct load *load);

enum ahead { AHEAD_NOTHING, AHEAD_PREPARE, AHEAD_WARM };

/* What should be made ready off the path while the service sleeps with nothing in being. */
enum ahead decide_ahead(const struct policy *policy, const struct load *load, uint64_t now);

#endif
