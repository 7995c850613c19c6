/* SPDX-License-Identifier: ISC */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest-kernel/host/host.h"

/* include/app.h's UDP over libuv. */

struct app_udp {
	uv_udp_t handle; /* first: libuv's callbacks get it back */
	void (*received)(void *context, struct app_udp *udp, const struct app_peer *from,
		const uint8_t *data, size_t size);
	void *context;
	char buffer[APP_UDP_MAX];
};

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct app_udp *udp = (struct app_udp *)handle;
	(void)suggested;
	*buffer = uv_buf_init(udp->buffer, sizeof(udp->buffer));
}

static void on_receive(uv_udp_t *handle, ssize_t size, const uv_buf_t *buffer,
	const struct sockaddr *from, unsigned flags)
{
	struct app_udp *udp = (struct app_udp *)handle;
	(void)flags;
	if (size < 0 || !from)
		return;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)from;
	struct app_peer peer = {.is_ipv6 = true, .port = ntohs(in6->sin6_port)};
	memcpy(peer.bytes, &in6->sin6_addr, sizeof(peer.bytes));
	udp->received(udp->context, udp, &peer, (const uint8_t *)buffer->base, (size_t)size);
}

int app_udp_listen(struct app *app, uint16_t port,
	void (*received)(void *context, struct app_udp *udp, const struct app_peer *from,
		const uint8_t *data, size_t size),
	void *context)
{
	struct sockaddr_in6 any;
	struct app_udp *udp = calloc(1, sizeof(*udp));
	if (!udp)
		return -ENOMEM;
	udp->received = received;
	udp->context = context;
	uv_ip6_addr("::", port, &any); /* takes IPv4 too, as ::ffff:a.b.c.d */
	int result = uv_udp_init(&app->loop, &udp->handle);
	if (result == 0)
		result = uv_udp_bind(&udp->handle, (const struct sockaddr *)&any, 0);
	if (result == 0)
		result = uv_udp_recv_start(&udp->handle, on_allocate, on_receive);
	/* A failure ends the program: nothing runs that could close the handle. */
	return result;
}

int app_udp_send(struct app_udp *udp, const struct app_peer *to, const void *data, size_t size)
{
	if (size > APP_UDP_MAX)
		return -EMSGSIZE;
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(to->port)};
	memcpy(&address.sin6_addr, to->bytes, sizeof(to->bytes));
	uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)data, (unsigned)size);
	int sent = uv_udp_try_send(&udp->handle, &buffer, 1, (const struct sockaddr *)&address);
	return sent < 0 ? sent : 0;
}
