/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_HEAL_H
#define DAEMON_HEAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Who sets the bridge down and up, flushes routes or deletes a device, takes from guests what they are
 * reached by, and the kernel gives none of it back. So what the daemon knows is put into the kernel again:
 * addresses of the bridge, routes to the doorbell, and the ports, neighbours and routes of guests. Some
 * services a turn of the loop.
 */
struct daemon;
struct timer;

struct heal {
	struct timer *timer; /* the next turn, or the next try */
	uint32_t next;       /* the service whose turn it is */
	unsigned missing;    /* what was put back since the first one's turn */
	bool again;          /* something has changed since then */
	uint64_t healed;     /* how often something was missing */
	char failure[512];   /* what keeps guests from being reached now, or "" */
};

/* Heals whenever the network was changed by somebody else. Without it, only a restart does. */
int heal_watch(struct daemon *daemon, struct error *err);
/* Something of ours could not be changed: has it made good a little later. */
void heal_soon(struct daemon *daemon);
/* What the kernel has for guests that are not there. */
int heal_prune(struct daemon *daemon, struct error *err);
void heal_finish(struct daemon *daemon);

#endif
