/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_TAP_H
#define LAUNCHER_LINK_TAP_H

#include <net/if.h>
#include <stddef.h>

#include "launcher/link/link.h"
#include "launcher/link/netlink.h"

struct tap {
	int index; /* of the device: never used again, while a name can be */
	char name[IFNAMSIZ];
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
void tap_list_finish(struct tap_list *list);

/* Makes <prefix><number> with the first free number from *number on, a persistent tap that a
 * hypervisor opens by its name (one queue, virtio-net headers), as a port of the bridge, up. */
int tap_make(struct netlink *netlink, int bridge, const char *prefix, unsigned *number,
	struct tap *out, struct error *err);

int tap_read_counters(
	struct netlink *netlink, const char *name, struct link_counters *out, struct error *err);

#endif
