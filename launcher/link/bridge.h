/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_BRIDGE_H
#define LAUNCHER_LINK_BRIDGE_H

#include <net/if.h>
#include <stdbool.h>

#include "launcher/link/link.h"
#include "launcher/link/netlink.h"

struct bridge {
	char name[IFNAMSIZ];
	int index;
	bool made;              /* by us, now or in an earlier life */
	struct mac_address mac; /* of one that we made */
	struct ip_prefix
		addresses[2]; /* ours: IPv4 and IPv6; a family that is not used is "none" */
};

/* Finds or makes the bridge of the configuration, gives it our addresses, sets it up. On an error
 * what was made is removed again. */
int bridge_open(struct netlink *netlink, const struct link_config *config, struct bridge *out,
	struct error *err);

/* Gives it what somebody has taken from it, and returns how many addresses these were. Fails while it is
 * down or gone. `renewed`: it was made anew, by somebody, and is another device. */
int bridge_restore(
	struct netlink *netlink, struct bridge *bridge, bool *renewed, struct error *err);

/* Our address of a family, or NULL where there is none. */
const struct ip_prefix *bridge_address(const struct bridge *bridge, int family);

#endif
