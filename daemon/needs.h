/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_NEEDS_H
#define DAEMON_NEEDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "policies/policy.h"

/*
 * What a service needs (option needs of its policy): other services, which are woken before it, stay
 * while it is there, and are retired after it.
 */
struct registry;
struct service;

/* Whether a service of that name may have the policy: -EINVAL where it needs what is not there, or
 * what needs it in turn, with the way round. */
int needs_check(const struct registry *registry, const char *name, const struct policy *policy,
	struct error *err);
/* The same for all services that have a policy of this one's name, which is to be changed to it. */
int needs_check_policy(
	const struct registry *registry, const struct policy *policy, struct error *err);

/* Two changes on their way to the store, each of which is right without the other, may go round: -EBUSY
 * for one that has services need others while another such is. */
int needs_check_alone(const struct registry *registry, struct error *err);

/* All that it needs is awake. */
bool needs_are_met(const struct service *service);
/* Wakes what is not. */
void needs_wake(struct service *service);
/* It cannot be met any more, and why. */
bool needs_have_failed(const struct service *service, char *why, size_t size);
/* The first that is not awake; NULL: none. */
const char *needs_missing(const struct service *service, char name[POLICY_VALUE_MAX + 1]);

/* Another service that is there needs this one; its name goes to `name`. */
bool needs_hold(const struct service *service, char name[POLICY_VALUE_MAX + 1]);
/* Before this one is sent away in any case: has those sent away that need it. False: there are none,
 * or nothing waits for them. Else it is sent away when they are gone. */
bool needs_retire_first(struct service *service, enum policy_retire how, const char *why);
/* After every step of its lifecycle. */
void needs_moved(struct service *service);

#endif
