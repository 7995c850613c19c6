/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_ROUTE_H
#define LAUNCHER_LINK_ROUTE_H

#include "launcher/link/bridge.h"

/* The number that marks our routes and neighbours among others (rtnetlink(7), rtm_protocol: above 4
 * is for user space; those in /etc/iproute2/rt_protos are taken). */
#define ROUTE_PROTOCOL 76

/* The metric of a guest's host route. A route to the doorbell for the same single address has to
 * have a larger one, so that both can be there. */
#define ROUTE_METRIC 1

/* --- a guest: host route and permanent neighbour --- */

/* The neighbour. 1 where there was none. */
int route_add_neighbour(struct netlink *netlink, const struct bridge *bridge,
	const struct ip_address *address, const struct mac_address *mac, struct error *err);
/* The route, where the neighbour is there. 1 where there was none. */
int route_open(struct netlink *netlink, const struct bridge *bridge,
	const struct ip_address *address, struct error *err);
/* Takes the route away and leaves the neighbour. */
int route_close(struct netlink *netlink, const struct bridge *bridge,
	const struct ip_address *address, struct error *err);
/* Both. */
int route_remove(struct netlink *netlink, const struct bridge *bridge,
	const struct ip_address *address, struct error *err);
int route_prune(struct netlink *netlink, const struct bridge *bridge,
	bool (*keep)(void *ctx, const struct ip_address *address), void *ctx, struct error *err);

/* --- any route of ours; these return 0 or a negative errno --- */

/* Adds (then it returns 1) or replaces; host bits of `to` do not count. */
int route_put(struct netlink *netlink, int device, const struct ip_prefix *to, uint32_t metric,
	const struct ip_address *source);
/* One that is not there is deleted already. */
int route_delete(struct netlink *netlink, int device, const struct ip_prefix *to, uint32_t metric);

/* An entry of the kernel's by which it answers ARP for the address, or its end. */
int route_put_proxy(struct netlink *netlink, int device, const struct ip_address *address, bool on);

struct route_found {
	struct ip_prefix to;
	uint32_t metric;
};
/* Our routes to the device, and our proxy entries on it, for which `keep` says no. *out is the
 * caller's to free, on an error too. */
int route_find(struct netlink *netlink, int device, uint8_t family,
	bool (*keep)(void *ctx, const struct ip_prefix *to), void *ctx, struct route_found **out,
	size_t *count);
int route_find_proxies(struct netlink *netlink, int device, uint8_t family,
	bool (*keep)(void *ctx, const struct ip_prefix *to), void *ctx, struct route_found **out,
	size_t *count);

#endif
