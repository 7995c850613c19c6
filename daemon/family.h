/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_FAMILY_H
#define DAEMON_FAMILY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "db/store.h"

/*
 * The machines of a service whose policy has `instances` other than one. The first is the service
 * itself. The further ones are services of their own, by the names NAME#2 ... NAME#N: with addresses,
 * a lifecycle and a row in the store, but made from the service's definition and changed with it
 * alone. No name leads to them. Which machine is whose is for seats.h.
 */
struct daemon;
struct service;

/* 7 for "NAME#7", 1 for a service's own name. */
unsigned family_number(const char *name);

/* A service that has come into the registry, and one that leaves it: whose machine it is, or which
 * it has. */
int family_join(struct service *service, struct error *err);
void family_leave(struct service *service);

/* What a definition and its policy ask for, on its way to the store. */
struct family {
	struct store_service *further; /* those that it will have */
	unsigned *claimed;             /* of each: definition_claim() */
	size_t count;
	uint32_t surplus[POLICY_INSTANCES_MAX]; /* ids of those that it has no more */
	size_t surplus_count;
};

/* Loop thread: names the machines and claims their addresses. -EINVAL for a definition that only one
 * machine can have, -ENOSPC where there are no addresses. `family` is to be settled and finished in
 * any case. */
int family_plan(struct daemon *daemon, const struct store_service *def, const struct policy *policy,
	struct family *family, struct error *err);
/* How many of them are not there yet. */
unsigned family_coming(const struct family *family);
/* -ENOSPC where limits.services leaves no room for so many more, with those that are on their way. */
int family_check_room(const struct daemon *daemon, unsigned more, struct error *err);
/* Any thread: makes them from the first one's definition. */
int family_derive(struct family *family, const struct store_service *first, struct error *err);
/* Storage thread, within store_together(). */
int family_store(struct store *store, struct family *family, struct error *err);
/* Ends the claims. */
void family_settle(struct daemon *daemon, struct family *family, bool stored);
/* Into the registry, once stored: growing after the service has been put and before its policy is,
 * shrinking after both. */
int family_grow(struct daemon *daemon, struct family *family, struct error *err);
void family_shrink(struct daemon *daemon, const struct family *family);
void family_finish(struct family *family);

#endif
