/* SPDX-License-Identifier: ISC */
#include "tests/unit/http_fixture.h"

static int open_stream(struct fixture *f)
{
	int fd = client_open(f);
	static const char events[] = "GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n";
	client_send(f, fd, events, sizeof(events) - 1);
	while (!f->stream)
		turn(f);
	return fd;
}

static void streams(void **state)
{
	struct fixture *f = *state;
	int fd = open_stream(f);
	struct text text;
	read_until(f, fd, &text, "\r\n\r\n");
	assert_non_null(strstr(text.bytes, "Content-Type: text/event-stream"));
	json_t *data = json_pack("{s:s}", "line", "a\nb");
	http_stream_event(f->stream, "output", data);
	read_until(f, fd, &text, "event: output\ndata: {\"line\":\"a\\nb\"}\n\n");
	for (int i = 0; i < 100; i++)
		http_stream_event(f->stream, "output", data);
	json_decref(data);
	data = json_string("last");
	http_stream_event(f->stream, "end", data);
	json_decref(data);
	http_stream_end(f->stream);
	f->stream = NULL;
	read_until(f, fd, &text, "\r\n0\r\n\r\n");
	assert_non_null(strstr(text.bytes, "event: end\ndata: \"last\"\n\n"));
	close(fd);
	assert_int_equal(f->streams_closed, 0);
}

static void stream_whose_client_goes(void **state)
{
	struct fixture *f = *state;
	int fd = open_stream(f);
	struct text text;
	read_until(f, fd, &text, "\r\n\r\n");
	close(fd);
	while (f->stream)
		turn(f);
	assert_int_equal(f->streams_closed, 1);
}

static void slow_reader_is_cut_off(void **state)
{
	struct fixture *f = *state;
	int fd = open_stream(f);
	char kilobyte[1025];
	memset(kilobyte, 'x', sizeof(kilobyte) - 1);
	kilobyte[1024] = '\0';
	json_t *data = json_string(kilobyte);
	for (int i = 0; i < 4096; i++) {
		http_stream_event(f->stream, "output", data);
		assert_non_null(f->stream); /* never closed from within a call */
		if (i % 64 == 0 && f->streams_closed == 0)
			uv_run(&f->loop, UV_RUN_NOWAIT);
		if (!f->stream)
			break;
	}
	json_decref(data);
	while (f->stream)
		turn(f);
	assert_int_equal(f->streams_closed, 1);
	close(fd);
	expect(f, "GET /v1/text", "", 200, "hello");
}

static void destroy_with_open_requests(void **state)
{
	struct fixture *f = *state;
	int stream = open_stream(f);
	int kept = send_keep(f);
	int idle = client_open(f);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	end_server(f);
	assert_int_equal(f->streams_closed, 1);
	struct text text = {.length = 0};
	while (client_read(kept, &text))
		turn(f);
	assert_int_equal(text.length, 0);
	http_respond(f->kept, 200, json_object());
	close(stream);
	close(kept);
	close(idle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(streams),
		TEST(stream_whose_client_goes),
		TEST(slow_reader_is_cut_off),
		TEST(destroy_with_open_requests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
