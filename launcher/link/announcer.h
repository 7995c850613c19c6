/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_ANNOUNCER_H
#define LAUNCHER_LINK_ANNOUNCER_H

#include "base/address.h"
#include "base/error.h"

/*
 * Says who has an address, from a thread of its own. What is said to all, the bridge hands to each of
 * its ports within the call: with a thousand guests that takes a millisecond, in which the loop would
 * answer nobody.
 *
 * Of what waits to be said of an address, only the newest is. That an address is the host's comes
 * first: its guest is gone, or about to go. That a guest has it is for convenience (until neighbours
 * know, what they send goes by way of this host), and takes a tenth of the thread's time at most.
 */
struct announcer;

/* Says it; called from the thread, and from announcer_say()'s caller. `mac` as in neighbour_announce(). */
typedef void (*announcer_fn)(
	void *ctx, const struct ip_address *address, const struct mac_address *mac);

int announcer_create(announcer_fn say, void *ctx, struct announcer **out, struct error *err);
/* What is left to say of the host is said now. May be NULL. */
void announcer_destroy(struct announcer *announcer);

/* Before it returns, and instead of what waits to be said of the address. */
void announcer_say(struct announcer *announcer, const struct ip_address *address,
	const struct mac_address *mac);
/* Soon. */
void announcer_put(struct announcer *announcer, const struct ip_address *address,
	const struct mac_address *mac);

#endif
