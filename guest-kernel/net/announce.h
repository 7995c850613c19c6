/* SPDX-License-Identifier: ISC */
#ifndef NET_ANNOUNCE_H
#define NET_ANNOUNCE_H

#include <lwip/netif.h>

/* Tells the neighbours, unasked, that the interface has its IPv6 addresses now (RFC 4861, 7.2.6);
 * lwIP does so for IPv4 only. */
void announce_ipv6(struct netif *netif);

#endif
