/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_LINK_H
#define LAUNCHER_LINK_LINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/address.h"
#include "base/error.h"

/*
 * The guests' links to the network: a bridge, taps made ahead, a host route and a permanent
 * neighbour for each awake guest. All through netlink and tun ioctls; loop thread only. These are
 * short system calls; nothing waits for a packet.
 *
 * The bridge carries the host's address without a prefix route. A guest is reachable while its
 * host route is there, and only then.
 */
struct link;

struct link_config {
	const char *bridge;        /* made where it does not exist; else used, its addresses kept */
	struct ip_prefix address;  /* the guests' gateway, e.g. 10.77.0.1/16 */
	struct ip_prefix address6; /* or none */
	const char *tap_prefix;    /* at most 8 letters; taps are <prefix><number> */
	unsigned spare_taps; /* kept ready on the bridge, and open: with one, it has a carrier */
	bool spare_headers;  /* they are for LINK_TAP_HEADERS, else for LINK_TAP_PLAIN */
};

int link_create(
	uv_loop_t *loop, const struct link_config *config, struct link **out, struct error *err);
/* Leaves the bridge, the taps in use and the routes where they are, so that guests go on serving, and
 * isolated no more, as nobody answers them for one another; removes spare taps. `remove_all`: also the bridge, where link_create made it, now or in an
 * earlier life. May be NULL. Devices and memory are released in later turns of the loop. */
void link_destroy(struct link *link, bool remove_all);

enum link_tap_use {
	LINK_TAP_BY_NAME, /* held by nobody: a hypervisor opens it, and sets it up as it likes */
	LINK_TAP_PLAIN,   /* held open, non-blocking, frames as they are */
	LINK_TAP_HEADERS, /* held open, non-blocking, each frame behind a struct virtio_net_hdr; they
			   * may be large and without checksums (TUN_F_CSUM, _TSO4, _TSO6) */
};

/* A tap of the bridge, up, for one guest: a spare one, or made now. Persistent: it outlives us. Held
 * open, the bridge forwards to it already. `fd` is the caller's to close; -1 for BY_NAME, where any
 * spare one will do. What the network said to a spare one is not kept for its guest. */
struct link_tap {
	char name[IFNAMSIZ];
	int fd;
};
int link_tap_take(
	struct link *link, enum link_tap_use how, struct link_tap *out, struct error *err);
/* Whether to take one now would make it, which takes the loop a millisecond, while a thread makes spare
 * ones that will be there soon. */
bool link_tap_awaited(const struct link *link, enum link_tap_use how);
/* hearing.c: an open tap hears from now on only what is for a guest with these addresses (at most
 * ADDRESSES_MAX; each may be "none"): of the network's noise nothing wakes it. */
int link_tap_narrow(int fd, const struct mac_address *mac, const struct ip_address *addresses,
	size_t count, struct error *err);
/* Whether taps that are made from now on are isolated ports of the bridge: what a guest behind one says to
 * all, or to one it does not know the place of, goes to no other such guest, which takes the bridge some
 * 0.5 us for each, and two of them reach one another through the host alone (doorbell.h). Those that are
 * taken BY_NAME are not: what opens them may look after several guests' network itself. */
void link_isolate(struct link *link, bool on);
/* Whether the guest of that MAC, which was placed, is behind such a tap. */
bool link_is_isolated(const struct link *link, const struct mac_address *mac);

/* After the guest's end: the tap is deleted, in a thread. One that is not in use is left alone. */
void link_tap_give(struct link *link, const char *name);
/* A tap that a guest of an earlier life holds. It stays isolated if it is: one that is not, as no daemon was
 * there to answer for it, may know others' own MACs by now. */
int link_tap_adopt(struct link *link, const char *name, struct error *err);
/* After all adoptions: deletes taps of our prefix that nobody adopted, and fills the spares. Then
 * refills, in a thread, also where this fails. */
int link_taps_settle(struct link *link, struct error *err);

/* Tells the bridge which of its taps a guest is behind, before it has sent a frame: what is for it then
 * goes there alone, and another guest cannot claim to be it. Idempotent. */
int link_place(
	struct link *link, const char *tap, const struct mac_address *mac, struct error *err);
/* A permanent neighbour for a guest's address, which reaches it from a socket that is bound to the
 * bridge. Idempotent, as is link_open; both return 1 where there was none. */
int link_prepare(struct link *link, const struct ip_address *address, const struct mac_address *mac,
	struct error *err);
/* A hypervisor has opened the tap by its name: what is sent to the guest from now on goes through. */
void link_catch_up(struct link *link, const char *tap);
/* A host route (source: the bridge's address) to the neighbour, which is there: packets to the
 * address reach the guest. */
int link_open(struct link *link, const struct ip_address *address, struct error *err);
/* Takes the host route away and leaves the neighbour: packets ring the doorbell again. */
int link_close(struct link *link, const struct ip_address *address, struct error *err);
/* Takes both away, where they are there. */
int link_down(struct link *link, const struct ip_address *address, struct error *err);
/* Removes every host route and neighbour of ours on our bridge for which `keep` says no (after a restart). */
int link_prune(struct link *link, bool (*keep)(void *ctx, const struct ip_address *address),
	void *ctx, struct error *err);

/* After somebody has changed the network (doorbell_watch): gives the bridge its addresses again, and
 * takes one that was made anew, with the spare taps as its ports. Returns how much was missing. Fails
 * while the bridge is down or gone, which is for a person to change. */
int link_restore(struct link *link, struct error *err);
/* Makes the tap a port of the bridge again, where it is none. */
int link_tap_restore(struct link *link, const char *tap, struct error *err);

/* What the other parts of the link need to know of the bridge (bridge.h), and the socket by which it is
 * changed (netlink.h). */
struct bridge;
struct netlink;
const struct bridge *link_bridge(const struct link *link);
const struct netlink *link_netlink(const struct link *link);

/* Frames and bytes that the guest sent and was sent since its tap was made. */
struct link_counters {
	uint64_t sent_frames, sent_bytes, received_frames, received_bytes;
};
int link_read_counters(
	struct link *link, const char *tap, struct link_counters *out, struct error *err);

/* Derived from the identity of the database and the service's number: stable, locally
 * administered, unicast. */
struct mac_address link_mac(const char *identity, uint32_t service);

#endif
