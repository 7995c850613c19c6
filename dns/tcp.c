/* SPDX-License-Identifier: ISC */
#include "dns/tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "dns/transfer.h"
#include "dns/wire.h"

/* The most that a query may reasonably have; of a longer frame the rest is skipped. */
#define QUERY_MAX_SIZE   4096
/* Answers that the kernel does not take yet. While less than one of the largest fits, no query is
 * read. */
#define OUT_SIZE         (32 << 10)
/* Queries of one connection that may wait at once. */
#define MAX_WAITING      128
/* Answers beyond ANSWER_MAX_TCP that may be under way. */
#define MAX_LARGE        4
#define DEFAULT_MAX_TCP  256
#define DEFAULT_TCP_IDLE (10 * NS_PER_S)
/* RFC 7828 counts in these. */
#define KEEPALIVE_UNIT   100 /* ms */

struct tcp_connection {
	TAILQ_ENTRY(tcp_connection) link;
	uv_tcp_t handle;
	uv_write_t write;
	struct tcp *tcp;
	struct client client;
	struct waiting_owner waiting;
	struct transfer *transfer; /* under way, or NULL: no query is served beside it */
	uint64_t active_at;        /* ms of the loop */
	uint64_t network;          /* of the client */
	bool ended;                /* the client sends no more */
	size_t in_size;            /* bytes of frames that are not served yet */
	size_t skip;               /* bytes of a frame that was too long and is still coming */
	size_t out_begin, out_end; /* bytes that are not written yet */
	unsigned large;            /* writes of large answers under way */
	size_t writing;            /* how many of these the loop has in hand; 0: it is idle */
	uint8_t in[2 + QUERY_MAX_SIZE];
	uint8_t out[OUT_SIZE];
};

static void on_closed(uv_handle_t *handle)
{
	struct tcp_connection *connection = handle->data;
	struct handles *handles = connection->tcp->handles;
	free(connection);
	handles_release(handles);
}

static bool is_closing(const struct tcp_connection *connection)
{
	return uv_is_closing((const uv_handle_t *)&connection->handle);
}

/* Told to clients that ask (RFC 7828 section 3.3.2): with no place left, that they should go. */
static void update_keepalive(struct tcp *tcp)
{
	uint64_t units = tcp->idle / KEEPALIVE_UNIT;
	bool full = tcp->count >= tcp->max;
	tcp->responder->keepalive = full ? 0 : units > UINT16_MAX ? UINT16_MAX : (uint16_t)units;
}

static void connection_close(struct tcp_connection *connection)
{
	struct tcp *tcp = connection->tcp;
	if (is_closing(connection))
		return;
	TAILQ_REMOVE(&tcp->connections, connection, link);
	tcp->count--;
	source_leave(&tcp->sources, connection->network);
	update_keepalive(tcp);
	waiting_forget(&tcp->responder->waiting, &connection->waiting);
	transfer_destroy(connection->transfer);
	connection->transfer = NULL;
	uv_close((uv_handle_t *)&connection->handle, on_closed);
}

/* A whole query came or whole answers went: single bytes, which cost a client nothing, are no sign
 * of life. */
static void touch(struct tcp_connection *connection)
{
	struct tcp *tcp = connection->tcp;
	connection->active_at = uv_now(tcp->loop);
	TAILQ_REMOVE(&tcp->connections, connection, link);
	TAILQ_INSERT_TAIL(&tcp->connections, connection, link);
}

static bool has_room(const struct tcp_connection *connection)
{
	return sizeof(connection->out) - connection->out_end >= 2 + RESPOND_MAX_TCP;
}

static bool is_idle(const struct tcp_connection *connection)
{
	return connection->waiting.count == 0 && connection->out_end == 0 &&
	       connection->large == 0 && !connection->transfer;
}

/* A client that sends no more still gets all its answers. */
static void close_where_done(struct tcp_connection *connection)
{
	if (connection->ended && is_idle(connection))
		connection_close(connection);
}

static void pump(struct tcp_connection *connection);

static void on_written(uv_write_t *write, int status)
{
	struct tcp_connection *connection = write->data;
	if (is_closing(connection))
		return;
	if (status < 0) {
		connection_close(connection);
		return;
	}
	connection->out_begin += connection->writing;
	connection->writing = 0;
	size_t left = connection->out_end - connection->out_begin;
	memmove(connection->out, connection->out + connection->out_begin, left);
	connection->out_begin = 0;
	connection->out_end = left;
	touch(connection);
	pump(connection);
}

