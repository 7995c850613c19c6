/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "guest-kernel/apps/http.h"

/* In memory of just its size, so that a sanitizer sees a step beyond it. */
static int parse(const char *text, size_t size, struct http_request *out, size_t *used)
{
	char *exact = malloc(size ? size : 1);
	memcpy(exact, text, size);
	int status = http_parse(exact, size, out, used);
	free(exact);
	return status;
}

static void a_full_request(void **state)
{
	(void)state;
	static const char text[] = "GET /a%20b/c.html?x=/../ HTTP/1.1\r\nHost: example\r\n"
				   "If-None-Match: \"tag\"  \r\n\r\nGET";
	struct http_request r;
	size_t used;
	assert_int_equal(parse(text, sizeof(text) - 1, &r, &used), 200);
	assert_int_equal(used, sizeof(text) - 1 - 3);
	assert_int_equal(r.method, HTTP_GET);
	assert_string_equal(r.path, "/a b/c.html");
	assert_string_equal(r.if_none_match, "\"tag\"");
	assert_true(r.keep_alive);
	assert_false(r.has_body);
	/* Each shorter piece is the start of it, and nothing else. */
	for (size_t size = 0; size < used; size++)
		assert_int_equal(parse(text, size, &r, &used), 0);
}

static void statuses(void **state)
{
	(void)state;
	static const struct {
		int status;
		const char *text;
	} cases[] = {
		{200, "GET / HTTP/1.0\r\n\r\n"},
		{200, "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"},
		{200, "GET http://example/x HTTP/1.1\r\nHost: x\r\n\r\n"},
		{200, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"},
		{200, "GET /..a/b..c/... HTTP/1.0\r\n\r\n"},
		{505, "GET / HTTP/2.0\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n"},
		{400, "GET / HTTP/1.0\n\n"},
		{400, "GET /\r\n\r\n"},
		{400, "GET  / HTTP/1.0\r\n\r\n"},
		{400, " GET / HTTP/1.0\r\n\r\n"},
		{400, "GET / http/1.0\r\n\r\n"},
		{400, "GET / HTTP/1.x\r\n\r\n"},
		{400, "GET x HTTP/1.0\r\n\r\n"},
		{400, "GET /../x HTTP/1.0\r\n\r\n"},
		{400, "GET /a/.. HTTP/1.0\r\n\r\n"},
		{400, "GET /%2e%2E/x HTTP/1.0\r\n\r\n"},
		{400, "GET /./x HTTP/1.0\r\n\r\n"},
		{400, "GET /%00 HTTP/1.0\r\n\r\n"},
		{400, "GET /%4 HTTP/1.0\r\n\r\n"},
		{400, "GET /%zz HTTP/1.0\r\n\r\n"},
		{400, "GET / HTTP/1.0\r\nName : x\r\n\r\n"},
		{400, "GET / HTTP/1.0\r\n folded\r\n\r\n"},
		{400, "GET / HTTP/1.0\r\nno colon\r\n\r\n"},
		{400, "GET / HTTP/1.0\r\nA: b\rc\r\n\r\n"},
		{400, "GET / HTTP/1.0\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"},
		{400, "GET / HTTP/1.0\r\nContent-Length: 1\r\nTransfer-Encoding: x\r\n\r\n"},
		{400, "GET / HTTP/1.0\r\nContent-Length: -1\r\n\r\n"},
		{400, "GET / HTTP/1.0\r\nContent-Length:\r\n\r\n"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct http_request r;
		size_t used;
		int status = parse(cases[i].text, strlen(cases[i].text), &r, &used);
		if (status != cases[i].status)
			fail_msg("%s: %d, not %d", cases[i].text, status, cases[i].status);
	}
}

static void keeping_alive(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool keep_alive, has_body;
	} cases[] = {
		{"GET / HTTP/1.1\r\nHost:x\r\nConnection: Close\r\n\r\n", false, false},
		{"GET / HTTP/1.1\r\nHost:x\r\nConnection: te, close\r\n\r\n", false, false},
		{"GET / HTTP/1.0\r\n\r\n", false, false},
		{"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true, false},
		{"PUT / HTTP/1.1\r\nHost:x\r\nContent-Length: 10\r\n\r\n", false, true},
		{"PUT / HTTP/1.1\r\nHost:x\r\nContent-Length: 0\r\n\r\n", true, false},
		{"PUT / HTTP/1.1\r\nHost:x\r\nTransfer-Encoding: chunked\r\n\r\n", false, true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct http_request r;
		size_t used;
		assert_int_equal(parse(cases[i].text, strlen(cases[i].text), &r, &used), 200);
		assert_int_equal(r.keep_alive, cases[i].keep_alive);
		assert_int_equal(r.has_body, cases[i].has_body);
	}
}

static void limits(void **state)
{
	(void)state;
	char text[HTTP_HEAD_MAX + 1];
	struct http_request r;
	size_t used;
	memset(text, 'x', sizeof(text));
	assert_int_equal(parse(text, HTTP_LINE_MAX, &r, &used), 0);
	assert_int_equal(parse(text, HTTP_LINE_MAX + 1, &r, &used), 414);
	memcpy(text, "GET / HTTP/1.0\r\nA:", 18);
	assert_int_equal(parse(text, HTTP_HEAD_MAX - 1, &r, &used), 0);
	assert_int_equal(parse(text, HTTP_HEAD_MAX, &r, &used), 431);
	/* The end of the head comes one byte too late. */
	memcpy(text + HTTP_HEAD_MAX - 3, "\r\n\r\n", 4);
	assert_int_equal(parse(text, HTTP_HEAD_MAX + 1, &r, &used), 431);
	memset(text, 'x', sizeof(text));
	memcpy(text, "GET /", 5);
	memcpy(text + HTTP_LINE_MAX - 10, " HTTP/1.0\r\n\r\n", 13);
	assert_int_equal(parse(text, HTTP_LINE_MAX + 3, &r, &used), 200);
	assert_int_equal(strlen(r.path), HTTP_LINE_MAX - 14);
}

static void small_things(void **state)
{
	(void)state;
	char text[64];
	assert_string_equal(http_date(784111777, text), "Sun, 06 Nov 1994 08:49:37 GMT");
	assert_string_equal(http_date(UINT64_MAX, text), "Fri, 31 Dec 9999 23:59:59 GMT");
	assert_true(http_encode_path("/a b/\xc3\xa4?", text, sizeof(text)));
	assert_string_equal(text, "/a%20b/%C3%A4%3F");
	assert_false(http_encode_path("/aaaaaaaa", text, 8));
	assert_true(http_tag_matches("*", "\"a\""));
	assert_true(http_tag_matches("W/\"b\", \"a\"", "\"a\""));
	assert_false(http_tag_matches("\"ab\"", "\"a\""));
	assert_string_equal(http_reason(404), "Not Found");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_request),
		cmocka_unit_test(statuses),
		cmocka_unit_test(keeping_alive),
		cmocka_unit_test(limits),
		cmocka_unit_test(small_things),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
