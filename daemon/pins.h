/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_PINS_H
#define DAEMON_PINS_H

/* Pins that end by themselves: at a moment of the real clock, whether the daemon runs then or not. */
struct service;

/* Its pin is new, or was read from the store. */
void pins_watch(struct service *service);

#endif