/* Writes at once what the kernel takes, and leaves the rest to the loop. So it does with all of a
 * transfer, however fast its client reads: others have their turn before the next part is made. */
static void flush(struct tcp_connection *connection)
{
	size_t left = connection->out_end - connection->out_begin;
	if (connection->writing > 0 || left == 0 || is_closing(connection))
		return;
	uv_stream_t *stream = (uv_stream_t *)&connection->handle;
	uv_buf_t buf = uv_buf_init((char *)connection->out + connection->out_begin, (unsigned)left);
	int rc = connection->transfer ? 0 : uv_try_write(stream, &buf, 1);
	if (rc < 0 && rc != UV_EAGAIN) {
		connection_close(connection);
		return;
	}
	connection->out_begin += rc > 0 ? (size_t)rc : 0;
	if (connection->out_begin == connection->out_end) {
		connection->out_begin = connection->out_end = 0;
		return;
	}
	buf = uv_buf_init((char *)connection->out + connection->out_begin,
		(unsigned)(connection->out_end - connection->out_begin));
	connection->writing = buf.len;
	connection->write.data = connection;
	if (uv_write(&connection->write, stream, &buf, 1, on_written) < 0)
		connection_close(connection);
}

static void append(struct tcp_connection *connection, size_t size)
{
	wire_put16(connection->out + connection->out_end, (uint16_t)size);
	connection->out_end += 2 + size;
}

static void serve_frame(
	struct tcp_connection *connection, const uint8_t *bytes, size_t size, uint64_t now)
{
	struct responder *responder = connection->tcp->responder;
	struct request request = {
		.client = &connection->client,
		.bytes = bytes,
		.size = size,
		.received_at = now,
		.owner = &connection->waiting,
		.may_wait = connection->waiting.count < MAX_WAITING,
	};
	responder->counters.tcp_queries++;
	uint8_t *out = connection->out + connection->out_end + 2;
	size_t answer = transfer_asked(bytes, size)
				? transfer_begin(responder, &request, &connection->transfer, out)
				: respond(responder, &request, out);
	if (answer > 0)
		append(connection, answer);
}

/* Of a frame that is too long only the header is believed, as of a datagram that was cut: it is
 * malformed. Returns how much of the input is done with; 0: more is needed. */
static size_t serve_long_frame(
	struct tcp_connection *connection, const uint8_t *frame, size_t have, uint64_t now)
{
	size_t size = 2u + wire_get16(frame);
	if (have < 2 + DNS_HEADER_SIZE)
		return 0;
	serve_frame(connection, frame + 2, DNS_HEADER_SIZE, now);
	connection->skip = size > have ? size - have : 0;
	return size > have ? have : size;
}

/* The same for a frame of any size, and for what is still to be skipped of one. */
static size_t serve_next(
	struct tcp_connection *connection, const uint8_t *at, size_t have, uint64_t now)
{
	if (connection->skip > 0) {
		size_t skipped = connection->skip < have ? connection->skip : have;
		connection->skip -= skipped;
		return skipped;
	}
	if (have < 2)
		return 0;
	size_t size = wire_get16(at);
	if (size > QUERY_MAX_SIZE)
		return serve_long_frame(connection, at, have, now);
	if (have < 2 + size)
		return 0;
	serve_frame(connection, at + 2, size, now);
	return 2 + size;
}

/* Writes as much of a transfer as there is room for. */
static void serve_transfer(struct tcp_connection *connection)
{
	bool more = true;
	while (connection->transfer && has_room(connection)) {
		size_t size = transfer_next(
			connection->transfer, connection->out + connection->out_end + 2, &more);
		if (size == 0) {
			connection_close(connection);
			return;
		}
		append(connection, size);
		if (!more) {
			transfer_destroy(connection->transfer);
			connection->transfer = NULL;
		}
	}
}

