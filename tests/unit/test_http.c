/* SPDX-License-Identifier: ISC */
#include "tests/unit/http_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

/* In place of libc's: files are to be written by others than the thread of the loop. */
static pthread_t loop_thread;
static atomic_uint loop_writes, worker_writes, full;

ssize_t write(int fd, const void *data, size_t length)
{
	char link[64], path[256] = "";
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (readlink(link, path, sizeof(path) - 1) > 0 && strstr(path, "/" HTTP_UPLOAD_PREFIX)) {
		pthread_equal(pthread_self(), loop_thread) ? loop_writes++ : worker_writes++;
		if (full) {
			errno = ENOSPC;
			return -1;
		}
	}
	return syscall(SYS_write, fd, data, length);
}

static void paths_and_methods(void **state)
{
	struct fixture *f = *state;
	expect(f, "GET /v1/things/cake", "", 200, "{\"name\":\"cake\"}");
	expect(f, "GET /v1/things/a%2Fb%20c?q=1%2B1+x&other", "", 200,
		"{\"name\":\"a/b c\",\"q\":\"1+1 x\"}");
	expect(f, "GET /v1/text", "", 200, "\r\n\r\nhello\n");
	expect(f, "HEAD /v1/text", "", 200, "Content-Length: 6");
	expect(f, "DELETE /v1/things/cake", "", 204, "");
	static const char *const unknown[] = {"GET /", "GET /v1", "GET /v1/things",
		"GET /v1/things/", "GET /v1/things/a/b", "GET /v2/things/a", "GET /v1/text/",
		"GET //v1/text", "GET /a/b/c/d/e/f/g/h/i/j"};
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		expect(f, unknown[i], "", 404, "{\"error\":\"no such path: /");
	expect(f, "POST /v1/things/x", "", 405, "Allow: GET, HEAD, PUT, DELETE");
	expect(f, "DELETE /v1/text", "", 405,
		"{\"error\":\"DELETE does not go with /v1/text: it takes GET, HEAD\"}");
	static const char *const bad[] = {"GET /v1/things/%", "GET /v1/things/%4",
		"GET /v1/things/%zz", "GET /v1/things/a%00b", "GET /v1/things/%ff",
		"GET /v1/things/a?q=%f", "GET /v1/things/a?q=1&q=2",
		"GET /v1/things/a?a&b&c&d&e&f&g&h&i", "GET http://x/v1/text"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect(f, bad[i], "", 400, "{\"error\":\"");
}

static void json_bodies(void **state)
{
	struct fixture *f = *state;
	expect(f, "PUT /v1/things/a", "", 200, "\"body\":{}");
	expect(f, "PUT /v1/things/a", "{\"x\": [1, \"\u00e9\"]}", 200,
		"\"body\":{\"x\":[1,\"\u00e9\"]}");
	expect(f, "PUT /v1/things/a", "{\"x\": 1,\n \"y\" 2}", 400, "line 2, column 6");
	expect(f, "PUT /v1/things/a", "{\"x\": 1, \"x\": 2}", 400, "duplicate");
	expect(f, "PUT /v1/things/a", "[1]", 400, "must be one JSON object");
	expect(f, "PUT /v1/things/a", "{} {}", 400, "end of file expected");
	expect(f, "PUT /v1/things/a", "{\"x\": \"\xff\"}", 400, "not good JSON");
	expect(f, "GET /v1/text", "{}", 400, "takes no body");
	expect(f, "PUT /v1/nothing", "{}", 404, "no such path");
}

static void large_bodies(void **state)
{
	struct fixture *f = *state;
	size_t size = 3u << 20;
	char *body = malloc(size);
	assert_non_null(body);
	memset(body, ' ', size);
	body[0] = '{';
	body[(1u << 20) - 1] = '}';
	struct text text;
	exchange(f, "PUT /v1/things/a", body, 1u << 20, &text);
	assert_non_null(strstr(text.bytes, "200 OK"));

	/* Announced: refused before it is sent. */
	int fd = client_open(f);
	static const char announced[] = "PUT /v1/things/a HTTP/1.1\r\nHost: x\r\n"
					"Expect: 100-continue\r\nContent-Length: 1048577\r\n\r\n";
	client_send(f, fd, announced, sizeof(announced) - 1);
	read_to_end(f, fd, &text);
	close(fd);
	assert_non_null(strstr(text.bytes, "HTTP/1.1 413 "));
	assert_non_null(strstr(text.bytes, "{\"error\":\"the body is larger than 1MiB\"}"));

	/* Not announced: what comes is thrown away, and the answer comes at its end. */
	fd = client_open(f);
	static const char chunked[] =
		"PUT /v1/things/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
		"Transfer-Encoding: chunked\r\n\r\n100001\r\n";
	client_send(f, fd, chunked, sizeof(chunked) - 1);
	client_send(f, fd, body, 0x100001);
	client_send(f, fd, "\r\n0\r\n\r\n", 7);
	read_to_end(f, fd, &text);
	close(fd);
	assert_non_null(strstr(text.bytes, "HTTP/1.1 413 "));
	free(body);
}

static void headers_are_bounded(void **state)
{
	struct fixture *f = *state;
	static char head[100000];
	memset(head, 'a', sizeof(head));
	memcpy(head, "GET /v1/text HTTP/1.1\r\nX: ", 26);
	int fd = client_open(f);
	struct text text = {.length = 0};
	for (size_t sent = 0; sent < sizeof(head);) {
		ssize_t count = send(fd, head + sent, sizeof(head) - sent, MSG_NOSIGNAL);
		if (count < 0 && errno != EAGAIN)
			break;
		sent += count > 0 ? (size_t)count : 0;
		uv_run(&f->loop, UV_RUN_NOWAIT);
		assert_false(f->hung);
	}
	read_to_end(f, fd, &text);
	close(fd);
	assert_non_null(strstr(text.bytes, "HTTP/1.1 4"));
	assert_null(strstr(text.bytes, "hello"));
}

static void files(void **state)
{
	struct fixture *f = *state;
	char *body = malloc(MAX_FILE);
	assert_non_null(body);
	memset(body, 'x', MAX_FILE);
	struct text text;
	exchange(f, "PUT /v1/file", body, MAX_FILE, &text);
	assert_non_null(strstr(text.bytes, "201 Created"));
	assert_non_null(strstr(text.bytes, "{\"size\":3145728,"));
	expect(f, "PUT /v1/file", "", 201, "{\"size\":0,");

	exchange(f, "PUT /v1/file?keep", "cake", 4, &text);
	json_t *answer = json_loads(strstr(text.bytes, "\r\n\r\n"), 0, NULL);
	assert_non_null(answer);
	char kept[128];
	snprintf(kept, sizeof(kept), "%s.kept", json_string_value(json_object_get(answer, "path")));
	assert_int_equal(unlink(kept), 0);
	json_decref(answer);

	int fd = client_open(f);
	static const char large[] =
		"PUT /v1/file HTTP/1.1\r\nHost: x\r\nContent-Length: 3145729\r\n\r\n";
	client_send(f, fd, large, sizeof(large) - 1);
	read_until(f, fd, &text, "413 ");
	close(fd);

	/* A client that goes in the middle: teardown sees that its file is gone. */
	fd = client_open(f);
	static const char half[] =
		"PUT /v1/file HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf";
	client_send(f, fd, half, sizeof(half) - 1);
	for (int i = 0; i < 10; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
	close(fd);
	for (int i = 0; i < 10; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
	free(body);
}

static void workers_write_files(void **state)
{
	struct fixture *f = *state;
	static const char head[] = "PUT /v1/file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n";
	struct text text;
	loop_thread = pthread_self();
	loop_writes = worker_writes = 0;
	/* Many chunks in one read: each waits for the one before. */
	int fd = client_open(f);
	client_send(f, fd, head, sizeof(head) - 1);
	for (int i = 0; i < 1000; i++)
		client_send(f, fd, "3\r\nabc\r\n", 8);
	client_send(f, fd, "0\r\n\r\n", 5);
	read_to_end(f, fd, &text);
	close(fd);
	assert_non_null(strstr(text.bytes, "{\"size\":3000,"));
	assert_true(worker_writes > 0);
	assert_int_equal(loop_writes, 0);

	full = 1;
	expect(f, "PUT /v1/file", "cake", 507, "cannot write the upload to");
	full = 0;
	expect(f, "PUT /v1/file", "cake", 201, "{\"size\":4,");
}

/* A client that leaves after any byte, and one that got any byte wrong. */
static void damaged_requests(void **state)
{
	struct fixture *f = *state;
	static const char request[] = "PUT /v1/things/a%20b?q=1 HTTP/1.1\r\nHost: x\r\n"
				      "Content-Length: 10\r\n\r\n{\"a\": [1]}";
	for (size_t i = 0; i < sizeof(request) - 1; i++) {
		int fd = client_open(f);
		client_send(f, fd, request, i);
		for (int j = 0; j < 4; j++)
			uv_run(&f->loop, UV_RUN_NOWAIT);
		close(fd);
	}
	for (size_t i = 0; i < sizeof(request) - 1; i++)
		for (const char *c = "\xff\r\n %?/{\"9"; *c; c++) {
			char damaged[sizeof(request)];
			memcpy(damaged, request, sizeof(request));
			damaged[i] = *c;
			int fd = client_open(f);
			client_send(f, fd, damaged, sizeof(request) - 1);
			for (int j = 0; j < 4; j++)
				uv_run(&f->loop, UV_RUN_NOWAIT);
			close(fd);
		}
	expect(f, "GET /v1/text", "", 200, "hello");
}

static void pipelining(void **state)
{
	struct fixture *f = *state;
	int fd = client_open(f);
	static const char three[] =
		"GET /v1/things/one HTTP/1.1\r\nHost: x\r\n\r\n"
		"PUT /v1/things/two HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
		"GET /v1/things/three HTTP/1.1\r\nHost: x\r\n\r\n";
	client_send(f, fd, three, sizeof(three) - 1);
	struct text text;
	read_until(f, fd, &text, "\"three\"");
	char *one = strstr(text.bytes, "\"one\"");
	char *two = strstr(text.bytes, "\"two\"");
	assert_true(one && two && one < two && two < strstr(text.bytes, "\"three\""));
	close(fd);
}

static void later_answers(void **state)
{
	struct fixture *f = *state;
	int fd = send_keep(f);
	static const char next[] = "GET /v1/text HTTP/1.1\r\nHost: x\r\n\r\n";
	client_send(f, fd, next, sizeof(next) - 1);
	struct text text = {.length = 0};
	for (int i = 0; i < 10; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_true(client_read(fd, &text));
	assert_int_equal(text.length, 0);
	http_respond_error(f->kept, 504, "not %s", "ready");
	read_until(f, fd, &text, "hello\n");
	assert_true(strncmp(text.bytes, "HTTP/1.1 504 ", 13) == 0);
	assert_non_null(strstr(text.bytes, "{\"error\":\"not ready\"}"));
	close(fd);

	/* A client that has only ended its own sending gets its answer. */
	fd = send_keep(f);
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 10; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
	http_respond(f->kept, 200, json_pack("{s:b}", "done", 1));
	read_until(f, fd, &text, "{\"done\":true}");
	close(fd);
}

static void client_gone_before_the_answer(void **state)
{
	struct fixture *f = *state;
	int fd = send_keep(f);
	close(fd);
	for (int i = 0; i < 10; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
	http_respond(f->kept, 200, json_object());

	/* And at the same moment, unnoticed. */
	fd = send_keep(f);
	close(fd);
	http_respond(f->kept, 200, json_object());

	/* A stream that would begin after its client has gone. */
	fd = send_keep(f);
	close(fd);
	for (int i = 0; i < 10; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_null(http_stream_begin(f->kept, on_stream_closed, f));
	expect(f, "GET /v1/text", "", 200, "hello");
}

static void more_clients_than_places(void **state)
{
	struct fixture *f = *state;
	int fds[80];
	for (int i = 0; i < 80; i++) {
		fds[i] = client_open(f);
		uv_run(&f->loop, UV_RUN_NOWAIT);
	}
	for (int i = 0; i < 40; i++)
		close(fds[i]);
	static const char request[] = "GET /v1/text HTTP/1.1\r\nHost: x\r\n\r\n";
	client_send(f, fds[79], request, sizeof(request) - 1);
	struct text text;
	read_until(f, fds[79], &text, "hello");
	for (int i = 40; i < 80; i++)
		close(fds[i]);
}

static void sockets(void **state)
{
	struct fixture *f = *state;
	struct stat status;
	assert_int_equal(stat(f->socket_path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0640);

	struct http_config config = config_of(f);
	struct http_server *other = NULL;
	struct error err = ERROR_INIT;
	assert_int_equal(http_server_create(&f->loop, &config, f, &other, &err), -EADDRINUSE);
	assert_non_null(strstr(err.message, "another server is listening"));
	assert_null(other);
	config.group = "no-such-group-here";
	config.socket_path = "/tmp/test-http-other";
	assert_int_equal(http_server_create(&f->loop, &config, f, &other, &err), -ENOENT);
	assert_int_equal(access(config.socket_path, F_OK), -1);
	config.socket_path = f->dir;
	assert_int_equal(http_server_create(&f->loop, &config, f, &other, &err), -EEXIST);
	char path[200];
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	config.socket_path = path;
	assert_int_equal(http_server_create(&f->loop, &config, f, &other, &err), -ENAMETOOLONG);

	/* The rest of a server that died. */
	end_server(f);
	assert_int_equal(access(f->socket_path, F_OK), -1);
	int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, f->socket_path);
	assert_int_equal(bind(dead, (struct sockaddr *)&address, sizeof(address)), 0);
	close(dead);
	config = config_of(f);
	f->server_closed = false;
	assert_int_equal(http_server_create(&f->loop, &config, f, &f->server, &err), 0);
	expect(f, "GET /v1/text", "", 200, "hello");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(paths_and_methods),
		TEST(json_bodies),
		TEST(large_bodies),
		TEST(headers_are_bounded),
		TEST(files),
		TEST(workers_write_files),
		TEST(damaged_requests),
		TEST(pipelining),
		TEST(later_answers),
		TEST(client_gone_before_the_answer),
		TEST(more_clients_than_places),
		TEST(sockets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
