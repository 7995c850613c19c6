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

static struct app_peer peer_of(const ip_addr_t *address, u16_t port)
{
	struct app_peer peer = {.is_ipv6 = IP_IS_V6(address), .port = port};
	if (peer.is_ipv6)
		memcpy(peer.bytes, ip_2_ip6(address)->addr, 16);
	else
		memcpy(peer.bytes, &ip_2_ip4(address)->addr, 4);
	return peer;
}

static ip_addr_t address_of(const struct app_peer *peer)
{
	ip_addr_t address = {0};
	IP_SET_TYPE_VAL(address, peer->is_ipv6 ? IPADDR_TYPE_V6 : IPADDR_TYPE_V4);
	if (!peer->is_ipv6) {
		memcpy(&ip_2_ip4(&address)->addr, peer->bytes, 4);
		return address;
	}
	memcpy(ip_2_ip6(&address)->addr, peer->bytes, 16);
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
	ip_addr_t address = address_of(to);
	err_t error = udp_sendto(udp->pcb, p, &address, to->port);
	pbuf_free(p);
	return error == ERR_OK ? 0 : -EHOSTUNREACH;
}