/* Serves the frames that are whole. True where it stopped for want of room for answers. */
static bool serve_frames(struct tcp_connection *connection)
{
	size_t at = 0, served;
	bool room;
	uint64_t queries = connection->tcp->responder->counters.tcp_queries;
	uint64_t now = clock_monotonic();
	serve_transfer(connection);
	if (is_closing(connection))
		return false;
	while ((room = has_room(connection) && !connection->transfer) &&
		(served = serve_next(
			 connection, connection->in + at, connection->in_size - at, now)) > 0)
		at += served;
	connection->in_size -= at;
	if (at > 0)
		memmove(connection->in, connection->in + at, connection->in_size);
	if (connection->tcp->responder->counters.tcp_queries != queries)
		touch(connection);
	return !room;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct tcp_connection *connection = handle->data;
	(void)suggested;
	/* Never empty: a whole frame of any allowed size is served before more is read. */
	*buf = uv_buf_init((char *)connection->in + connection->in_size,
		(unsigned)(sizeof(connection->in) - connection->in_size));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
	struct tcp_connection *connection = stream->data;
	(void)buf;
	if (count == UV_EOF) {
		connection->ended = true;
		close_where_done(connection);
	} else if (count < 0) {
		connection_close(connection);
	} else if (count > 0) {
		connection->in_size += (size_t)count;
		pump(connection);
	}
}

/* Serves what came, as long as the answers go away; else stops reading until they do. */
static void pump(struct tcp_connection *connection)
{
	uv_stream_t *stream = (uv_stream_t *)&connection->handle;
	bool stuck;
	do {
		stuck = serve_frames(connection);
		flush(connection);
	} while (stuck && !is_closing(connection) && has_room(connection));
	if (is_closing(connection))
		return;
	if (connection->ended)
		close_where_done(connection);
	else if (stuck)
		uv_read_stop(stream);
	else /* which does nothing where it reads already */
		uv_read_start(stream, on_alloc, on_read);
}

/* An answer that is larger than ours are: an upstream's. It takes its turn among the writes, in
 * memory of its own. */
struct large_write {
	uv_write_t write;
	struct tcp_connection *connection;
	uint8_t frame[];
};

static void on_large_written(uv_write_t *write, int status)
{
	struct large_write *large = (struct large_write *)write;
	struct tcp_connection *connection = large->connection;
	free(large);
	connection->large--;
	if (is_closing(connection))
		return;
	if (status < 0)
		connection_close(connection);
	else
		close_where_done(connection);
}

static bool write_large(struct tcp_connection *connection, const struct waiting_query *entry,
	const struct late_answer *late)
{
	struct large_write *large = connection->large < MAX_LARGE
					    ? malloc(sizeof(*large) + 2 + late->passed_size)
					    : NULL;
	if (!large)
		return false;
	size_t size = respond_later(
		connection->tcp->responder, entry, late, late->passed_size, large->frame + 2);
	uv_buf_t buf = uv_buf_init((char *)large->frame, (unsigned)(2 + size));
	wire_put16(large->frame, (uint16_t)size);
	large->connection = connection;
	if (uv_write(&large->write, (uv_stream_t *)&connection->handle, &buf, 1, on_large_written) <
		0) {
		free(large);
		return false;
	}
	connection->large++;
	return true;
}

static bool write_late(struct tcp_connection *connection, const struct waiting_query *entry,
	const struct late_answer *late)
{
	struct responder *responder = connection->tcp->responder;
	if (late->passed_size > ANSWER_MAX_TCP)
		return write_large(connection, entry, late);
	if (!has_room(connection))
		return false;
	append(connection, respond_later(responder, entry, late, ANSWER_MAX_TCP,
				   connection->out + connection->out_end + 2));
	flush(connection);
	return true;
}

void tcp_answer(struct tcp_connection *connection, const struct waiting_query *entry,
	const struct late_answer *late)
{
	touch(connection);
	if (!write_late(connection, entry, late)) {
		connection->tcp->responder->counters.dropped++;
		connection_close(connection);
	}
	close_where_done(connection);
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
		if (first->waiting.count > 0 && first->writing == 0 && first->large == 0)
			touch(first);
		else
			connection_close(first);
	}
	arm_timer(tcp);
}

/* The longest idle connection, of one network where `network` is not NULL. */
static struct tcp_connection *find_idle(struct tcp *tcp, const uint64_t *network)
{
	struct tcp_connection *connection;
	TAILQ_FOREACH(connection, &tcp->connections, link)
	if (is_idle(connection) && (!network || connection->network == *network))
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
		connection_close(spare);
	}
	if (tcp->count < tcp->max)
		return true;
	spare = find_idle(tcp, NULL);
	if (spare)
		connection_close(spare);
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
	int rc = uv_tcp_open(&connection->handle, fd);
	if (rc < 0)
		close(fd);
	else
		rc = uv_read_start((uv_stream_t *)&connection->handle, on_alloc, on_read);
	uv_tcp_nodelay(&connection->handle, 1);
	if (rc < 0)
		connection_close(connection);
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
		connection_close(connection);
	uv_close((uv_handle_t *)&tcp->timer, on_timer_closed);
}
