/* SPDX-License-Identifier: ISC */
#include "dns/tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "dns/wire.h"

#define BACKLOG        256
/* The most that a query may reasonably have; a longer frame ends the connection. */
#define QUERY_MAX_SIZE 4096
/* Answers that the kernel does not take yet. While less than one of the largest fits, no query is
 * read. */
#define OUT_SIZE       (32 << 10)
/* Queries of one connection that may wait at once. */
#define MAX_WAITING    128

struct tcp_connection {
	TAILQ_ENTRY(tcp_connection) link;
	uv_tcp_t handle;
	uv_write_t write;
	struct tcp *tcp;
	struct client client;
	struct waiting_owner waiting;
	uint64_t active_at;        /* ms of the loop */
	size_t in_size;            /* bytes of frames that are not served yet */
	size_t out_begin, out_end; /* bytes that are not written yet */
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

static void connection_close(struct tcp_connection *connection)
{
	struct tcp *tcp = connection->tcp;
	if (is_closing(connection))
		return;
	TAILQ_REMOVE(&tcp->connections, connection, link);
	tcp->count--;
	waiting_forget(&tcp->responder->waiting, &connection->waiting);
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
	return sizeof(connection->out) - connection->out_end >= 2 + ANSWER_MAX_TCP;
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

/* Writes at once what the kernel takes, and leaves the rest to the loop. */
static void flush(struct tcp_connection *connection)
{
	size_t left = connection->out_end - connection->out_begin;
	if (connection->writing > 0 || left == 0 || is_closing(connection))
		return;
	uv_stream_t *stream = (uv_stream_t *)&connection->handle;
	uv_buf_t buf = uv_buf_init((char *)connection->out + connection->out_begin, (unsigned)left);
	int rc = uv_try_write(stream, &buf, 1);
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
	size_t answer = respond(responder, &request, connection->out + connection->out_end + 2);
	if (answer > 0)
		append(connection, answer);
}

/* Serves the frames that are whole. True where it stopped for want of room for answers. */
static bool serve_frames(struct tcp_connection *connection)
{
	size_t at = 0;
	bool room = true;
	uint64_t now = clock_monotonic();
	while (connection->in_size - at >= 2) {
		size_t size = wire_get16(connection->in + at);
		if (size > QUERY_MAX_SIZE) {
			connection->tcp->responder->counters.malformed++;
			connection->tcp->responder->counters.dropped++;
			connection_close(connection);
			return false;
		}
		if (connection->in_size - at < 2 + size)
			break;
		room = has_room(connection);
		if (!room)
			break;
		serve_frame(connection, connection->in + at + 2, size, now);
		at += 2 + size;
	}
	if (at > 0) {
		connection->in_size -= at;
		memmove(connection->in, connection->in + at, connection->in_size);
		touch(connection);
	}
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
	if (count < 0) {
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
	if (stuck)
		uv_read_stop(stream);
	else /* which does nothing where it reads already */
		uv_read_start(stream, on_alloc, on_read);
}

void tcp_answer(struct tcp_connection *connection, const struct waiting_query *entry,
	enum dns_reply reply, const struct dns_ede *ede)
{
	struct responder *responder = connection->tcp->responder;
	if (!has_room(connection)) {
		responder->counters.dropped++;
		connection_close(connection);
		return;
	}
	append(connection, respond_later(responder, entry, reply, ede,
				   connection->out + connection->out_end + 2));
	touch(connection);
	flush(connection);
}

static bool is_idle(const struct tcp_connection *connection)
{
	return connection->waiting.count == 0 && connection->writing == 0;
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
		if (first->waiting.count > 0 && first->writing == 0)
			touch(first);
		else
			connection_close(first);
	}
	arm_timer(tcp);
}

/* Makes room for one more, if any connection can be spared. */
static bool make_room(struct tcp *tcp)
{
	struct tcp_connection *connection;
	if (tcp->count < tcp->max)
		return true;
	connection = TAILQ_FIRST(&tcp->connections);
	while (connection && !is_idle(connection))
		connection = TAILQ_NEXT(connection, link);
	if (connection)
		connection_close(connection);
	return connection;
}

static bool start_connection(struct tcp_connection *connection, uv_stream_t *listener)
{
	int size = sizeof(connection->client.source);
	uv_stream_t *stream = (uv_stream_t *)&connection->handle;
	connection->client.tcp = connection;
	if (uv_accept(listener, stream) < 0)
		return false;
	uv_tcp_nodelay(&connection->handle, 1);
	return uv_tcp_getpeername(&connection->handle, &connection->client.source.any, &size) ==
		       0 &&
	       uv_read_start(stream, on_alloc, on_read) == 0;
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct tcp *tcp = listener->data;
	struct tcp_connection *connection = status == 0 ? calloc(1, sizeof(*connection)) : NULL;
	if (!connection)
		return;
	connection->tcp = tcp;
	connection->handle.data = connection;
	uv_tcp_init(tcp->loop, &connection->handle);
	tcp->handles->open++;
	LIST_INIT(&connection->waiting.list);
	bool room = make_room(tcp);
	tcp->count++;
	TAILQ_INSERT_TAIL(&tcp->connections, connection, link);
	connection->active_at = uv_now(tcp->loop);
	tcp->responder->counters.tcp_connections++;
	/* libuv knows no other way to refuse than to accept and close. */
	if (!start_connection(connection, listener) || !room)
		connection_close(connection);
	else if (!uv_is_active((uv_handle_t *)&tcp->timer))
		arm_timer(tcp);
}

void tcp_init(struct tcp *tcp, uv_loop_t *loop, struct responder *responder,
	struct handles *handles, unsigned max, uint64_t idle)
{
	*tcp = (struct tcp){
		.loop = loop,
		.responder = responder,
		.handles = handles,
		.max = max,
		.idle = idle / NS_PER_MS + 1,
	};
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

static void on_listener_closed(uv_handle_t *handle)
{
	const struct tcp *tcp = handle->data;
	struct handles *handles = tcp->handles;
	free(handle);
	handles_release(handles);
}

int tcp_listen(struct tcp *tcp, int fd, uv_tcp_t **out)
{
	uv_tcp_t *listener = calloc(1, sizeof(*listener));
	int rc = listener ? uv_tcp_init(tcp->loop, listener) : -ENOMEM;
	if (rc < 0) {
		free(listener);
		close(fd);
		return rc;
	}
	listener->data = tcp;
	tcp->handles->open++;
	rc = uv_tcp_open(listener, fd);
	if (rc < 0)
		close(fd);
	else
		rc = uv_listen((uv_stream_t *)listener, BACKLOG, on_connection);
	if (rc < 0) {
		tcp_listener_destroy(listener);
		return rc;
	}
	*out = listener;
	return 0;
}

void tcp_listener_destroy(uv_tcp_t *listener)
{
	if (listener)
		uv_close((uv_handle_t *)listener, on_listener_closed);
}
