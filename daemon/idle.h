/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_IDLE_H
#define DAEMON_IDLE_H

/*
 * Whether an awake guest is in use, and its retirement where it is not: its door is closed first,
 * then it is looked at once more; only what finds nothing there acts. What comes in between is
 * handed to the guest, is seen by that look, and calls the retirement off.
 */
struct service;

/* Watches from now on, with the policy of now; posts RETIRE or REST. */
void idle_watch(struct service *service);
void idle_unwatch(struct service *service);

/* A line of the guest's console may be its own word on the matter: "summond: busy" (do not retire
 * me), "summond: idle" (as the policy says), "summond: retire" (I have nothing left to do). */
void idle_hear(struct service *service, const char *line);

#endif
