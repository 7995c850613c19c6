/* SPDX-License-Identifier: ISC */
#include "daemon/http_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

/* --- MHD on the loop --- */

static void on_timer(uv_timer_t *timer);

static bool is_full(const struct http_server *server)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(server->mhd, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
	return info && info->num_connections >= HTTP_CONNECTIONS;
}

static void run(struct http_server *server)
{
	if (server->closing)
		return;
	server->resumed = false;
	bool was_full = is_full(server);
	MHD_run(server->mhd);
	/* MHD looks at its listening socket again only at the beginning of a run. */
	if (!server->closing && was_full && !is_full(server))
		http_server_wake(server);
	MHD_UNSIGNED_LONG_LONG timeout;
	if (server->closing || server->resumed)
		return; /* the timer is set */
	if (MHD_get_timeout(server->mhd, &timeout) == MHD_YES)
		uv_timer_start(&server->timer, on_timer, timeout, 0);
	else
		uv_timer_stop(&server->timer);
}

void http_server_wake(struct http_server *server)
{
	server->resumed = true;
	uv_timer_start(&server->timer, on_timer, 0, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	run(poll->data);
}

/* --- the end --- */

/* Everything that MHD does not own; MHD and the handles are gone, or never were. */
static void release(struct http_server *server)
{
	free(server->file_dir);
	free(server->socket_path);
	free(server);
}

void http_server_hold(struct http_server *server)
{
	server->holders++;
}

void http_server_release(struct http_server *server)
{
	if (--server->holders > 0)
		return;
	void (*closed)(void *) = server->closed;
	void *ctx = server->closed_ctx;
	release(server);
	if (closed)
		closed(ctx);
}

static void on_handle_closed(uv_handle_t *handle)
{
	http_server_release(handle->data);
}

static void remove_socket(const struct http_server *server)
{
	struct stat status;
	if (lstat(server->socket_path, &status) == 0 && status.st_dev == server->socket_device &&
		status.st_ino == server->socket_inode)
		unlink(server->socket_path);
}

static void tear_down(struct http_server *server)
{
	/* Before MHD closes the descriptor that the handle polls. */
	uv_close((uv_handle_t *)&server->poll, on_handle_closed);
	struct http_request *request;
	LIST_FOREACH(request, &server->requests, entry)
	{
		request->cut = true;
		http_request_resume(request); /* MHD must not end with suspended connections */
	}
	MHD_stop_daemon(server->mhd);
	uv_close((uv_handle_t *)&server->timer, on_handle_closed);
}

static void on_timer(uv_timer_t *timer)
{
	struct http_server *server = timer->data;
	if (server->closing)
		tear_down(server);
	else
		run(server);
}

void http_server_destroy(struct http_server *server, void (*closed)(void *ctx), void *ctx)
{
	if (!server)
		return;
	server->closing = true;
	server->closed = closed;
	server->closed_ctx = ctx;
	remove_socket(server);
	uv_poll_stop(&server->poll);
	uv_timer_start(&server->timer, on_timer, 0, 0);
}

/* --- the beginning --- */

static struct MHD_Daemon *start_mhd(struct http_server *server, int listener)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		http_request_access, server, MHD_OPTION_LISTEN_SOCKET, listener,
		MHD_OPTION_URI_LOG_CALLBACK, http_request_create, server,
		MHD_OPTION_NOTIFY_COMPLETED, http_request_completed, server,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)HTTP_CONNECTIONS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_MEMORY,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)HTTP_IDLE_SECONDS, MHD_OPTION_END);
}

static int start_loop(struct http_server *server, uv_loop_t *loop, struct error *err)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(server->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	int rc = info ? uv_poll_init(loop, &server->poll, info->epoll_fd) : -ENOTSUP;
	if (rc < 0)
		return error_set(
			err, rc, "libmicrohttpd has no epoll descriptor that can be polled");
	uv_timer_init(loop, &server->timer);
	server->holders = 2;
	server->loop = loop;
	server->poll.data = server;
	server->timer.data = server;
	uv_poll_start(&server->poll, UV_READABLE, on_readable);
	return 0;
}

static struct http_server *make_server(const struct http_config *config, void *ctx)
{
	struct http_server *server = calloc(1, sizeof(*server));
	if (!server)
		return NULL;
	server->routes = config->routes;
	server->route_count = config->route_count;
	server->max_file = config->max_file;
	server->ctx = ctx;
	server->file_dir = strdup(config->file_dir ? config->file_dir : "/tmp");
	server->socket_path = strdup(config->socket_path);
	LIST_INIT(&server->requests);
	if (!server->file_dir || !server->socket_path) {
		release(server);
		return NULL;
	}
	return server;
}

int http_server_create(uv_loop_t *loop, const struct http_config *config, void *ctx,
	struct http_server **out, struct error *err)
{
	struct http_server *server = make_server(config, ctx);
	if (!server)
		return error_set(err, -ENOMEM, "no memory for the control server");
	int listener =
		http_socket_listen(config, &server->socket_device, &server->socket_inode, err);
	if (listener < 0) {
		release(server);
		return listener;
	}
	int rc = 0;
	server->mhd = start_mhd(server, listener);
	if (!server->mhd) {
		close(listener);
		rc = error_set(err, -ENOMEM, "libmicrohttpd did not start");
	} else {
		rc = start_loop(server, loop, err);
		if (rc < 0)
			MHD_stop_daemon(server->mhd);
	}
	if (rc < 0) {
		remove_socket(server);
		release(server);
		return rc;
	}
	*out = server;
	return 0;
}
