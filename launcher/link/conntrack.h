/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_CONNTRACK_H
#define LAUNCHER_LINK_CONNTRACK_H

#include <stdbool.h>

#include "base/address.h"
#include "launcher/link/netlink.h"

/*
 * Open TCP connections of a guest, as the kernel tracks them: those that the host forwards, and its
 * own; not those between hosts of one bridge. It tracks where a firewall rule asks for it, and only
 * then.
 */
struct conntrack {
	struct netlink netlink;
};

/* -EPROTONOSUPPORT and the like where the kernel has none. */
int conntrack_open(struct conntrack *conntrack, struct error *err);
void conntrack_close(struct conntrack *conntrack);

/* How many TCP connections from or to the address are open, or closed on one side only. A negative
 * errno where that cannot be known. */
int conntrack_count(struct conntrack *conntrack, const struct ip_address *address);
/* Whether anything at all is tracked now. */
bool conntrack_is_used(void);

#endif
