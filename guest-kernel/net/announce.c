/* SPDX-License-Identifier: ISC */
#include "guest-kernel/net/announce.h"

#include <string.h>

#include <lwip/icmp6.h>
#include <lwip/inet_chksum.h>
#include <lwip/ip6.h>
#include <lwip/nd6.h>
#include <lwip/prot/nd6.h>

#define HOP_LIMIT 255 /* else it does not count: it came from further away (RFC 4861, 7.1.2) */

/* A neighbour advertisement with the target's link-layer address (RFC 4861, 4.4 and 4.6.1). */
struct advertisement {
	struct na_header header;
	uint8_t option_type, option_words, mac[6];
};
_Static_assert(sizeof(struct advertisement) == 32, "as it is on the wire");

static void announce(struct netif *netif, const ip6_addr_t *address)
{
	struct pbuf *p = pbuf_alloc(PBUF_IP, sizeof(struct advertisement), PBUF_RAM);
	if (!p)
		return;
	ip6_addr_t all_nodes;
	ip6_addr_set_allnodes_linklocal(&all_nodes);
	ip6_addr_assign_zone(&all_nodes, IP6_MULTICAST, netif);
	struct advertisement *a = p->payload;
	*a = (struct advertisement){
		.header = {.type = ICMP6_TYPE_NA, .flags = ND6_FLAG_OVERRIDE},
		.option_type = ND6_OPTION_TYPE_TARGET_LLADDR,
		.option_words = 1,
	};
	ip6_addr_copy_to_packed(a->header.target_address, *address);
	memcpy(a->mac, netif->hwaddr, sizeof(a->mac));
	a->header.chksum = ip6_chksum_pseudo(p, IP6_NEXTH_ICMP6, p->len, address, &all_nodes);
	ip6_output_if(p, address, &all_nodes, HOP_LIMIT, 0, IP6_NEXTH_ICMP6, netif);
	pbuf_free(p);
}

void announce_ipv6(struct netif *netif)
{
	for (s8_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
		if (ip6_addr_isvalid(netif_ip6_addr_state(netif, i)))
			announce(netif, netif_ip6_addr(netif, i));
}
