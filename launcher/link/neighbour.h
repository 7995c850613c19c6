/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_NEIGHBOUR_H
#define LAUNCHER_LINK_NEIGHBOUR_H

#include <uv.h>

#include "launcher/link/bridge.h"
#include "launcher/link/claims.h"

/*
 * What the bridge's hosts are told of who has which address.
 *
 * For IPv4 the kernel answers by itself (proxy_arp). For IPv6 it has only entries for single
 * addresses, each of which costs some 65 us to make and a multicast group that the bridge joins,
 * and needs the host to be a router: measured with 10,000. So neighbour solicitations for sleeping
 * addresses are answered here, with nothing kept for a sleeper.
 *
 * Where guests are isolated from one another (link_isolate), a guest that asks another one is not heard by
 * that, and the host answers for it: then it is asked here for IPv4, too, as the kernel would answer for
 * all that is on the bridge (proxy_arp_pvlan).
 */
struct neighbour;

/* Whether the host is to say that it has the address, to the asker of that MAC. */
typedef bool (*neighbour_fn)(
	void *ctx, const struct ip_address *address, const struct mac_address *asker);

struct neighbour_config {
	const struct bridge *bridge;
	bool answers_arp; /* as well as neighbour solicitations */
	neighbour_fn is_ours;
	void *ctx;
};

int neighbour_create(uv_loop_t *loop, const struct neighbour_config *config, struct neighbour **out,
	struct error *err);
/* May be NULL. Memory is released in a later turn of the loop. */
void neighbour_destroy(struct neighbour *neighbour);

/* Tells everybody on the bridge that the address is at `mac`; NULL: at the bridge itself. Who has
 * no entry for it makes none. Not being heard is no error: neighbours find out later. */
void neighbour_announce(struct neighbour *neighbour, const struct ip_address *address,
	const struct mac_address *mac);

/* The same from another thread (announcer.h): one after the other, and of what is to be told of an
 * address the newest only. */
void neighbour_announce_soon(struct neighbour *neighbour, const struct ip_address *address,
	const struct mac_address *mac);

/* Asks the guest of that MAC for its own address, by ARP or neighbour discovery, which every guest
 * answers; it goes where packets go, and so after all that were sent before. */
void neighbour_ask(struct neighbour *neighbour, const struct ip_address *address,
	const struct mac_address *mac);

/* claims_watch() of a guest of the bridge. */
int neighbour_hear(struct neighbour *neighbour, const char *tap, const struct mac_address *mac,
	claims_fn heard, void *ctx, struct claims **out, struct error *err);

/* A packet, as it is, to a host of the bridge: 0 or a negative errno. */
int neighbour_send(struct neighbour *neighbour, const struct mac_address *to, const uint8_t *packet,
	size_t length);

/* How many have been answered who asked for an address. */
uint64_t neighbour_answered(const struct neighbour *neighbour);

#endif
