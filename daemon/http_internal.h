/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_HTTP_INTERNAL_H
#define DAEMON_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "daemon/http.h"

/* What the http*.c files share. Only they include this. */

#define HTTP_JSON_MAX     (1u << 20)  /* bytes of a JSON body */
#define HTTP_STREAM_MAX   (1u << 20)  /* bytes that wait for a slow reader */
#define HTTP_MEMORY       (32u << 10) /* of one connection: request line, headers, buffers */
#define HTTP_CONNECTIONS  64
#define HTTP_IDLE_SECONDS 30
#define HTTP_SEGMENTS     8
#define HTTP_QUERIES      8

struct http_server {
	uv_loop_t *loop;
	uv_poll_t poll;   /* MHD's epoll descriptor */
	uv_timer_t timer; /* MHD's next timeout, or the end */
	unsigned holders; /* handles that are open, pieces that are written */
	struct MHD_Daemon *mhd;
	bool resumed; /* a connection was, and MHD has not run since */
	bool closing;
	void (*closed)(void *ctx);
	void *closed_ctx;

	const struct http_route *routes;
	size_t route_count;
	void *ctx; /* of the handlers */
	uint64_t max_file;
	char *file_dir;
	char *socket_path;
	dev_t socket_device; /* of the socket that we made: no other is unlinked at the end */
	ino_t socket_inode;
	LIST_HEAD(, http_request) requests; /* those that have a connection */
};

struct http_pair {
	const char *name;
	size_t name_length;
	const char *value;
};

/*
 * Lives from the first line of the request to the end of its answer; where the client (or the
 * server) goes while the handler still owes the answer, until that answer.
 */
struct http_request {
	LIST_ENTRY(http_request) entry;
	struct http_server *server;        /* NULL once the connection is gone */
	struct MHD_Connection *connection; /* likewise */

	char *uri;   /* cut into the parts below, and decoded, in place */
	char *shown; /* the path as it came, for messages */
	char *segments[HTTP_SEGMENTS];
	size_t segment_count;
	struct http_pair params[HTTP_SEGMENTS];
	size_t param_count;
	struct http_pair queries[HTTP_QUERIES];
	size_t query_count;
	const struct http_route *route;

	bool begun;      /* the headers have been looked at */
	bool in_handler; /* MHD's callback is on the stack: it queues the answer itself */
	bool owed;       /* the handler has the request and owes an answer */
	bool suspended;  /* in MHD; `watch` tells if the client goes meanwhile */
	bool cut;        /* to be closed without an answer */
	uv_poll_t *watch;

	char *body; /* HTTP_BODY_JSON while it comes in */
	size_t body_length, body_size;
	uint64_t received; /* bytes, discarded ones included */
	json_t *json;
	int file; /* HTTP_BODY_FILE; -1 */
	char *file_path;
	struct {
		struct http_server *server;
		bool busy; /* a worker has the piece; the connection is suspended meanwhile */
		uv_work_t work;
		char *piece;
		size_t length;
		int error;
	} writing;

	int status;
	struct MHD_Response *response;
	struct http_stream *stream;
};

/* http.c: MHD is to run in the next turn. It tells nobody of a resumed connection. */
void http_server_wake(struct http_server *server);
/* It is not closed before each hold is released. */
void http_server_hold(struct http_server *server);
void http_server_release(struct http_server *server);

/* http_socket.c: a listening unix socket. Returns the descriptor, or a negative errno value. */
int http_socket_listen(
	const struct http_config *config, dev_t *device, ino_t *inode, struct error *err);

/* http_route.c. Both return 0, or the HTTP status of the answer they made with
 * http_request_fail. */
int http_request_parse(struct http_request *request);
int http_request_route(struct http_request *request, const char *method);

/* Whatever is under way for a request, it is freed only after that. */
static inline bool http_request_is_free(const struct http_request *request)
{
	return !request->connection && !request->owed && !request->writing.busy;
}

/* http_body.c. http_body_begin judges what the headers announce, false: it is too large to be read
 * at all; http_body_add takes a piece, false: cut the client off; http_body_end completes it.
 * Failures are kept with http_request_fail. */
bool http_body_begin(struct http_request *request);
bool http_body_add(struct http_request *request, const char *data, size_t length);
void http_body_end(struct http_request *request);
void http_body_finish(struct http_request *request);

/* http_request.c. */
void *http_request_create(void *server, const char *uri, struct MHD_Connection *connection);
enum MHD_Result http_request_access(void *server, struct MHD_Connection *connection,
	const char *url, const char *method, const char *version, const char *data,
	size_t *data_length, void **request);
void http_request_completed(void *server, struct MHD_Connection *connection, void **request,
	enum MHD_RequestTerminationCode code);
/* Prepares an error answer that is sent once the body has been read (and thrown away). */
void http_request_fail(struct http_request *request, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Takes over `response`; sends it now or wakes the connection up for it. */
void http_request_answer(struct http_request *request, int status, struct MHD_Response *response);
void http_request_suspend(struct http_request *request);
void http_request_resume(struct http_request *request);
/* Ends the connection without (more of) an answer, in a later turn. */
void http_request_cut(struct http_request *request);
/* What was under way for it is over: frees it where nothing is left of it, and the connection too is
 * gone. True: it is freed. */
bool http_request_reap(struct http_request *request);

/* http_stream.c: the connection of the stream is gone; tells its owner and releases it. */
void http_stream_lost(struct http_stream *stream);

#endif
