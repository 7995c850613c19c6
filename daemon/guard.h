/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_GUARD_H
#define DAEMON_GUARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "policies/budget.h"

/*
 * Who may have a guest started: a client of an allowed network, that is where it says, while there
 * is something left of the budgets, which packets to a sleeper's address are counted on, too. Asked
 * only for what is not awake.
 */
struct daemon;
struct service;

enum guard_verdict {
	GUARD_PASS,
	GUARD_PROHIBITED, /* its network may not wake */
	GUARD_UNVERIFIED, /* let it ask over TCP */
	GUARD_SPENT,      /* too many starts lately */
};

struct guard_counters {
	uint64_t passed, prohibited, unverified, over_source, over_service, over_total;
};

#define GUARD_SOURCES 4096

struct guard {
	struct budget total;
	struct budget source[GUARD_SOURCES]; /* by a hash of the network: some share one */
	uint64_t secret;
	struct budget notes; /* lines of the log about refusals */
	unsigned unsaid;     /* refusals that had none, since the last that had one */
	struct guard_counters counters;
};

/* *guard is all zero. */
void guard_init(struct guard *guard);

struct guard_client {
	const struct sockaddr *address;
	bool verified; /* came over TCP, has a cookie, ... */
};

/* Whether the network may wake, and the client is where it says (or trusted). `reason` is filled
 * in for a person unless it is PASS. */
enum guard_verdict guard_admit(struct daemon *daemon, const struct service *service,
	const struct guard_client *client, char reason[128]);
/* The same for a start that is to be made now, which costs a token of each budget. */
enum guard_verdict guard_spend(struct daemon *daemon, struct service *service,
	const struct guard_client *client, uint64_t now, char reason[128]);
/* A client that is told more than others of what went wrong. */
bool guard_trusts(const struct daemon *daemon, const struct sockaddr *address);

#endif
