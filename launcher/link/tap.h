/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_TAP_H
#define LAUNCHER_LINK_TAP_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "launcher/link/link.h"
#include "launcher/link/netlink.h"

struct tap {
	int index; /* of the device: never used again, while a name can be */
	int fd;    /* a spare one is held open; else -1 */
	bool headers;
	bool isolated;
	struct mac_address mac; /* of the guest behind it, once that is known (tap_place) */
	char name[IFNAMSIZ];
};

/* What all taps have in common. */
struct tap_plan {
	int bridge;    /* its index; of all threads */
	bool isolates; /* those that are made now; of all threads */
	char prefix[9];
	unsigned number; /* where the search for a free one goes on; of all threads */
};

struct tap_list {
	struct tap *items;
	size_t count, capacity;
};

int tap_list_add(struct tap_list *list, const struct tap *tap);
/* The place of the tap of that name, or `count`. */
size_t tap_list_find(const struct tap_list *list, const char *name);
/* Takes one out; the last one moves into its place. */
struct tap tap_list_take(struct tap_list *list, size_t place);
/* Closes those that are open. */
void tap_list_finish(struct tap_list *list);

/* Makes <prefix><number> with the first free number from the plan's on: a persistent tap of one
 * queue, a port of the bridge, isolated where the plan says so, up, open. As long as somebody holds it, it
 * has a carrier and the bridge forwards to it, from the first moment on. It keeps nothing that it is
 * sent. Of any thread that has a netlink socket of its own. */
int tap_make(struct netlink *netlink, struct tap_plan *plan, bool headers, struct tap *out,
	struct error *err);
/* From now on it keeps what it is sent, but for what an isolated one is not to hear (hearing.h). 0 or a
 * negative errno: somebody may have deleted it. */
int tap_open_up(const struct tap *tap);
/* Of what it is sent it hears what an isolated one would not, too. Likewise. */
int tap_hear_all(const struct tap *tap);
/* What is sent to `mac` goes to this tap, whoever else claims to have it. */
int tap_place(
	struct netlink *netlink, struct tap *tap, const struct mac_address *mac, struct error *err);

/* Makes it a port of the bridge again, as it was one. */
int tap_restore(struct netlink *netlink, const struct tap *tap, int bridge);
/* Changes that. */
int tap_isolate(struct netlink *netlink, struct tap *tap, bool isolated);

int tap_read_counters(
	struct netlink *netlink, const char *name, struct link_counters *out, struct error *err);

#endif
