/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_SEATS_H
#define DAEMON_SEATS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"

/*
 * Who gets which machine of a service that has several (policy `instances`, policies/instances.h).
 *
 * With per-client a machine is one client's from when it is given to it until nothing of that life is
 * left, and no client ever gets what another has used: a life of which that is not known is ended
 * first. So whose a machine is outlives the daemon, as a symbolic link: <state_dir>/seats/<service>
 * leads to the client's address, or to "nobody". Where there is none, nothing is known.
 */
struct daemon;
struct load;
struct service;

struct tenant {
	struct ip_address client; /* whose it is; "none": it is free */
	struct ip_address before; /* free: whose it was */
	bool direct;              /* the client has sent packets itself, so it is no resolver */
	bool watched;             /* this life was per-client from its beginning */
	bool ending;              /* it was not as its policy is now: it is on its way out */
	uint64_t used_at;         /* monotonic */
};

/* What a client gets. */
struct seat_given {
	struct service *machine;
	struct ip_address client;
	bool takes;  /* it is not the client's yet: seats_take() once that is let in */
	bool anew;   /* what another client left there at rest is to be ended */
	bool direct; /* it came with a packet of its own */
};

/* For a query to a service that has `instances` other than one. False where all are others'. */
bool seats_choose(struct service *first, const struct ip_address *client, struct seat_given *given);
/* For a packet that would wake this machine, or wait for it. False where its sender has no business
 * there. */
bool seats_admit(
	struct service *machine, const struct ip_address *client, struct seat_given *given);
/* Before the demand; where it was the client's already, nothing happens. */
void seats_take(const struct seat_given *given);

/* In *load, of service_load(): a machine that is sent away is followed by another life, which is the one
 * to wait for. */
void seats_load(const struct service *machine, struct load *load);

/* After each change of state. */
void seats_moved(struct service *machine);
/* Its policy has changed, or a guest of an earlier life was found: ends what may not be handed on. */
void seats_settle(struct service *machine);

/* At the daemon's beginning: whose it was; and, when all guests of an earlier life are known, forgets
 * what is of others. */
void seats_recall(struct service *machine);
void seats_sweep(struct daemon *daemon);

#endif
