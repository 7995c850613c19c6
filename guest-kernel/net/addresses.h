/* SPDX-License-Identifier: ISC */
#ifndef NET_ADDRESSES_H
#define NET_ADDRESSES_H

#include <lwip/ip4_addr.h>
#include <lwip/ip6_addr.h>

/* What the command line says of the machine's addresses: the words ip= and ip6=, each once for each
 * address, and gw= and gw6=. A word without a value says nothing: it stands for what a service has
 * not. */
#define NET_ADDRESSES 4 /* of each family */
_Static_assert(LWIP_IPV6_NUM_ADDRESSES == NET_ADDRESSES + 1, "and the link-local one (lwipopts.h)");

struct net_addresses {
	ip4_addr_t ip[NET_ADDRESSES];
	ip4_addr_t mask; /* of the first: they are all in one network */
	ip4_addr_t gateway;
	ip6_addr_t ip6[NET_ADDRESSES];
	ip6_addr_t gateway6;
	unsigned ip_count, ip6_count;
};

/* Returns NULL, or what is wrong with the words (constant text). */
const char *addresses_read(const char *line, struct net_addresses *out);

#endif
