/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_IDLE_H
#define DAEMON_IDLE_H

#include <stdbool.h>

#include "policies/policy.h"

/*
 * Whether an awake guest is in use, and its retirement where it is not: its door is closed first,
 * then it is looked at once more; only what finds nothing there acts. What comes in between is
 * handed to the guest, is seen by that look, and calls the retirement off.
 *
 * What is no question of use (an operator's word, max_life) is not called off. Its door is closed
 * first, too: what begins from then on waits there for the guest's next life, and what has begun has
 * a moment to end.
 */
struct service;
struct load;

/* Watches from now on, with the policy of now; posts RETIRE or REST. */
void idle_watch(struct service *service);
void idle_unwatch(struct service *service);
/* Its frames count from now on, if they did not yet: that takes 80 us, for which no answer waits. */
void idle_count(struct service *service);

/* Sends an awake guest away, whether it is in use or not. `why` is for the log and for who waits. */
void idle_order(struct service *service, enum policy_retire how, const char *why);
/* The same, unless it is in use. */
void idle_evict(struct service *service, enum policy_retire how);
/* Open TCP connections, where the kernel tracks them, as they were read last; they are read again. */
bool idle_is_connected(const struct service *service);
/* What packets to an awake guest are judged by. */
void idle_load(const struct service *service, struct load *load);

/* A line of the guest's console may be its own word on the matter: "summond: busy" (do not retire
 * me), "summond: idle" (as the policy says), "summond: retire" (I have nothing left to do). */
void idle_hear(struct service *service, const char *line);

#endif
