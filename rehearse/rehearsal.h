/* SPDX-License-Identifier: ISC */
#ifndef REHEARSE_REHEARSAL_H
#define REHEARSE_REHEARSAL_H

#include "daemon/daemon.h"
#include "rehearse/figures.h"
#include "rehearse/trace.h"

/*
 * One run of a trace through a daemon: the daemon's own code, with its lifecycle, policies, guard,
 * door, idleness and tiers, on the simulated backend and on a clock of ours (clock.h). What it would
 * see of the world has stand-ins here, each behind the contract of what it stands for:
 *
 *   dns.c       dns/dns.h       queries are put to the daemon, its answers are heard
 *   doorbell.c  doorbell.h      packets ring, wait, and are handed over
 *   link.c      link.h, usage.h, conntrack.h, readiness.h
 *   control.c   daemon/control.h  hears of every change of state; there is no API
 *   storage.c   daemon/storage.h, and of db/history.h the journal
 *
 * They are found by the linker before those in the libraries. A function of these contracts that has
 * no stand-in yet makes the program not link.
 */

/* What the rehearsal knows of a service. Where it has several machines, each has its time, and what is
 * counted is the service's. */
struct actor {
	struct figures figures;
	uint64_t since; /* monotonic: until when its time is accounted for */
};

struct rehearsal {
	struct daemon daemon; /* whose address finds the rehearsal again */
	char folder[4096];    /* its state, or "" */
	bool https;           /* names have HTTPS records */
	uint64_t as_of;       /* ns since 1970: when its services were as they are in the scene */
	struct actor *actors; /* by the service's number */
	uint32_t actor_count;
	struct figures total; /* its spreads and refusals; the rest is summed up at the end */
	struct reasons reasons;
	uint64_t events, strangers; /* of the trace; of names that are no service's */
	uint64_t began, ended;      /* monotonic */
	uint64_t began_real;
};

/* The daemon that is given to callbacks is this rehearsal's. */
struct rehearsal *rehearsal_of(struct daemon *daemon);
struct actor *rehearsal_actor(struct rehearsal *rehearsal, uint32_t service);
/* Of the service, also where this is a further machine of it. */
struct figures *rehearsal_figures(struct rehearsal *rehearsal, uint32_t service);

/* scene.c: makes the daemon: with the configuration at `config` (NULL: the defaults), and with the
 * policies and services of `scene`, all in a folder of its own. On failure rehearsal_finish() is
 * still due. */
int rehearsal_init(
	struct rehearsal *rehearsal, const char *config, const json_t *scene, struct error *err);
/* Removes the folder, too. */
void rehearsal_finish(struct rehearsal *rehearsal);

/* run.c: runs the trace, of which `first` is read already, and then `tail` ns more. */
int rehearsal_run(struct rehearsal *rehearsal, struct trace *trace, struct trace_event *first,
	uint64_t tail, struct error *err);
json_t *rehearsal_report(struct rehearsal *rehearsal);

/* --- what the stand-ins do and tell --- */

/* dns.c */
void rehearsal_query(struct rehearsal *rehearsal, struct service *service, uint16_t type,
	const struct ip_address *source);
/* doorbell.c */
void rehearsal_packet(
	struct rehearsal *rehearsal, struct service *service, const struct trace_event *event);
/* control.c: accounts for the time since the last change of state. */
void rehearsal_account(
	struct rehearsal *rehearsal, const struct service *service, enum lifecycle_state state);

/* Counts for a service and for all. */
void rehearsal_count(struct rehearsal *rehearsal, uint32_t service, enum figure figure);
void rehearsal_refuse(
	struct rehearsal *rehearsal, uint32_t service, enum figure figure, const char *reason);
void rehearsal_answered(struct rehearsal *rehearsal, uint32_t service, uint64_t waited);
void rehearsal_handed_over(struct rehearsal *rehearsal, uint32_t service, uint64_t waited);

#endif
