/* SPDX-License-Identifier: ISC */
#ifndef NET_HOOKS_H
#define NET_HOOKS_H

#include <lwip/ip6_addr.h>
#include <lwip/netif.h>

/* The router that gw6= names, for every destination that is not on the link; NULL where there is
 * none: lwIP then takes one that advertises itself. */
const ip6_addr_t *net_ipv6_gateway(struct netif *netif, const ip6_addr_t *destination);

#define LWIP_HOOK_ND6_GET_GW(netif, destination) net_ipv6_gateway(netif, destination)

#endif
