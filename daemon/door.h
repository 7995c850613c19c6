/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_DOOR_H
#define DAEMON_DOOR_H

#include <stdint.h>

#include "launcher/link/doorbell.h"
#include "policies/decide.h"

/*
 * A service's door: while it is closed, packets to its addresses ring, and policies say whether
 * that starts the guest; they wait until the door is opened. Nothing happens where guests have no
 * network.
 */
struct daemon;
struct service;
struct store_service;

struct door {
	struct parking_lot lot;
	uint64_t verdicts[RING_VERDICTS]; /* packets by what was said of them */
	uint64_t full;                    /* those that should have waited, and found no place */
	uint64_t repeated;                /* those that waited already when they were sent again */
	uint64_t replayed;
};

/* Whose address it is, or NULL. */
struct service *door_owner(const struct daemon *daemon, const struct ip_address *address);

int door_bell_create(struct daemon *daemon, struct error *err);

/* Packets to these addresses ring. What fails is logged. */
void door_admit(struct daemon *daemon, const struct store_service *def);
void door_dismiss(struct daemon *daemon, const struct store_service *def);
/* After all guests of an earlier life are known: ends the routes of services that are gone. */
void door_settle(struct daemon *daemon);
/* Ends the routes of services that are gone. */
int door_prune(struct daemon *daemon, struct error *err);

/* Routes the addresses to the guest, and hands over what waits. Where a route cannot be made, that is
 * logged, and packets go on ringing and are passed on. */
void door_open(struct service *service);
/* Tells the neighbours; until they have heard, what they send comes by way of this host. */
void door_announce(struct service *service);
/* The reverse; the guest is still reached by what the doorbell passes on. As long as it lives, it may
 * say where it is (its neighbours' questions, its own, an announcement that was due), and they would
 * send to it again: after the last look they are told anew each time that the address is the host's. */
void door_close(struct service *service);
/* Behind its closed door the guest says nothing any more. */
void door_is_silent(struct service *service);
/* Asks the guest behind its closed door for a word: instance->unanswered until it has taken all that
 * it was sent before. Does nothing where it could not be heard. */
void door_ask(struct service *service);
/* Once more, when the guest is silent: what it said of itself behind its closed door may have been
 * heard after what we said. */
void door_confirm(struct service *service);
/* Hands over what has rung at any door and was not looked at yet. */
void door_look(struct daemon *daemon);

/* Tells whoever waits that there will be no guest. */
void door_refuse(struct service *service);
/* Drops what waits, without a word. */
void door_clear(struct service *service);

#endif
