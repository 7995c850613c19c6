/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_DOORBELL_H
#define LAUNCHER_LINK_DOORBELL_H

#include <uv.h>

#include "launcher/link/claims.h"
#include "launcher/link/link.h"
#include "launcher/link/packet.h"
#include "launcher/link/parking.h"
#include "launcher/link/watch.h"

/*
 * The doorbell: packets to guests that sleep. The routing table is the truth: a pool's prefix is
 * routed to one TUN device, an awake guest has a host route of its own (link_open). What has no such
 * route rings: it is read here and handed to the owner, who parks it, passes it on, answers it, or
 * lets it fall.
 *
 * A bridge that we made has its pools routed whole, and the kernel answers ARP for them. On one
 * that was there before (a LAN's), each address that is admitted has a route and an entry of its
 * own, so that nothing else of that network is touched.
 *
 * On a bridge of ours whose host passes packets on, the guests are isolated from one another
 * (link_isolate), and the host answers those who ask for another one: what they say to one another goes
 * through it, as what others say to them.
 *
 * Loop thread only; nothing waits. The link must outlive it.
 */
struct doorbell;

/* `packet` is borrowed for the call. */
typedef void (*doorbell_fn)(void *ctx, const struct packet *packet);

struct doorbell_config {
	const char *device;     /* at most 15 letters */
	struct ip_prefix pool;  /* IPv4 */
	struct ip_prefix pool6; /* or none */
	struct parking_limits limits;
	doorbell_fn rang;
	/* Whether the address is that of a service whose packets go to the doorbell now. */
	bool (*is_ours)(void *ctx, const struct ip_address *address);
	/* Whether it is that of a guest that has its packets, and then that one's MAC. */
	bool (*is_guests)(void *ctx, const struct ip_address *address, struct mac_address *mac);
	void *ctx;
};

/* May wait, for a second at most, for a device that the forked child of a killed daemon still holds. */
int doorbell_create(uv_loop_t *loop, struct link *link, const struct doorbell_config *config,
	struct doorbell **out, struct error *err);
/* The device and the routes to it stay, so that packets are lost rather than sent elsewhere until
 * the next life; `remove_all` removes them. What is parked must be cleared before. May be NULL. */
void doorbell_destroy(struct doorbell *doorbell, bool remove_all);

/* Calls `changed` when somebody else has changed the network that this stands on (watch.h). */
int doorbell_watch(struct doorbell *doorbell, watch_fn changed, void *ctx, struct error *err);
/* Then, after link_restore(): the device, where it was deleted, and the routes of the pools are put back.
 * Returns how much was missing. Fails while the device is down. */
int doorbell_restore(struct doorbell *doorbell, struct error *err);
/* And once the guests' taps are ports of the bridge again: tells them where their gateway has another
 * MAC, as that of a bridge that was made anew. */
void doorbell_restored(struct doorbell *doorbell);

/* Packets to the address come here while it has no host route. Nothing to do for one of a pool
 * that is routed whole. Idempotent; returns 1 where there was no such route. */
int doorbell_admit(struct doorbell *doorbell, const struct ip_address *address, struct error *err);
/* What of that fails, stays: doorbell_prune ends it. */
int doorbell_dismiss(
	struct doorbell *doorbell, const struct ip_address *address, struct error *err);
/* After a restart: ends what is admitted and `keep` says no to. */
int doorbell_prune(struct doorbell *doorbell,
	bool (*keep)(void *ctx, const struct ip_address *address), void *ctx, struct error *err);

/* Hands over all that has rung and was not read yet. */
void doorbell_drain(struct doorbell *doorbell);

/* Keeps a copy in the lot; the result says what became of it. */
enum parking_result doorbell_park(
	struct doorbell *doorbell, struct parking_lot *lot, const struct packet *packet);
/* Sends the packet to the guest of that MAC. */
void doorbell_pass(
	struct doorbell *doorbell, const struct packet *packet, const struct mac_address *mac);
/* Sends what is parked, in order, and empties the lot. Returns how many packets it sent. */
unsigned doorbell_replay(
	struct doorbell *doorbell, struct parking_lot *lot, const struct mac_address *mac);
/* Answers the sender, unless too much was answered of late or nothing may be. */
void doorbell_answer(
	struct doorbell *doorbell, const struct packet *packet, enum packet_answer answer);
/* Answers whatever is parked, and empties the lot. */
void doorbell_refuse(struct doorbell *doorbell, struct parking_lot *lot, enum packet_answer answer);
void doorbell_clear(struct doorbell *doorbell, struct parking_lot *lot);

/* Tells the bridge's hosts who has the address: the guest of that MAC, or, with NULL, the host. */
void doorbell_announce(
	struct doorbell *doorbell, const struct ip_address *address, const struct mac_address *mac);

/* The same, soon, without the time that it takes (announcer.h). */
void doorbell_announce_soon(
	struct doorbell *doorbell, const struct ip_address *address, const struct mac_address *mac);

/* While the address is the host's and its guest still lives: tells what the guest says of where it is
 * (claims.h), which has neighbours send to it again. *out is NULL where nobody holds the tap. */
int doorbell_hear(struct doorbell *doorbell, const char *tap, const struct mac_address *mac,
	claims_fn heard, void *ctx, struct claims **out, struct error *err);
/* Asks the guest for its own address. Its answer, which doorbell_hear() tells, says that it has taken
 * all that was sent to it before. */
void doorbell_ask(
	struct doorbell *doorbell, const struct ip_address *address, const struct mac_address *mac);

struct doorbell_counters {
	uint64_t rang;  /* packets that were handed over */
	uint64_t noise; /* to many, or from nobody */
	uint64_t malformed;
	uint64_t parked, repeated, full, alone; /* by enum parking_result */
	uint64_t replayed;
	uint64_t passed;
	uint64_t lost;                 /* that could not be sent to a guest */
	uint64_t answered, unanswered; /* refusals that were told, and those that were too many */
	uint64_t solicited;            /* who asked for an address and was answered by us */
	unsigned waiting;              /* packets that are parked now */
	uint64_t waiting_bytes;
};
struct doorbell_counters doorbell_counters(const struct doorbell *doorbell);

/* What keeps some clients from ringing, in words for a person; "" where nothing does. */
const char *doorbell_hindrance(const struct doorbell *doorbell);

#endif
