/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_HTTP_FIXTURE_H
#define TESTS_UNIT_HTTP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/http.h"

/* A server with a few routes on a loop, and clients that speak raw bytes, in one thread. */

#define HANG_GUARD_MS 20000
#define MAX_FILE      (3u << 20)

struct fixture {
	uv_loop_t loop;
	struct http_server *server;
	char dir[64];
	char socket_path[96];
	struct http_request *kept; /* by keep_handler, for a later answer */
	struct http_stream *stream;
	int streams_closed;
	bool server_closed;
	bool hung;
	uv_timer_t guard;
};

/* --- the server's side --- */

static inline void echo_handler(void *ctx, struct http_request *request)
{
	(void)ctx;
	const char *name = http_param(request, "name");
	const char *query = http_query(request, "q");
	json_t *body = http_body(request);
	http_respond(request, 200,
		json_pack("{s:s, s:s*, s:O*}", "name", name ? name : "", "q", query, "body", body));
}

static inline void text_handler(void *ctx, struct http_request *request)
{
	(void)ctx;
	http_respond_text(request, "text/plain", strdup("hello\n"), 6);
}

static inline void empty_handler(void *ctx, struct http_request *request)
{
	(void)ctx;
	http_respond(request, 204, NULL);
}

static inline void keep_handler(void *ctx, struct http_request *request)
{
	struct fixture *f = ctx;
	f->kept = request;
}

static inline void file_handler(void *ctx, struct http_request *request)
{
	(void)ctx;
	struct stat status = {0};
	stat(http_body_file(request), &status);
	if (http_query(request, "keep")) {
		char kept[128];
		snprintf(kept, sizeof(kept), "%s.kept", http_body_file(request));
		rename(http_body_file(request), kept);
	}
	http_respond(request, 201,
		json_pack("{s:I, s:s}", "size", (json_int_t)status.st_size, "path",
			http_body_file(request)));
}

static inline void on_stream_closed(void *ctx, struct http_stream *stream)
{
	struct fixture *f = ctx;
	assert_ptr_equal(stream, f->stream);
	f->stream = NULL;
	f->streams_closed++;
}

static inline void stream_handler(void *ctx, struct http_request *request)
{
	struct fixture *f = ctx;
	f->stream = http_stream_begin(request, on_stream_closed, f);
}

static const struct http_route routes[] = {
	{"GET", "/v1/things/{name}", HTTP_BODY_NONE, echo_handler},
	{"PUT", "/v1/things/{name}", HTTP_BODY_JSON, echo_handler},
	{"DELETE", "/v1/things/{name}", HTTP_BODY_NONE, empty_handler},
	{"GET", "/v1/text", HTTP_BODY_NONE, text_handler},
	{"POST", "/v1/keep", HTTP_BODY_JSON, keep_handler},
	{"PUT", "/v1/file", HTTP_BODY_FILE, file_handler},
	{"GET", "/v1/events", HTTP_BODY_NONE, stream_handler},
};

static inline struct http_config config_of(const struct fixture *f)
{
	return (struct http_config){.socket_path = f->socket_path,
		.mode = 0640,
		.routes = routes,
		.route_count = sizeof(routes) / sizeof(routes[0]),
		.max_file = MAX_FILE,
		.file_dir = f->dir};
}

static inline void on_guard(uv_timer_t *timer)
{
	((struct fixture *)timer->data)->hung = true;
}

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	*state = f;
	strcpy(f->dir, "/tmp/test-http-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->socket_path, sizeof(f->socket_path), "%s/socket", f->dir);
	uv_loop_init(&f->loop);
	uv_timer_init(&f->loop, &f->guard);
	f->guard.data = f;
	uv_timer_start(&f->guard, on_guard, HANG_GUARD_MS, 0);
	struct http_config config = config_of(f);
	struct error err = ERROR_INIT;
	if (http_server_create(&f->loop, &config, f, &f->server, &err) < 0)
		fail_msg("%s", err.message);
	return 0;
}

static inline void on_server_closed(void *ctx)
{
	((struct fixture *)ctx)->server_closed = true;
}

static inline void turn(struct fixture *f)
{
	uv_run(&f->loop, UV_RUN_ONCE);
	assert_false(f->hung);
}

static inline void end_server(struct fixture *f)
{
	http_server_destroy(f->server, on_server_closed, f);
	f->server = NULL;
	assert_false(f->server_closed);
	while (!f->server_closed)
		turn(f);
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;
	if (f->server)
		end_server(f);
	uv_close((uv_handle_t *)&f->guard, NULL);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	/* Empty: no temporary file and no socket was left behind. */
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

/* --- the client's side: raw bytes --- */

static inline int client_open(const struct fixture *f)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, f->socket_path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

/* Blocks in the loop's turns only while there is something for it to do or to time out. */
static inline void client_send(struct fixture *f, int fd, const char *data, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
		if (sent < 0) {
			assert_int_equal(errno, EAGAIN);
			turn(f);
			continue;
		}
		data += sent;
		length -= (size_t)sent;
	}
}

struct text {
	char bytes[65536];
	size_t length;
};

/* Reads what is there; false at the end of the connection. */
static inline bool client_read(int fd, struct text *text)
{
	for (;;) {
		assert_true(text->length < sizeof(text->bytes) - 1);
		ssize_t got = recv(
			fd, text->bytes + text->length, sizeof(text->bytes) - 1 - text->length, 0);
		if (got <= 0)
			return got < 0 && errno == EAGAIN;
		text->length += (size_t)got;
		text->bytes[text->length] = '\0';
	}
}

static inline void read_until(struct fixture *f, int fd, struct text *text, const char *needle)
{
	text->length = 0;
	text->bytes[0] = '\0';
	while (!strstr(text->bytes, needle)) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
		assert_false(f->hung);
		if (!client_read(fd, text))
			break;
	}
	if (!strstr(text->bytes, needle))
		fail_msg("'%s' is not in: %s", needle, text->bytes);
}

static inline void read_to_end(struct fixture *f, int fd, struct text *text)
{
	text->length = 0;
	text->bytes[0] = '\0';
	while (client_read(fd, text)) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
		assert_false(f->hung);
	}
}

/* One request on a connection of its own; the whole answer. */
static inline void exchange(struct fixture *f, const char *head, const char *body,
	size_t body_length, struct text *text)
{
	char request[8192];
	int fd = client_open(f);
	int length = snprintf(request, sizeof(request),
		"%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", head,
		body_length);
	client_send(f, fd, request, (size_t)length);
	client_send(f, fd, body, body_length);
	read_to_end(f, fd, text);
	close(fd);
}

static inline void expect(
	struct fixture *f, const char *head, const char *body, int status, const char *contained)
{
	struct text text;
	char first[32];
	exchange(f, head, body, strlen(body), &text);
	snprintf(first, sizeof(first), "HTTP/1.1 %d ", status);
	if (strncmp(text.bytes, first, strlen(first)) != 0 || !strstr(text.bytes, contained))
		fail_msg("%s: not %d with '%s' but: %s", head, status, contained, text.bytes);
}

static inline int send_keep(struct fixture *f)
{
	int fd = client_open(f);
	static const char keep[] = "POST /v1/keep HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
	f->kept = NULL;
	client_send(f, fd, keep, sizeof(keep) - 1);
	while (!f->kept)
		turn(f);
	return fd;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

#endif
