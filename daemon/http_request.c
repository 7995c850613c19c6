/* SPDX-License-Identifier: ISC */
#include "daemon/http_internal.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/json_text.h"

/* --- life --- */

static void request_destroy(struct http_request *request)
{
	if (request->response)
		MHD_destroy_response(request->response);
	http_body_finish(request);
	free(request->uri);
	free(request->shown);
	free(request);
}

/* MHD's "URI log" callback: the one place where the URI is seen as it came. What it returns is the
 * request's context in all other callbacks. */
void *http_request_create(void *ctx, const char *uri, struct MHD_Connection *connection)
{
	struct http_server *server = ctx;
	struct http_request *request = calloc(1, sizeof(*request));
	if (!request)
		return NULL;
	request->file = -1;
	request->uri = strdup(uri);
	request->shown = strndup(uri, strcspn(uri, "?"));
	if (!request->uri || !request->shown) {
		request_destroy(request);
		return NULL;
	}
	request->server = server;
	request->connection = connection;
	LIST_INSERT_HEAD(&server->requests, request, entry);
	return request;
}

void http_request_completed(void *ctx, struct MHD_Connection *connection, void **slot,
	enum MHD_RequestTerminationCode code)
{
	(void)ctx;
	(void)connection;
	(void)code;
	struct http_request *request = *slot;
	*slot = NULL;
	if (!request)
		return;
	LIST_REMOVE(request, entry);
	request->server = NULL;
	request->connection = NULL;
	if (request->stream)
		http_stream_lost(request->stream);
	http_request_reap(request);
}

bool http_request_reap(struct http_request *request)
{
	if (!http_request_is_free(request))
		return false;
	request_destroy(request);
	return true;
}

/* --- suspended: MHD does not look at the socket, so we do --- */

static int connection_fd(const struct http_request *request)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	return info ? info->connect_fd : -1;
}

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

static void watch_end(struct http_request *request)
{
	if (request->watch)
		uv_close((uv_handle_t *)request->watch, free_handle);
	request->watch = NULL;
}

static void on_disconnect(uv_poll_t *watch, int status, int events)
{
	(void)status;
	(void)events;
	struct http_request *request = watch->data;
	struct pollfd state = {.fd = connection_fd(request)};
	/* A client that only ends its own sending still waits for the answer. */
	if (poll(&state, 1, 0) > 0 && state.revents & (POLLHUP | POLLERR))
		http_request_cut(request);
	else
		watch_end(request);
}

static void watch_begin(struct http_request *request)
{
	request->watch = calloc(1, sizeof(*request->watch));
	if (!request->watch)
		return; /* the client's end is then noticed with the next write */
	if (uv_poll_init(request->server->loop, request->watch, connection_fd(request)) < 0) {
		free(request->watch);
		request->watch = NULL;
		return;
	}
	request->watch->data = request;
	uv_poll_start(request->watch, UV_DISCONNECT, on_disconnect);
}

void http_request_suspend(struct http_request *request)
{
	MHD_suspend_connection(request->connection);
	request->suspended = true;
	watch_begin(request);
}

void http_request_resume(struct http_request *request)
{
	if (!request->suspended)
		return;
	watch_end(request);
	request->suspended = false;
	MHD_resume_connection(request->connection);
	http_server_wake(request->server);
}

void http_request_cut(struct http_request *request)
{
	request->cut = true;
	/* MHD may be waiting for the socket to become writable: this wakes it, too. */
	shutdown(connection_fd(request), SHUT_RDWR);
	http_request_resume(request);
}

/* --- reading --- */

/* False: the answer is sent before the body, which a client that waits for "100 Continue" then
 * keeps to itself. */
static bool begin(struct http_request *request, const char *method)
{
	request->begun = true;
	if (http_request_parse(request) == 0)
		http_request_route(request, method);
	return http_body_begin(request);
}

static void hand_over(struct http_request *request)
{
	request->owed = true;
	request->in_handler = true;
	request->route->handler(request->server->ctx, request);
	request->in_handler = false;
}

static enum MHD_Result send_answer(struct http_request *request)
{
	return MHD_queue_response(
		request->connection, (unsigned int)request->status, request->response);
}

/* MHD calls this once with the headers, then for each piece of the body, then at its end, and once
 * more after each resume. */
enum MHD_Result http_request_access(void *ctx, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *data, size_t *data_length, void **slot)
{
	(void)ctx;
	(void)connection;
	(void)url;
	(void)version;
	struct http_request *request = *slot;
	if (!request || request->cut)
		return MHD_NO;
	if (request->writing.busy)
		return MHD_YES; /* of several chunks at once, the next ones wait */
	if (!request->begun)
		return begin(request, method) ? MHD_YES : send_answer(request);
	if (*data_length > 0) {
		size_t length = *data_length;
		*data_length = 0;
		return http_body_add(request, data, length) ? MHD_YES : MHD_NO;
	}
	if (!request->response && !request->owed) {
		http_body_end(request);
		if (!request->response)
			hand_over(request);
	}
	if (request->cut)
		return MHD_NO;
	if (request->response)
		return send_answer(request);
	http_request_suspend(request);
	return MHD_YES;
}

/* --- answering --- */

void http_request_answer(struct http_request *request, int status, struct MHD_Response *response)
{
	assert(request->owed && !request->response);
	request->owed = false;
	request->status = status;
	request->response = response;
	if (http_request_reap(request))
		return;
	if (!response)
		http_request_cut(request); /* no memory: the client sees the connection end */
	else if (!request->in_handler)
		http_request_resume(request);
}

static struct MHD_Response *make_response(const char *content_type, char *text, size_t length)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(length, text, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(text);
		return NULL;
	}
	if (content_type)
		MHD_add_response_header(response, "Content-Type", content_type);
	MHD_add_response_header(response, "Cache-Control", "no-store");
	return response;
}

static struct MHD_Response *make_json(json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : strdup("");
	const char *type = body ? "application/json" : NULL;
	json_decref(body);
	return text ? make_response(type, text, strlen(text)) : NULL;
}

static struct MHD_Response *make_error(const char *format, va_list args)
{
	char text[1024];
	vsnprintf(text, sizeof(text), format, args);
	return make_json(json_pack("{s:o}", "error", json_text(text)));
}

void http_request_fail(struct http_request *request, int status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	request->response = make_error(format, args);
	va_end(args);
	request->status = status;
	request->cut = !request->response;
}

void http_respond(struct http_request *request, int status, json_t *body)
{
	http_request_answer(request, status, make_json(body));
}

void http_respond_error(struct http_request *request, int status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	struct MHD_Response *response = make_error(format, args);
	va_end(args);
	http_request_answer(request, status, response);
}

void http_respond_text(
	struct http_request *request, const char *content_type, char *text, size_t length)
{
	http_request_answer(request, 200, make_response(content_type, text, length));
}
