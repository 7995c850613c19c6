/* SPDX-License-Identifier: ISC */
#include "guest-kernel/apps/http.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* A run of bytes within the request. */
struct span {
	const char *at;
	size_t size;
};

/* What the fields have said so far. */
struct fields {
	unsigned hosts, lengths;
	bool encoded;
	struct span length;
	bool close, keep_alive;
};

static bool is_token(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool span_is(struct span s, const char *text)
{
	return s.size == strlen(text) && strncasecmp(s.at, text, s.size) == 0;
}

static struct span trim(struct span s)
{
	while (s.size && (*s.at == ' ' || *s.at == '\t'))
		s.at++, s.size--;
	while (s.size && (s.at[s.size - 1] == ' ' || s.at[s.size - 1] == '\t'))
		s.size--;
	return s;
}

static void span_copy(struct span s, char *out, size_t size)
{
	if (s.size >= size)
		return;
	memcpy(out, s.at, s.size);
	out[s.size] = '\0';
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A segment of "." or ".." has no place in a request that a client has normalised (RFC 3986,
 * 5.2.4). */
static bool has_dot_segment(const char *path)
{
	for (const char *slash = path; slash; slash = strchr(slash + 1, '/')) {
		size_t size = strcspn(slash + 1, "/");
		if ((size == 1 || size == 2) && strncmp(slash + 1, "..", size) == 0)
			return true;
	}
	return false;
}

static bool decode_path(struct span target, char out[HTTP_LINE_MAX])
{
	size_t used = 0;
	for (size_t i = 0; i < target.size && target.at[i] != '?'; i++) {
		int c = (unsigned char)target.at[i];
		if (c == '%') {
			int high = i + 2 < target.size ? hex(target.at[i + 1]) : -1;
			int low = i + 2 < target.size ? hex(target.at[i + 2]) : -1;
			if (high < 0 || low < 0)
				return false;
			c = high << 4 | low;
			i += 2;
		}
		if (c == 0 || used + 1 >= HTTP_LINE_MAX)
			return false;
		out[used++] = (char)c;
	}
	out[used] = '\0';
	return out[0] == '/' && !has_dot_segment(out);
}

/* A server must take a full URL too (RFC 9112, 3.2.2); what is left of it is the path. */
static struct span strip_authority(struct span target)
{
	if (target.size < 7 || strncasecmp(target.at, "http://", 7) != 0)
		return target;
	const char *slash = memchr(target.at + 7, '/', target.size - 7);
	if (!slash)
		return (struct span){"/", 1};
	return (struct span){slash, target.size - (size_t)(slash - target.at)};
}

static int parse_version(struct span version, struct http_request *out)
{
	if (version.size != 8 || memcmp(version.at, "HTTP/", 5) != 0 || version.at[6] != '.')
		return 400;
	if (version.at[5] != '1')
		return version.at[5] >= '0' && version.at[5] <= '9' ? 505 : 400;
	if (version.at[7] < '0' || version.at[7] > '9')
		return 400;
	out->keep_alive = version.at[7] != '0';
	return 0;
}

/* METHOD SP TARGET SP VERSION. Returns 0, or the status that refuses it. */
static int parse_request_line(struct span line, struct http_request *out)
{
	const char *end = line.at + line.size;
	const char *first = memchr(line.at, ' ', line.size);
	if (!first || first == line.at)
		return 400;
	for (const char *c = line.at; c < first; c++)
		if (!is_token(*c))
			return 400;
	struct span target = {first + 1, 0};
	while (target.at + target.size < end && target.at[target.size] > ' ' &&
		target.at[target.size] != 0x7f)
		target.size++;
	const char *second = target.at + target.size;
	if (target.size == 0 || second >= end || *second != ' ')
		return 400;
	int status = parse_version((struct span){second + 1, (size_t)(end - second - 1)}, out);
	if (status)
		return status;
	size_t method = (size_t)(first - line.at);
	out->method = method == 3 && memcmp(line.at, "GET", 3) == 0    ? HTTP_GET
		      : method == 4 && memcmp(line.at, "HEAD", 4) == 0 ? HTTP_HEAD
								       : HTTP_OTHER;
	/* Other methods may name a target of another form ("*"), and get their 405 all the same. */
	if (!decode_path(strip_authority(target), out->path) && out->method != HTTP_OTHER)
		return 400;
	return 0;
}

static void read_connection(struct span value, struct fields *fields)
{
	while (value.size) {
		const char *comma = memchr(value.at, ',', value.size);
		size_t size = comma ? (size_t)(comma - value.at) : value.size;
		struct span option = trim((struct span){value.at, size});
		fields->close |= span_is(option, "close");
		fields->keep_alive |= span_is(option, "keep-alive");
		size += comma != NULL;
		value.at += size, value.size -= size;
	}
}

static bool parse_field(struct span line, struct fields *fields, struct http_request *out)
{
	size_t size = 0;
	while (size < line.size && is_token(line.at[size]))
		size++;
	if (size == 0 || size == line.size || line.at[size] != ':')
		return false;
	struct span name = {line.at, size};
	struct span value = trim((struct span){line.at + size + 1, line.size - size - 1});
	for (size_t i = 0; i < value.size; i++)
		if (((unsigned char)value.at[i] < ' ' && value.at[i] != '\t') ||
			value.at[i] == 0x7f)
			return false;
	if (span_is(name, "host")) {
		fields->hosts++;
	} else if (span_is(name, "content-length")) {
		fields->lengths++;
		fields->length = value;
	} else if (span_is(name, "transfer-encoding")) {
		fields->encoded = true;
	} else if (span_is(name, "connection")) {
		read_connection(value, fields);
	} else if (span_is(name, "if-none-match")) {
		span_copy(value, out->if_none_match, sizeof(out->if_none_match));
	} else if (span_is(name, "if-modified-since")) {
		span_copy(value, out->if_modified_since, sizeof(out->if_modified_since));
	}
	return true;
}

/* What only makes sense once all fields are known. */
static bool conclude(const struct fields *fields, struct http_request *out)
{
	bool is_1_1 = out->keep_alive;
	if (fields->hosts > 1 || (is_1_1 && fields->hosts != 1))
		return false;
	if (fields->lengths > 1 || (fields->lengths && fields->encoded))
		return false;
	if (fields->lengths && fields->length.size == 0)
		return false;
	for (size_t i = 0; i < fields->length.size; i++) {
		if (fields->length.at[i] < '0' || fields->length.at[i] > '9')
			return false;
		out->has_body |= fields->length.at[i] != '0';
	}
	out->has_body |= fields->encoded;
	out->keep_alive = !fields->close && !out->has_body && (is_1_1 || fields->keep_alive);
	return true;
}

/* The next line of *rest, which is moved behind it; false where it is not complete. */
static bool next_line(struct span *rest, struct span *line)
{
	const char *end = memchr(rest->at, '\n', rest->size);
	if (!end)
		return false;
	*line = (struct span){rest->at, (size_t)(end - rest->at)};
	rest->size -= line->size + 1;
	rest->at = end + 1;
	return true;
}

/* Takes the CR off; false where there is none. */
static bool strip_cr(struct span *line)
{
	if (line->size == 0 || line->at[line->size - 1] != '\r')
		return false;
	line->size--;
	return true;
}

int http_parse(const char *data, size_t size, struct http_request *out, size_t *used)
{
	struct span rest = {data, size < HTTP_HEAD_MAX ? size : HTTP_HEAD_MAX}, line;
	struct fields fields = {0};
	*out = (struct http_request){0};
	/* One empty line before the request is a courtesy to old clients (RFC 9112, 2.2). */
	if (rest.size >= 2 && memcmp(rest.at, "\r\n", 2) == 0)
		rest.at += 2, rest.size -= 2;
	bool complete = next_line(&rest, &line);
	if (complete ? line.size > HTTP_LINE_MAX : rest.size > HTTP_LINE_MAX)
		return 414;
	if (!complete)
		return 0;
	int status = strip_cr(&line) ? parse_request_line(line, out) : 400;
	if (status)
		return status;
	while (next_line(&rest, &line)) {
		if (!strip_cr(&line))
			return 400;
		if (line.size == 0) {
			*used = (size_t)(rest.at - data);
			return conclude(&fields, out) ? 200 : 400;
		}
		if (!parse_field(line, &fields, out))
			return 400;
	}
	return size >= HTTP_HEAD_MAX ? 431 : 0;
}

const char *http_reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{200, "OK"},
		{301, "Moved Permanently"},
		{304, "Not Modified"},
		{400, "Bad Request"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{414, "URI Too Long"},
		{431, "Request Header Fields Too Large"},
		{505, "HTTP Version Not Supported"},
	};
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}

const char *http_date(uint64_t seconds, char out[HTTP_DATE_MAX])
{
	static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	const uint64_t year_9999 = 253402300799;
	time_t time = (time_t)(seconds < year_9999 ? seconds : year_9999);
	struct tm tm;
	gmtime_r(&time, &tm);
	snprintf(out, HTTP_DATE_MAX, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[tm.tm_wday % 7],
		(unsigned)tm.tm_mday % 100, months[tm.tm_mon % 12],
		(unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
		(unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
	return out;
}

bool http_encode_path(const char *path, char *out, size_t size)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t used = 0;
	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;
		bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
			     strchr("-._~/", c);
		if (used + 4 > size)
			return false;
		if (plain) {
			out[used++] = (char)c;
			continue;
		}
		out[used++] = '%';
		out[used++] = digits[c >> 4];
		out[used++] = digits[c & 15];
	}
	if (used >= size)
		return false;
	out[used] = '\0';
	return true;
}

bool http_tag_matches(const char *field, const char *tag)
{
	return strcmp(field, "*") == 0 || strstr(field, tag) != NULL;
}
