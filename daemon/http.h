/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_HTTP_H
#define DAEMON_HTTP_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "base/error.h"

/*
 * HTTP/1.1 over a unix socket: libmicrohttpd, driven by the libuv loop through its epoll
 * descriptor. Knows routes, bodies and JSON, and nothing of services. Loop thread only.
 */
struct http_server;
struct http_request;
struct http_stream;

/* Runs when the request is complete, body included. It answers now, or keeps the request and
 * answers later, exactly once either way. */
typedef void (*http_handler_fn)(void *ctx, struct http_request *request);

enum http_body {
	HTTP_BODY_NONE, /* a body is refused: 400 */
	HTTP_BODY_JSON, /* must be one JSON object, at most 1 MiB; absent reads as {} */
	HTTP_BODY_FILE, /* streamed into a temporary file, at most `max_file` bytes; workers write it */
};

struct http_route {
	const char *method;  /* "GET"; HEAD follows GET */
	const char *pattern; /* "/v1/services/{name}/wake" */
	enum http_body body;
	http_handler_fn handler;
};

/* Of the names of uploads on their way in. */
#define HTTP_UPLOAD_PREFIX "upload-"

struct http_config {
	/* A stale socket of a dead server is replaced; a live one is -EADDRINUSE. */
	const char *socket_path;
	mode_t mode;
	const char *group;               /* or NULL */
	const struct http_route *routes; /* a table that outlives the server */
	size_t route_count;
	uint64_t max_file;
	/* For the temporary files of HTTP_BODY_FILE, on the file system of their destination. */
	const char *file_dir;
};

int http_server_create(uv_loop_t *loop, const struct http_config *config, void *ctx,
	struct http_server **out, struct error *err);
/* Requests that were not answered are cut off; streams end. `closed` in a later turn. A handler
 * that kept a request still answers it, also after `closed`: this then only releases it. */
void http_server_destroy(struct http_server *server, void (*closed)(void *ctx), void *ctx);

/* The value of {name} in the pattern, percent-decoded; of ?name= in the query, or NULL. */
const char *http_param(const struct http_request *request, const char *name);
const char *http_query(const struct http_request *request, const char *name);
/* HTTP_BODY_JSON: the object, owned by the request. */
json_t *http_body(const struct http_request *request);
/* HTTP_BODY_FILE: path of the complete temporary file. It is unlinked with the request unless it
 * was renamed away. */
const char *http_body_file(const struct http_request *request);

/* Takes over `body` (may be NULL for an empty one, e.g. with 204). */
void http_respond(struct http_request *request, int status, json_t *body);
/* {"error": "..."} */
void http_respond_error(struct http_request *request, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Takes over a malloc'd `text`. */
void http_respond_text(
	struct http_request *request, const char *content_type, char *text, size_t length);

/* Turns the request into a stream of server-sent events, which is its answer. `closed` (once) tells
 * that the client has gone or that the server ends, in a later turn than any call here; the stream
 * is invalid from then on. NULL where the client has gone already: the request is done
 * with then. */
struct http_stream *http_stream_begin(struct http_request *request,
	void (*closed)(void *ctx, struct http_stream *stream), void *ctx);
/* One event. A client that reads too slowly (more than 1 MiB waiting) is cut off: `closed`
 * follows. */
void http_stream_event(struct http_stream *stream, const char *event, const json_t *data);
/* What was given is still sent. The stream is invalid at once, and `closed` is not called. */
void http_stream_end(struct http_stream *stream);

#endif
