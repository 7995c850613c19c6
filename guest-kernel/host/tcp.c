/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest-kernel/host/host.h"

/* include/app.h's TCP over libuv. */

#define HELD_MAX  65536
#define WRITE_MAX 65536
#define BACKLOG   128
#define NS_PER_MS 1000000

struct listener {
	uv_tcp_t handle; /* first: libuv's callbacks get it back */
	struct app *app;
	const struct app_tcp_service *service;
	void *context;
	unsigned connections;
};

struct app_tcp {
	uv_tcp_t handle; /* first, likewise */
	uv_timer_t idle;
	uv_idle_t soon; /* runs while something is due */
	struct listener *listener;
	void *state;
	char held[HELD_MAX]; /* received, and not yet taken by the application */
	size_t held_from, held_to;
	char writing[WRITE_MAX]; /* what the kernel did not take at once */
	uv_write_t write;
	bool is_writing, wants_room;
	bool reading, ended, told_end;
	bool closing; /* by the application */
	bool gone;    /* being freed */
	int handles;  /* still open */
};

static void read_more(struct app_tcp *c);

static void handle_closed(uv_handle_t *handle)
{
	struct app_tcp *c = handle->data;
	if (--c->handles > 0)
		return;
	c->listener->connections--;
	if (c->state)
		c->listener->service->closed(c->state);
	free(c);
}

static void destroy(struct app_tcp *c)
{
	if (c->gone)
		return;
	c->gone = true;
	uv_close((uv_handle_t *)&c->handle, handle_closed);
	uv_close((uv_handle_t *)&c->idle, handle_closed);
	uv_close((uv_handle_t *)&c->soon, handle_closed);
}

static void moved(struct app_tcp *c)
{
	uv_timer_again(&c->idle);
}

static void on_idle(uv_timer_t *timer)
{
	destroy(timer->data);
}

static void offer(struct app_tcp *c)
{
	while (c->held_from < c->held_to && !c->closing && !c->gone) {
		size_t taken = c->listener->service->data(c->state,
			(const uint8_t *)c->held + c->held_from, c->held_to - c->held_from);
		c->held_from += taken;
		if (c->held_from < c->held_to)
			return;
	}
}

/* The one place that calls the application about a connection that is open. */
static void run(struct app_tcp *c)
{
	if (c->wants_room && !c->is_writing && !c->closing) {
		c->wants_room = false;
		c->listener->service->room(c->state);
	}
	offer(c);
	bool empty = c->held_from == c->held_to;
	if (c->ended && empty && !c->told_end && !c->closing) {
		c->told_end = true;
		c->listener->service->end(c->state);
	}
	if (c->closing && !c->is_writing)
		destroy(c);
	else if (empty && !c->ended && !c->gone)
		read_more(c);
}

static void on_soon(uv_idle_t *handle)
{
	uv_idle_stop(handle);
	run(handle->data);
}

static void schedule(struct app_tcp *c)
{
	if (!c->gone)
		uv_idle_start(&c->soon, on_soon);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct app_tcp *c = handle->data;
	(void)suggested;
	*buffer = uv_buf_init(c->held, HELD_MAX);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
	struct app_tcp *c = stream->data;
	(void)buffer;
	if (size == 0)
		return;
	/* One buffer: no more is read until the application has taken all of it. */
	uv_read_stop(stream);
	c->reading = false;
	moved(c);
	if (size < 0 && size != UV_EOF) {
		destroy(c);
		return;
	}
	c->held_from = 0;
	c->held_to = size > 0 ? (size_t)size : 0;
	c->ended = size < 0;
	run(c);
}

static void read_more(struct app_tcp *c)
{
	if (c->reading)
		return;
	c->reading = true;
	if (uv_read_start((uv_stream_t *)&c->handle, on_allocate, on_read) < 0)
		destroy(c);
}

static void on_written(uv_write_t *write, int status)
{
	struct app_tcp *c = write->data;
	c->is_writing = false;
	if (c->gone)
		return;
	moved(c);
	if (status < 0)
		destroy(c);
	else
		schedule(c);
}

/* Hands the rest of a write that the kernel did not take to libuv; returns how much of it. */
static size_t write_later(struct app_tcp *c, const char *data, size_t size)
{
	size_t part = size < WRITE_MAX ? size : WRITE_MAX;
	memcpy(c->writing, data, part);
	uv_buf_t buffer = uv_buf_init(c->writing, (unsigned)part);
	c->write.data = c;
	if (uv_write(&c->write, (uv_stream_t *)&c->handle, &buffer, 1, on_written) < 0)
		return 0;
	c->is_writing = true;
	return part;
}

size_t app_tcp_send(struct app_tcp *c, const void *data, size_t size, enum app_bytes bytes)
{
	(void)bytes;
	if (c->closing || c->gone || size == 0)
		return 0;
	if (c->is_writing) {
		c->wants_room = true;
		return 0;
	}
	/* Not more at once than libuv can be handed. */
	unsigned first = size < 1u << 30 ? (unsigned)size : 1u << 30;
	uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)data, first);
	int tried = uv_try_write((uv_stream_t *)&c->handle, &buffer, 1);
	size_t done = tried > 0 ? (size_t)tried : 0;
	moved(c);
	if (done < size)
		done += write_later(c, (const char *)data + done, size - done);
	c->wants_room = done < size;
	return done;
}

void app_tcp_continue(struct app_tcp *c)
{
	schedule(c);
}

void app_tcp_close(struct app_tcp *c)
{
	c->closing = true;
	schedule(c);
}

static struct app_tcp *connection_create(struct listener *l)
{
	struct app_tcp *c = malloc(sizeof(*c));
	if (!c)
		return NULL;
	memset(c, 0, offsetof(struct app_tcp, held));
	c->held_from = c->held_to = 0;
	c->is_writing = c->wants_room = c->reading = c->ended = c->told_end = false;
	c->closing = c->gone = false;
	c->handles = 3;
	c->listener = l;
	uv_tcp_init(&l->app->loop, &c->handle);
	uv_timer_init(&l->app->loop, &c->idle);
	uv_idle_init(&l->app->loop, &c->soon);
	c->handle.data = c->idle.data = c->soon.data = c;
	l->connections++;
	return c;
}

static void on_connection(uv_stream_t *server, int status)
{
	struct listener *l = (struct listener *)server;
	struct app_tcp *c = status < 0 ? NULL : connection_create(l);
	if (!c)
		return;
	uint64_t idle_ms = l->service->idle_ns / NS_PER_MS;
	uv_timer_start(&c->idle, on_idle, idle_ms, idle_ms);
	if (uv_accept(server, (uv_stream_t *)&c->handle) == 0 &&
		l->connections <= l->service->connections_max)
		c->state = l->service->open(l->context, c);
	if (!c->state) {
		destroy(c);
		return;
	}
	/* As in the guest: an answer's body is not held back until its head is acknowledged. */
	uv_tcp_nodelay(&c->handle, 1);
	read_more(c);
}

int app_tcp_listen(struct app *app, const struct app_tcp_service *service, void *context)
{
	struct sockaddr_in6 any;
	struct listener *l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->app = app;
	l->service = service;
	l->context = context;
	uv_ip6_addr("::", service->port, &any); /* takes IPv4 too */
	int result = uv_tcp_init(&app->loop, &l->handle);
	if (result == 0)
		result = uv_tcp_bind(&l->handle, (const struct sockaddr *)&any, 0);
	if (result == 0)
		result = uv_listen((uv_stream_t *)&l->handle, BACKLOG, on_connection);
	/* A failure ends the program: nothing runs that could close the handle. */
	return result;
}
