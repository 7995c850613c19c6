/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_ROUTE_H
#define LAUNCHER_LINK_ROUTE_H

#include "launcher/link/bridge.h"

/* The number that marks our routes among others (rtnetlink(7), rtm_protocol: above 4 is for user
 * space; those in /etc/iproute2/rt_protos are taken). */
#define ROUTE_PROTOCOL 76

/* The metric of a guest's host route. A route to the doorbell for the same single address has to
 * have a larger one, so that both can be there. */
#define ROUTE_METRIC 1

int route_add(struct netlink *netlink, const struct bridge *bridge,
	const struct ip_address *address, const struct mac_address *mac, struct error *err);
int route_remove(struct netlink *netlink, const struct bridge *bridge,
	const struct ip_address *address, struct error *err);
int route_prune(struct netlink *netlink, const struct bridge *bridge,
	bool (*keep)(void *ctx, const struct ip_address *address), void *ctx, struct error *err);

#endif
