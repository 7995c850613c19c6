/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_XL_HELPER_H
#define SUMMON_XL_HELPER_H

#include <libxl.h>
#include <libxl_event.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <xenstore.h>

#include "summon-xl/found.h"
#include "summon-xl/identity.h"
#include "summon-xl/log.h"
#include "summon-xl/outbox.h"
#include "summon-xl/work.h"

/*
 * The main process: it alone reads the socket, knows the domains and hears of their ends. It never
 * waits for libxl but in its own poll().
 */
struct domain {
	struct domain *next;
	struct guest_id id;
	uint32_t domid;
	bool made;            /* domid is known, or it is on disk */
	bool on_disk;         /* there is no domain */
	bool busy;            /* a job is under way */
	bool saving;          /* it is SAVE: what becomes of the domain is its doing */
	bool revives;         /* it is what makes one run that was on disk */
	bool run;             /* START: it is to run once it is made */
	bool destroy;         /* was asked for */
	bool destroyed;       /* the job that does it is under way */
	struct error failure; /* of a START, where the domain has to be taken away again */
	bool ended;           /* by itself: exit, why */
	enum xl_exit exit;
	char why[160];
	int console;
	size_t poll_place; /* of the console */
	libxl_evgen_domain_death *death;
	char key[KEY_MAX + 1]; /* that tells that it is ready (keys.h); "": none */
	bool key_watched;
};

struct helper {
	struct outbox outbox;
	libxl_ctx *ctx; /* for events */
	struct xs_handle *store;
	struct xl_log log;
	struct work work;
	struct domain *domains;
	bool leaving; /* the daemon has gone */
	bool broken;  /* a worker has died */
	struct pollfd *polls;
	size_t poll_room;
};

/* loop.c: until the daemon has gone and nothing is under way. */
int helper_run(struct helper *helper, struct error *err);

/* requests.c: of the daemon; and a worker's answer to one. */
void request_take(struct helper *helper, struct xl_message *request, size_t text_size);
void request_done(struct helper *helper, struct xl_message *answer, size_t text_size);
/* Has a worker do it; false without memory. */
bool request_submit(struct helper *helper, struct domain *domain, unsigned type);

/* domains.c */
struct domain *domain_find(const struct helper *helper, struct guest_id id);
struct domain *domain_add(struct helper *helper, struct guest_id id);
/* Forgets it, with its console and its events. */
void domain_remove(struct helper *helper, struct domain *domain);
/* Lets go of the domain, of which there is no more to be heard. */
void domain_unwatch(struct helper *helper, struct domain *domain);
/* From now on its end is heard of, and its key. */
int domain_watch(struct helper *helper, struct domain *domain, struct error *err);
/* Passes on what its console has; all of it, where it is the last time. */
void domain_listen(struct helper *helper, struct domain *domain, bool last);
/* It could not go on. */
void domain_crash(struct domain *domain, const char *why);
/* Begins to take away one that has ended, where nothing else is under way. */
void domain_settle(struct helper *helper, struct domain *domain);
/* It is no more: EXITED, or FAILED where that is how it began. */
void domain_exit(struct helper *helper, struct domain *domain);
/* What libxl tells. */
void domain_event(struct helper *helper, const libxl_event *event);

#endif
