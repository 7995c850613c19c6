/* SPDX-License-Identifier: ISC */
#include "dns/tcp_connection.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "dns/wire.h"

/* Queries of one connection that may wait at once. */
#define MAX_WAITING 128
/* Bytes of answers that may be under way beside these, in memory of their own. */
#define MAX_ASIDE   (256 << 10)

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

void tcp_connection_close(struct tcp_connection *connection)
{
	struct tcp *tcp = connection->tcp;
	if (is_closing(connection))
		return;
	tcp_leave(connection);
	waiting_forget(&tcp->responder->waiting, &connection->waiting);
	transfer_destroy(connection->transfer);
	connection->transfer = NULL;
	uv_close((uv_handle_t *)&connection->handle, on_closed);
}

/* A whole query came or whole answers went: single bytes, which cost a client nothing, are no sign
 * of life. */
void tcp_connection_touch(struct tcp_connection *connection)
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

bool tcp_connection_is_idle(const struct tcp_connection *connection)
{
	return connection->waiting.count == 0 && connection->out_end == 0 &&
	       connection->aside == 0 && !connection->transfer;
}

/* A client that sends no more still gets all its answers. */
static void close_where_done(struct tcp_connection *connection)
{
	if (connection->ended && tcp_connection_is_idle(connection))
		tcp_connection_close(connection);
}

static void pump(struct tcp_connection *connection);

static void on_written(uv_write_t *write, int status)
{
	struct tcp_connection *connection = write->data;
	if (is_closing(connection))
		return;
	if (status < 0) {
		tcp_connection_close(connection);
		return;
	}
	connection->out_begin += connection->writing;
	connection->writing = 0;
	size_t left = connection->out_end - connection->out_begin;
	memmove(connection->out, connection->out + connection->out_begin, left);
	connection->out_begin = 0;
	connection->out_end = left;
	tcp_connection_touch(connection);
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
		tcp_connection_close(connection);
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
		tcp_connection_close(connection);
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
	if (size > TCP_QUERY_MAX)
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
			tcp_connection_close(connection);
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
		tcp_connection_touch(connection);
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
		tcp_connection_close(connection);
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

/* An answer for which there is no room among the others: an upstream's, which may be larger than ours
 * are, or one beside a transfer, which takes all room that there is. It takes its turn among the writes,
 * in memory of its own. */
struct aside {
	uv_write_t write;
	struct tcp_connection *connection;
	size_t size;
	uint8_t frame[];
};

static void on_aside_written(uv_write_t *write, int status)
{
	struct aside *aside = (struct aside *)write;
	struct tcp_connection *connection = aside->connection;
	connection->aside -= aside->size;
	free(aside);
	if (is_closing(connection))
		return;
	if (status < 0)
		tcp_connection_close(connection);
	else
		close_where_done(connection);
}

/* NULL without memory, or with no more of it for this connection. */
static struct aside *make_aside(struct tcp_connection *connection,
	const struct waiting_query *entry, const struct late_answer *late)
{
	size_t limit = late->passed_size > ANSWER_MAX_TCP ? late->passed_size : ANSWER_MAX_TCP;
	struct aside *aside = malloc(sizeof(*aside) + 2 + limit + TSIG_MAX_SIZE);
	if (!aside)
		return NULL;
	size_t size =
		respond_later(connection->tcp->responder, entry, late, limit, aside->frame + 2);
	if (size == 0 || connection->aside + 2 + size > MAX_ASIDE) {
		free(aside);
		return NULL;
	}
	wire_put16(aside->frame, (uint16_t)size);
	aside->size = 2 + size;
	aside->connection = connection;
	struct aside *shrunk = realloc(aside, sizeof(*aside) + aside->size);
	return shrunk ? shrunk : aside;
}

static bool write_aside(struct tcp_connection *connection, const struct waiting_query *entry,
	const struct late_answer *late)
{
	struct aside *aside = make_aside(connection, entry, late);
	if (!aside)
		return false;
	uv_buf_t buf = uv_buf_init((char *)aside->frame, (unsigned)aside->size);
	if (uv_write(&aside->write, (uv_stream_t *)&connection->handle, &buf, 1, on_aside_written) <
		0) {
		free(aside);
		return false;
	}
	connection->aside += aside->size;
	return true;
}

static bool write_late(struct tcp_connection *connection, const struct waiting_query *entry,
	const struct late_answer *late)
{
	if (late->passed_size > ANSWER_MAX_TCP || !has_room(connection))
		return write_aside(connection, entry, late);
	size_t size = respond_later(connection->tcp->responder, entry, late, ANSWER_MAX_TCP,
		connection->out + connection->out_end + 2);
	if (size == 0)
		return false;
	append(connection, size);
	flush(connection);
	return true;
}

void tcp_answer(struct tcp_connection *connection, const struct waiting_query *entry,
	const struct late_answer *late)
{
	tcp_connection_touch(connection);
	if (!write_late(connection, entry, late)) {
		connection->tcp->responder->counters.dropped++;
		tcp_connection_close(connection);
	}
	close_where_done(connection);
}

int tcp_connection_begin(struct tcp_connection *connection, int fd)
{
	int rc = uv_tcp_open(&connection->handle, fd);
	if (rc < 0)
		close(fd);
	else
		rc = uv_read_start((uv_stream_t *)&connection->handle, on_alloc, on_read);
	uv_tcp_nodelay(&connection->handle, 1);
	return rc;
}
