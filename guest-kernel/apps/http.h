/* SPDX-License-Identifier: ISC */
#ifndef APPS_HTTP_H
#define APPS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Requests of HTTP/1.1 (RFC 9112) and the text around answers. Pure functions: no allocation, no
 * I/O; their input may be anything at all. The parser is strict where laxness lets two parties read
 * one request differently: lines end in CRLF, no folding, no blank before a colon, no body that is
 * announced in two ways.
 */
#define HTTP_LINE_MAX 2048 /* of a request line; longer ones are answered with 414 */
#define HTTP_HEAD_MAX 4096 /* of request line and fields; longer ones are answered with 431 */
#define HTTP_DATE_MAX 30   /* "Sun, 06 Nov 1994 08:49:37 GMT" and NUL */

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_OTHER };

struct http_request {
	enum http_method method;
	char path[HTTP_LINE_MAX]; /* decoded, without the query; starts with a slash */
	bool keep_alive;
	bool has_body; /* which is not read: answer, then close */
	char if_none_match[128];
	char if_modified_since[HTTP_DATE_MAX + 2]; /* both "" where absent, or too long to match */
};

/* Returns 0 where the head is not complete yet, 200 with *used, the length of the head, or the
 * status (4xx, 5xx) that refuses the request, after which the connection has to end. */
int http_parse(const char *data, size_t size, struct http_request *out, size_t *used);

/* The reason phrase; "Unknown" for a status that this server never sends. */
const char *http_reason(int status);

/* RFC 9110, 5.6.7: a date as fields hold it. `seconds` since 1970. */
const char *http_date(uint64_t seconds, char out[HTTP_DATE_MAX]);

/* Writes a path with everything percent-encoded that is not plain; false where it does not fit. */
bool http_encode_path(const char *path, char *out, size_t size);

/* Whether an If-None-Match field lists this entity tag (with its quotes), or is "*". */
bool http_tag_matches(const char *field, const char *tag);

#endif
