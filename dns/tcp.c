/* SPDX-License-Identifier: ISC */
#include "dns/tcp.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/units.h"
#include "dns/tcp_connection.h"

#define DEFAULT_MAX_TCP  256
#define DEFAULT_TCP_IDLE (10 * NS_PER_S)
/* RFC 7828 counts in these. */
#define KEEPALIVE_UNIT   100 /* ms */

/* Told to clients that ask (RFC 7828 section 3.3.2): with no place left, that they should go. */
static void update_keepalive(struct tcp *tcp)
{
	uint64_t units = tcp->idle / KEEPALIVE_UNIT;
	bool full = tcp->count >= tcp->max;
	tcp->responder->keepalive = full ? 0 : units > UINT16_MAX ? UINT16_MAX : (uint16_t)units;
}

void tcp_leave(struct tcp_connection *connection)
{
	struct tcp *tcp = connection->tcp;
	TAILQ_REMOVE(&tcp->connections, connection, link);
	tcp->count--;
	source_leave(&tcp->sources, connection->network);
	update_keepalive(tcp);
}

static void on_timer(uv_timer_t *timer);

static void arm_timer(struct tcp *tcp)
{
	const struct tcp_connection *first = TAILQ_FIRST(&tcp->connections);
	if (!first)
		return;
	uint64_t age = uv_now(tcp->loop) - first->active_at;
	uv_timer_start(&tcp->timer, on_timer, age < tcp->idle ? tcp->idle - age : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct tcp *tcp = timer->data;
	struct tcp_connection *first;
	while ((first = TAILQ_FIRST(&tcp->connections)) &&
		uv_now(tcp->loop) - first->active_at >= tcp->idle) {
		/* Who waits for us is not to blame; who does not read what we write is. */
		if (first->waiting.count > 0 && first->writing == 0 && first->aside == 0)
			tcp_connection_touch(first);
		else
			tcp_connection_close(first);
	}
	arm_timer(tcp);
}

/* The longest idle connection, of one network where `network` is not NULL. */
static struct tcp_connection *find_idle(struct tcp *tcp, const uint64_t *network)
{
	struct tcp_connection *connection;
	TAILQ_FOREACH(connection, &tcp->connections, link)
	if (tcp_connection_is_idle(connection) && (!network || connection->network == *network))
		return connection;
	return NULL;
}

/* Makes room for one more of the network, if any connection can be spared: a client that has many
 * loses one of its own, so that it cannot take those of others. */
static bool make_room(struct tcp *tcp, uint64_t network)
{
	struct tcp_connection *spare;
	if (!source_has_room(&tcp->sources, network)) {
		spare = find_idle(tcp, &network);
		if (!spare)
			return false;
		tcp_connection_close(spare);
	}
	if (tcp->count < tcp->max)
		return true;
	spare = find_idle(tcp, NULL);
	if (spare)
		tcp_connection_close(spare);
	return spare;
}

static void add_connection(struct tcp *tcp, struct tcp_connection *connection)
{
	tcp->handles->open++;
	tcp->count++;
	tcp->responder->counters.tcp_connections++;
	TAILQ_INSERT_TAIL(&tcp->connections, connection, link);
	connection->active_at = uv_now(tcp->loop);
	source_enter(&tcp->sources, connection->network);
	update_keepalive(tcp);
	if (!uv_is_active((uv_handle_t *)&tcp->timer))
		arm_timer(tcp);
}

void tcp_open(struct tcp *tcp, int fd, const union client_address *source)
{
	uint64_t network = source_network(&source->any);
	struct tcp_connection *connection =
		make_room(tcp, network) ? calloc(1, sizeof(*connection)) : NULL;
	if (!connection) {
		tcp->responder->counters.tcp_refused++;
		close(fd);
		return;
	}
	connection->tcp = tcp;
	connection->network = network;
	connection->client = (struct client){.source = *source, .tcp = connection};
	connection->handle.data = connection;
	LIST_INIT(&connection->waiting.list);
	uv_tcp_init(tcp->loop, &connection->handle);
	add_connection(tcp, connection);
	if (tcp_connection_begin(connection, fd) < 0)
		tcp_connection_close(connection);
}

void tcp_init(struct tcp *tcp, uv_loop_t *loop, const struct dns_config *config,
	struct responder *responder, struct handles *handles)
{
	*tcp = (struct tcp){
		.loop = loop,
		.responder = responder,
		.handles = handles,
		.max = config->max_tcp ? config->max_tcp : DEFAULT_MAX_TCP,
		.idle = (config->tcp_idle ? config->tcp_idle : DEFAULT_TCP_IDLE) / NS_PER_MS + 1,
	};
	source_counts_init(&tcp->sources, config->max_tcp_source);
	update_keepalive(tcp);
	TAILQ_INIT(&tcp->connections);
	uv_timer_init(loop, &tcp->timer);
	tcp->timer.data = tcp;
	handles->open++;
}

static void on_timer_closed(uv_handle_t *handle)
{
	const struct tcp *tcp = handle->data;
	handles_release(tcp->handles);
}

void tcp_finish(struct tcp *tcp)
{
	struct tcp_connection *connection;
	while ((connection = TAILQ_FIRST(&tcp->connections)))
		tcp_connection_close(connection);
	uv_close((uv_handle_t *)&tcp->timer, on_timer_closed);
}
