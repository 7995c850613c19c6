/* SPDX-License-Identifier: ISC */
#include "dns/upstream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "dns/forward_wire.h"
#include "dns/wire.h"

#define UDP_MAX_SIZE   4096 /* more than we say we take */
#define TCP_MAX_SIZE   (2 + UINT16_MAX)
#define FIRST_PORT     1024
#define MAX_PORT_TRIES 8

struct upstream_try {
	union {
		uv_handle_t handle;
		uv_udp_t udp;
		uv_tcp_t tcp;
	};
	uv_connect_t connect;
	uv_write_t write;
	struct handles *handles;
	upstream_fn fn; /* NULL: cancelled */
	void *ctx;
	size_t query_size, in_size, in_max;
	uint8_t query[2 + FORWARD_QUERY_MAX];
	uint8_t *in;
};

static void on_closed(uv_handle_t *handle)
{
	struct upstream_try *attempt = handle->data;
	struct handles *handles = attempt->handles;
	free(attempt->in);
	free(attempt);
	handles_release(handles);
}

void upstream_cancel(struct upstream_try *attempt)
{
	if (!attempt || !attempt->fn)
		return;
	attempt->fn = NULL;
	uv_close(&attempt->handle, on_closed);
}

static void tell(struct upstream_try *attempt, const uint8_t *bytes, size_t size)
{
	if (attempt->fn)
		attempt->fn(attempt->ctx, bytes, size);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct upstream_try *attempt = handle->data;
	(void)suggested;
	*buf = uv_buf_init((char *)attempt->in + attempt->in_size,
		(unsigned)(attempt->in_max - attempt->in_size));
}

/* --- UDP --- */

static void on_datagram(uv_udp_t *udp, ssize_t size, const uv_buf_t *buf,
	const struct sockaddr *from, unsigned flags)
{
	struct upstream_try *attempt = udp->data;
	if (size < 0)
		tell(attempt, NULL, 0);
	else if (from && !(flags & UV_UDP_PARTIAL) && size > 0)
		tell(attempt, (const uint8_t *)buf->base, (size_t)size);
}

/* The kernel would choose among half as many ports. Where none of ours is free, it chooses. */
static int bind_randomly(uv_udp_t *udp, int family)
{
	union client_address local = {.any.sa_family = (sa_family_t)family};
	int rc = UV_EADDRINUSE;
	for (int i = 0; i <= MAX_PORT_TRIES && rc == UV_EADDRINUSE; i++) {
		uint16_t port = 0;
		if (i < MAX_PORT_TRIES &&
			getrandom(&port, sizeof(port), GRND_NONBLOCK) == sizeof(port))
			port = (uint16_t)(FIRST_PORT + port % (UINT16_MAX + 1 - FIRST_PORT));
		/* At the same place for both families. */
		local.in.sin_port = htons(port);
		rc = uv_udp_bind(udp, &local.any, 0);
		if (rc == UV_EACCES)
			rc = UV_EADDRINUSE;
	}
	return rc;
}

static int start_udp(struct upstream_try *attempt, const union client_address *server)
{
	uv_udp_t *udp = &attempt->udp;
	uv_buf_t query = uv_buf_init((char *)attempt->query + 2, (unsigned)attempt->query_size);
	int rc = bind_randomly(udp, server->any.sa_family);
	if (rc == 0)
		rc = uv_udp_connect(udp, &server->any);
	if (rc == 0)
		rc = uv_udp_recv_start(udp, on_alloc, on_datagram);
	if (rc == 0)
		rc = uv_udp_try_send(udp, &query, 1, NULL);
	return rc < 0 ? rc : 0;
}

/* --- TCP --- */

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
	struct upstream_try *attempt = stream->data;
	(void)buf;
	if (count < 0) {
		tell(attempt, NULL, 0);
		return;
	}
	attempt->in_size += (size_t)count;
	size_t size = attempt->in_size >= 2 ? wire_get16(attempt->in) : SIZE_MAX;
	if (attempt->in_size < 2 || attempt->in_size - 2 < size)
		return;
	uv_read_stop(stream);
	tell(attempt, attempt->in + 2, size);
}

static void on_written(uv_write_t *write, int status)
{
	struct upstream_try *attempt = write->data;
	if (status < 0)
		tell(attempt, NULL, 0);
}

static void on_connected(uv_connect_t *connect, int status)
{
	struct upstream_try *attempt = connect->data;
	uv_stream_t *stream = (uv_stream_t *)&attempt->tcp;
	uv_buf_t query = uv_buf_init((char *)attempt->query, (unsigned)attempt->query_size + 2);
	if (!attempt->fn)
		return;
	attempt->write.data = attempt;
	if (status == 0)
		status = uv_write(&attempt->write, stream, &query, 1, on_written);
	if (status == 0)
		status = uv_read_start(stream, on_alloc, on_read);
	if (status < 0)
		tell(attempt, NULL, 0);
}

static int start_tcp(struct upstream_try *attempt, const union client_address *server)
{
	attempt->connect.data = attempt;
	return uv_tcp_connect(&attempt->connect, &attempt->tcp, &server->any, on_connected);
}

struct upstream_try *upstream_ask(uv_loop_t *loop, struct handles *handles,
	const union client_address *server, bool tcp, const uint8_t *query, size_t size,
	upstream_fn fn, void *ctx)
{
	struct upstream_try *attempt = calloc(1, sizeof(*attempt));
	size_t in_max = tcp ? TCP_MAX_SIZE : UDP_MAX_SIZE;
	uint8_t *in = attempt ? malloc(in_max) : NULL;
	int rc = !in   ? UV_ENOMEM
		 : tcp ? uv_tcp_init(loop, &attempt->tcp)
		       : uv_udp_init(loop, &attempt->udp);
	if (rc < 0) {
		free(in);
		free(attempt);
		return NULL;
	}
	attempt->handle.data = attempt;
	attempt->handles = handles;
	handles->open++;
	attempt->in = in;
	attempt->in_max = in_max;
	attempt->fn = fn;
	attempt->ctx = ctx;
	attempt->query_size = size;
	wire_put16(attempt->query, (uint16_t)size);
	memcpy(attempt->query + 2, query, size);
	rc = tcp ? start_tcp(attempt, server) : start_udp(attempt, server);
	if (rc == 0)
		return attempt;
	upstream_cancel(attempt);
	return NULL;
}
