/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_SERVICE_H
#define DAEMON_SERVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "daemon/admission.h"
#include "daemon/backends.h"
#include "daemon/door.h"
#include "daemon/lifecycle.h"
#include "daemon/seats.h"
#include "daemon/timer.h"
#include "db/store.h"
#include "launcher/launcher.h"
#include "policies/budget.h"
#include "policies/decide.h"
#include "policies/policy.h"

/*
 * The registry of services, in memory, and the only writer of their state. An event enters through
 * service_post(); the lifecycle table says what follows. Loop thread only.
 */
struct daemon;
struct instance;
struct summon;
struct console;

struct policy_entry {
	struct policy policy;
	struct service *users;                                /* a list, by user_next */
	unsigned services;                                    /* how many */
	enum { HOURS_FREE, HOURS_AWAKE, HOURS_ASLEEP } hours; /* what holds now (schedule.h) */
	UT_hash_handle hh;
};

struct service {
	struct daemon *daemon;
	struct store_service def;
	struct policy_entry *policy;           /* service_use_policy() */
	struct service *user_prev, *user_next; /* others of that policy */
	struct backend *backend; /* of the instance; of the definition where there is none */
	struct mac_address mac;

	enum lifecycle_state state; /* written by service.c only */
	uint64_t since;             /* real time of the last change of state */
	struct load load;           /* what decisions are made from; state and pinned are filled in
	                               by service_load() */
	enum launcher_stop stop_how;
	enum launcher_rest rest_where; /* where EFFECT_SUSPEND keeps its memory */
	struct instance *instance;     /* what is in being, or NULL */
	struct summon *summon;         /* the demand that is being met, or NULL */
	struct console *console;       /* or NULL before the first byte */
	struct door door;              /* packets that wait for the guest */
	struct claim claim;            /* of starts and memory */
	struct budget wakes;           /* starts that queries have caused */
	struct other_name *others;     /* daemon/names.h */
	size_t other_count;
	struct service *first;     /* whose further machine it is (family.h); else itself */
	struct service **machines; /* of a first: all, itself first; NULL where it is alone */
	unsigned machine_count;    /* of a first */
	struct tenant tenant;
	unsigned changes;       /* of its definition, on their way to the store */
	struct timer *unpin;    /* when its pin ends */
	struct timer *consider; /* looks again when backoff is over */
	unsigned unasked;       /* starts for nobody's query, in a row */
	uint64_t unasked_at;    /* the last of them (monotonic) */
	char last_error[256];
	uint64_t last_summon;
	bool retire_later; /* when nothing needs it any more (needs.h) */
	enum policy_retire retire_later_how;
	bool held;    /* an operator woke it: no schedule ends this life */
	bool removed; /* freed when nothing of it is left */
	UT_hash_handle hh;
};

struct service_event {
	struct service *service;
	enum lifecycle_event event;
};

struct registry {
	struct daemon *daemon;
	struct service *by_name;
	struct service **by_id; /* NULL where there is none */
	uint32_t id_limit;
	struct policy_entry *policies;
	uint32_t last_generation;
	struct other_name *other_names; /* by name; daemon/names.h */
	struct service_event *queue;    /* events that wait their turn */
	size_t queue_count, queue_size;
	unsigned moves;     /* definitions that come or go, on their way to the store */
	unsigned reshaping; /* policies whose services get other machines, likewise */
	unsigned coming;    /* services and machines that the moves bring */
	unsigned binding;   /* changes by which services come to need others, likewise */
	bool busy;          /* effects run, or a DNS callback: events wait */
	uv_idle_t later;    /* drains after a DNS callback */
};

int registry_init(struct registry *registry, struct daemon *daemon, struct error *err);
/* Ends no guest. The loop must run once more for its handle. */
void registry_finish(struct registry *registry);

struct service *service_by_name(const struct registry *registry, const char *name);
struct service *service_by_id(const struct registry *registry, uint32_t id);
struct policy_entry *policy_by_name(const struct registry *registry, const char *name);

/* Adds a policy or changes it in place; its services' answers follow. */
int registry_put_policy(struct registry *registry, const struct policy *policy, struct error *err);
void registry_remove_policy(struct registry *registry, const char *name);

/* NULL: none any more. */
void service_use_policy(struct service *service, struct policy_entry *entry);

/* Adds a service, or replaces the definition of the one with its id: what is prepared or suspended
 * of the old definition is retired; an awake guest stays until it is retired, unless its address
 * changed. The policy and the backend must exist. Copies *def. */
int registry_put_service(
	struct registry *registry, const struct store_service *def, struct error *err);
/* Its name is gone at once; its guest is stopped. */
void registry_remove_service(struct registry *registry, struct service *service);

/* The one entrance for what happens to a service. Takes effect before it returns, or, inside a
 * DNS callback or an effect, right after it. */
void service_post(struct service *service, enum lifecycle_event event);
/* Around a DNS callback. */
void registry_hold_events(struct registry *registry);
void registry_release_events(struct registry *registry);

/* An operator keeps it awake, now. */
bool service_is_pinned(const struct service *service);
/* What policies decide from, as of now. */
struct load service_load(const struct service *service);

/* Demand from whoever it is, after decide_admit() said WAKE or JOIN: there is a summon from now
 * on. `wanted_at` is when it was asked for (monotonic). NULL: out of memory. */
struct summon *service_demand(struct service *service, const char *cause, uint64_t wanted_at);

/* Retires it in the way of a policy's word: posts RETIRE or REST. A guest whose definition has
 * changed is shut down instead of kept. */
void service_retire(struct service *service, enum policy_retire how);

/* EFFECT_CONSIDER: asks policies what should be in being ahead of demand. */
void service_consider(struct service *service);

/* Keeps the reason of what went wrong, for those who wait, the API and the journal. */
void service_set_error(struct service *service, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
