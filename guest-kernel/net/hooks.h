/* SPDX-License-Identifier: ISC */
#ifndef NET_HOOKS_H
#define NET_HOOKS_H

#include <lwip/ip6_addr.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>

/* The router that gw6= names, for every destination that is not on the link; NULL where there is
 * none: lwIP then takes one that advertises itself. */
const ip6_addr_t *net_ipv6_gateway(struct netif *netif, const ip6_addr_t *destination);

#define LWIP_HOOK_ND6_GET_GW(netif, destination) net_ipv6_gateway(netif, destination)

struct tcp_pcb;
struct tcp_hdr;

/* Of every segment in one piece, before `pcb` takes it: a SYN to a connection in TIME-WAIT begins a
 * new one in its place. ERR_OK where the segment is still to be taken. net/reopen.c */
err_t net_reopen(
	struct tcp_pcb *pcb, struct tcp_hdr *header, u16_t option_size, struct pbuf *segment);

#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, header, option_size, in_first, in_second, segment)         \
	((in_second) ? ERR_OK : net_reopen(pcb, header, option_size, segment))

/* A connection's initial sequence number. net/reopen.c */
uint32_t net_first_sequence(void);

#define LWIP_HOOK_TCP_ISN(local_ip, local_port, remote_ip, remote_port) net_first_sequence()

#endif
