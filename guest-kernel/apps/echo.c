/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>

#include "guest-kernel/include/app.h"

/* The echo protocol (RFC 862) over TCP and UDP, on port 7 or what the word port= says. */

#define CONNECTIONS_MAX 128
#define IDLE_NS         300000000000ull

struct echo {
	struct app_tcp *connection;
};

static void *open_connection(void *context, struct app_tcp *connection)
{
	(void)context;
	struct echo *echo = malloc(sizeof(*echo));
	if (echo)
		echo->connection = connection;
	return echo;
}

/* What cannot be sent now stays with the kernel, and so holds the client back. */
static size_t echo_data(void *state, const uint8_t *data, size_t size)
{
	struct echo *echo = state;
	return app_tcp_send(echo->connection, data, size, APP_COPY);
}

static void echo_end(void *state)
{
	struct echo *echo = state;
	app_tcp_close(echo->connection);
}

static void echo_room(void *state)
{
	(void)state;
}

static void echo_datagram(void *context, struct app_udp *udp, const struct app_peer *from,
	const uint8_t *data, size_t size)
{
	(void)context;
	/* RFC 862 knows no error; a datagram that cannot be sent back is lost. */
	(void)app_udp_send(udp, from, data, size);
}

int app_main(struct app *app)
{
	static struct app_tcp_service service = {
		.connections_max = CONNECTIONS_MAX,
		.idle_ns = IDLE_NS,
		.open = open_connection,
		.data = echo_data,
		.end = echo_end,
		.room = echo_room,
		.closed = free,
	};
	uint32_t port;
	int result = app_number(app, "port", 1, 65535, 7, &port);
	if (result < 0)
		return result;
	service.port = (uint16_t)port;
	result = app_tcp_listen(app, &service, NULL);
	if (result == 0)
		result = app_udp_listen(app, service.port, echo_datagram, NULL);
	if (result < 0) {
		app_log(app, "cannot listen on port %u", service.port);
		return result;
	}
	app_ready(app);
	return 0;
}
