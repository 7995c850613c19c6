/* SPDX-License-Identifier: ISC */
#include "launcher/libvirt/console.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

/* A process that is gone has closed its socket; this is for one that never connected, and for
 * a lifecycle event that overtakes the end of the process. */
#define DRAIN_LIMIT_MS  200
#define DRAIN_UNSEEN_MS 10
/* QEMU tries to connect again every second. */
#define AWAIT_LIMIT_MS  1500

struct client {
	uv_pipe_t pipe;
	struct virt_console *console;
};

struct virt_console {
	uv_pipe_t listener;
	uv_timer_t limit;
	struct client *client; /* the one that talks, or NULL */
	unsigned open_handles;
	bool talking;          /* it is fed, and that has not ended */
	bool destroyed, ended; /* ended: a client has come and gone */
	void (*on_data)(void *ctx, const uint8_t *data, size_t length);
	void (*drained)(void *ctx);
	void (*ready)(void *ctx);
	void *ctx;
	void (*closed)(void *ctx);
	void *closed_ctx;
	char buffer[16384];
};

static void handle_closed(struct virt_console *console)
{
	if (--console->open_handles > 0)
		return;
	void (*closed)(void *ctx) = console->closed;
	void *ctx = console->closed_ctx;
	free(console);
	if (closed)
		closed(ctx);
}

static void own_handle_closed(uv_handle_t *handle)
{
	handle_closed(handle->data);
}

static void client_closed(uv_handle_t *handle)
{
	struct client *client = handle->data;
	struct virt_console *console = client->console;
	free(client);
	handle_closed(console);
}

static void drain_ends(struct virt_console *console)
{
	void (*drained)(void *ctx) = console->drained;
	console->drained = NULL;
	uv_timer_stop(&console->limit);
	if (drained && !console->destroyed)
		drained(console->ctx);
}

static void await_ends(struct virt_console *console)
{
	void (*ready)(void *ctx) = console->ready;
	console->ready = NULL;
	if (ready && !console->destroyed)
		ready(console->ctx);
}

static void client_ends(struct virt_console *console)
{
	struct client *client = console->client;
	console->client = NULL;
	console->ended = true;
	uv_close((uv_handle_t *)&client->pipe, client_closed);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
	(void)size;
	struct client *client = handle->data;
	*buffer = uv_buf_init(client->console->buffer, sizeof(client->console->buffer));
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
	struct client *client = stream->data;
	struct virt_console *console = client->console;
	if (length > 0) {
		console->on_data(console->ctx, (const uint8_t *)buffer->base, (size_t)length);
	} else if (length < 0 && console->client == client) {
		client_ends(console);
		drain_ends(console);
	}
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct virt_console *console = stream->data;
	struct client *client = status < 0 ? NULL : calloc(1, sizeof(*client));
	if (!client)
		return;
	client->console = console;
	uv_pipe_init(stream->loop, &client->pipe, 0);
	client->pipe.data = client;
	console->open_handles++;
	if (uv_accept(stream, (uv_stream_t *)&client->pipe) < 0 || console->client) {
		uv_close((uv_handle_t *)&client->pipe, client_closed);
		return;
	}
	console->client = client;
	uv_read_start((uv_stream_t *)&client->pipe, on_alloc, on_read);
	await_ends(console);
}

void virt_console_feed(struct virt_console *console, const char *data, size_t length)
{
	console->talking = true;
	console->on_data(console->ctx, (const uint8_t *)data, length);
}

void virt_console_feed_end(struct virt_console *console)
{
	console->talking = false;
	console->ended = true;
	drain_ends(console);
}

static int listen_at(struct virt_console *console, const char *path)
{
	unlink(path);
	int r = uv_pipe_bind(&console->listener, path);
	if (r == 0) /* QEMU may run as another user; the folder decides who gets here */
		r = uv_pipe_chmod(&console->listener, UV_READABLE | UV_WRITABLE);
	if (r == 0)
		r = uv_listen((uv_stream_t *)&console->listener, 4, on_connection);
	return r;
}

int virt_console_create(
	const struct virt_console_config *config, struct virt_console **out, struct error *err)
{
	/* uv_pipe_bind would cut a longer path short, silently. */
	if (config->path && strlen(config->path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return error_set(err, -ENAMETOOLONG,
			"%s is too long for a socket; use a shorter state folder", config->path);
	struct virt_console *console = calloc(1, sizeof(*console));
	if (!console)
		return error_set(err, -ENOMEM, "out of memory");
	console->on_data = config->on_data;
	console->ctx = config->ctx;
	console->open_handles = 2;
	uv_pipe_init(config->loop, &console->listener, 0);
	uv_timer_init(config->loop, &console->limit);
	console->listener.data = console->limit.data = console;
	int r = config->path ? listen_at(console, config->path) : 0;
	if (r < 0) {
		virt_console_destroy(console, NULL, NULL);
		return error_set(err, r, "%s: %s", config->path, uv_strerror(r));
	}
	*out = console;
	return 0;
}

static void limit_reached(uv_timer_t *timer)
{
	struct virt_console *console = timer->data;
	if (console->drained)
		drain_ends(console);
	else
		await_ends(console);
}

void virt_console_await(struct virt_console *console, void (*ready)(void *ctx))
{
	console->ready = ready;
	uv_timer_start(&console->limit, limit_reached, AWAIT_LIMIT_MS, 0);
}

void virt_console_drain(struct virt_console *console, void (*drained)(void *ctx))
{
	console->drained = drained;
	bool talking = console->client || console->talking;
	uint64_t limit = talking ? DRAIN_LIMIT_MS : console->ended ? 0 : DRAIN_UNSEEN_MS;
	uv_timer_start(&console->limit, limit_reached, limit, 0);
}

void virt_console_destroy(struct virt_console *console, void (*closed)(void *ctx), void *ctx)
{
	if (!console)
		return;
	console->destroyed = true;
	console->closed = closed;
	console->closed_ctx = ctx;
	if (console->client)
		client_ends(console);
	uv_close((uv_handle_t *)&console->listener, own_handle_closed);
	uv_close((uv_handle_t *)&console->limit, own_handle_closed);
}
