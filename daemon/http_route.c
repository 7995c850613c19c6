/* SPDX-License-Identifier: ISC */
#include "daemon/http_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Percent-decoding (RFC 3986 section 2.1) in place. False for a bad escape, for %00, and for what
 * is not UTF-8: such text could not be said again in JSON. */
static bool decode(char *text)
{
	char *to = text;
	for (const char *from = text; *from; from++) {
		if (*from != '%') {
			*to++ = *from;
			continue;
		}
		int high = hex_digit(from[1]);
		int low = high < 0 ? -1 : hex_digit(from[2]);
		if (low < 0 || (high == 0 && low == 0))
			return false;
		*to++ = (char)(high << 4 | low);
		from += 2;
	}
	*to = '\0';
	json_t *string = json_string(text);
	json_decref(string);
	return string != NULL;
}

static int parse_segments(struct http_request *request, char *path)
{
	if (*path != '/') {
		http_request_fail(request, 400, "the request's path does not begin with /");
		return 400;
	}
	for (char *next = path; next; request->segment_count++) {
		char *segment = next + 1;
		if (request->segment_count == HTTP_SEGMENTS) {
			http_request_fail(request, 404, "no such path: %s", request->shown);
			return 404;
		}
		next = strchr(segment, '/');
		if (next)
			*next = '\0';
		if (!decode(segment)) {
			http_request_fail(request, 400,
				"the path has a bad escape: %% stands before two hexadecimal "
				"digits, and "
				"the whole is UTF-8");
			return 400;
		}
		request->segments[request->segment_count] = segment;
	}
	return 0;
}

static int add_query(struct http_request *request, char *name)
{
	char *value = strchr(name, '=');
	if (value)
		*value++ = '\0';
	else
		value = name + strlen(name);
	for (char *c = value; *c; c++)
		if (*c == '+')
			*c = ' ';
	if (!decode(name) || (value != name && !decode(value))) {
		http_request_fail(request, 400, "the query has a bad escape");
		return 400;
	}
	if (http_query(request, name)) {
		http_request_fail(request, 400, "the query has '%s' twice", name);
		return 400;
	}
	if (request->query_count == HTTP_QUERIES) {
		http_request_fail(request, 400, "the query has more than %d parts", HTTP_QUERIES);
		return 400;
	}
	request->queries[request->query_count++] =
		(struct http_pair){.name = name, .name_length = strlen(name), .value = value};
	return 0;
}

int http_request_parse(struct http_request *request)
{
	char *query = strchr(request->uri, '?');
	if (query)
		*query++ = '\0';
	int status = parse_segments(request, request->uri);
	while (status == 0 && query && *query) {
		char *next = strchr(query, '&');
		if (next)
			*next++ = '\0';
		if (*query)
			status = add_query(request, query);
		query = next;
	}
	return status;
}

/* Whether the segments fit the pattern; fills the params then. */
static bool match(struct http_request *request, const char *pattern)
{
	request->param_count = 0;
	size_t i = 0;
	while (*pattern == '/') {
		const char *part = ++pattern;
		size_t length = strcspn(part, "/");
		pattern += length;
		if (i == request->segment_count)
			return false;
		const char *segment = request->segments[i++];
		if (part[0] != '{') {
			if (strlen(segment) != length || memcmp(segment, part, length) != 0)
				return false;
			continue;
		}
		if (!*segment)
			return false;
		request->params[request->param_count++] = (struct http_pair){
			.name = part + 1, .name_length = length - 2, .value = segment};
	}
	return i == request->segment_count;
}

static bool method_fits(const char *route, const char *method)
{
	return strcmp(route, method) == 0 ||
	       (strcmp(route, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

int http_request_route(struct http_request *request, const char *method)
{
	const struct http_server *server = request->server;
	char allow[128] = "";
	for (size_t i = 0; i < server->route_count; i++) {
		const struct http_route *route = &server->routes[i];
		if (!match(request, route->pattern))
			continue;
		if (method_fits(route->method, method)) {
			request->route = route;
			return 0;
		}
		size_t length = strlen(allow);
		snprintf(allow + length, sizeof(allow) - length, "%s%s", length ? ", " : "",
			strcmp(route->method, "GET") == 0 ? "GET, HEAD" : route->method);
	}
	if (!*allow) {
		http_request_fail(request, 404, "no such path: %s", request->shown);
		return 404;
	}
	http_request_fail(
		request, 405, "%s does not go with %s: it takes %s", method, request->shown, allow);
	if (request->response)
		MHD_add_response_header(request->response, "Allow", allow);
	return 405;
}

static const char *find(const struct http_pair *pairs, size_t count, const char *name)
{
	size_t length = strlen(name);
	for (size_t i = 0; i < count; i++)
		if (pairs[i].name_length == length && memcmp(pairs[i].name, name, length) == 0)
			return pairs[i].value;
	return NULL;
}

const char *http_param(const struct http_request *request, const char *name)
{
	return find(request->params, request->param_count, name);
}

const char *http_query(const struct http_request *request, const char *name)
{
	return find(request->queries, request->query_count, name);
}
