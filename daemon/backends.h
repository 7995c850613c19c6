/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_BACKENDS_H
#define DAEMON_BACKENDS_H

#include <stdbool.h>

#include "launcher/launcher.h"
#include "policies/breaker.h"
#include "policies/policy.h"

/* The backends that the configuration asks for, and the way of their events to the services. */
struct daemon;

struct backend {
	struct daemon *daemon;
	struct launcher *launcher;
	const struct launcher_ops *ops;
	bool listed; /* guests of an earlier life are known: starts are safe */
	bool lost;
	struct breaker breaker; /* of starts */
	char failure[256];      /* why it is not usable; "" where it is */
	struct backend *next;
};

struct backends {
	struct backend *first;
	void (*listed)(struct daemon *daemon); /* once, when all are */
	char chosen[16]; /* for services that name none, where that was left to us; or "" */
	char why[256];   /* not another one; or "" */
};

/* backend_choice.c: backend.default = auto: our own monitor where this host has machines for it, else
 * libvirt. Asked before the rest. */
#define BACKEND_AUTO "auto"
struct config;
void backends_choose(struct backends *backends, const struct config *config);
/* The backend of services that name none. */
const char *backends_default(const struct backends *backends, const struct config *config);

/* Creates each and asks it for the guests of an earlier life. */
int backends_init(struct backends *backends, struct daemon *daemon,
	void (*listed)(struct daemon *daemon), struct error *err);
/* Guests live on. The loop must run until all are closed; then backends_free() is due. */
void backends_finish(struct backends *backends);
void backends_free(struct backends *backends);

/* One that no configuration names, and a stored service does: created now, where that can be. Before
 * the loop runs. */
void backends_need(struct backends *backends, struct daemon *daemon, const char *name);

struct backend *backend_by_name(const struct backends *backends, const char *name);

/* What a policy asks of a backend: a mask of LAUNCHER_CAN_*. */
unsigned backend_asked(const struct policy *policy);
/* Whether it can do all that a policy asks of it; the error names the option. */
int backend_check_policy(
	const struct backend *backend, const struct policy *policy, struct error *err);

#endif
