/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lwip/udp.h>

#include "guest-kernel/include/app.h"

/* include/app.h's UDP over lwIP's raw API. */

struct app_udp {
	struct udp_pcb *pcb;
	void (*received)(void *context, struct app_udp *udp, const struct app_peer *from,
		const uint8_t *data, size_t size);
	void *context;
};

static void copy_bytes(uint8_t bytes[16], const ip_addr_t *address)
{
	if (IP_IS_V6(address))
		memcpy(bytes, ip_2_ip6(address)->addr, 16);
	else
		memcpy(bytes, &ip_2_ip4(address)->addr, 4);
}

static struct app_peer peer_of(const ip_addr_t *address, u16_t port)
{
	struct app_peer peer = {.is_ipv6 = IP_IS_V6(address), .port = port};
	copy_bytes(peer.bytes, address);
	if (!ip_addr_ismulticast(ip_current_dest_addr()) &&
		!ip_addr_isbroadcast(ip_current_dest_addr(), ip_current_netif()))
		copy_bytes(peer.local, ip_current_dest_addr());
	return peer;
}

static ip_addr_t address_of(const uint8_t bytes[16], bool is_ipv6)
{
	ip_addr_t address = {0};
	IP_SET_TYPE_VAL(address, is_ipv6 ? IPADDR_TYPE_V6 : IPADDR_TYPE_V4);
	if (is_ipv6)
		memcpy(ip_2_ip6(&address)->addr, bytes, 16);
	else
		memcpy(&ip_2_ip4(&address)->addr, bytes, 4);
	return address;
}

static void on_receive(
	void *argument, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from, u16_t port)
{
	struct app_udp *udp = argument;
	uint8_t data[APP_UDP_MAX];
	(void)pcb;
	struct app_peer peer = peer_of(from, port);
	u16_t size = pbuf_copy_partial(p, data, sizeof(data), 0);
	pbuf_free(p);
	udp->received(udp->context, udp, &peer, data, size);
}

int app_udp_listen(struct app *app, uint16_t port,
	void (*received)(void *context, struct app_udp *udp, const struct app_peer *from,
		const uint8_t *data, size_t size),
	void *context)
{
	(void)app;
	struct app_udp *udp = malloc(sizeof(*udp));
	struct udp_pcb *pcb = udp_new_ip_type(IPADDR_TYPE_ANY);
	if (!udp || !pcb || udp_bind(pcb, IP_ANY_TYPE, port) != ERR_OK) {
		int result = udp && pcb ? -EADDRINUSE : -ENOMEM;
		if (pcb)
			udp_remove(pcb);
		free(udp);
		return result;
	}
	*udp = (struct app_udp){pcb, received, context};
	udp_recv(pcb, on_receive, udp);
	return 0;
}

int app_udp_send(struct app_udp *udp, const struct app_peer *to, const void *data, size_t size)
{
	if (size > APP_UDP_MAX)
		return -EMSGSIZE;
	struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, (u16_t)size, PBUF_RAM);
	if (!p)
		return -ENOMEM;
	memcpy(p->payload, data, size);
	ip_addr_t address = address_of(to->bytes, to->is_ipv6);
	ip_addr_t local = address_of(to->local, to->is_ipv6);
	err_t error = ip_addr_isany_val(local) ? udp_sendto(udp->pcb, p, &address, to->port)
					       : udp_sendto_if_src(udp->pcb, p, &address, to->port,
							 netif_default, &local);
	pbuf_free(p);
	return error == ERR_OK ? 0 : -EHOSTUNREACH;
}
