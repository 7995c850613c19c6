/* SPDX-License-Identifier: ISC */
#include "rehearse/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "rehearse/when.h"

#define LINE_MAX_SIZE 1024 /* a name of 253 letters, an address and a time are far less */
#define FIELDS        4

struct trace {
	FILE *file;
	char *label;
	uint64_t line;
	uint64_t last; /* time of the event before */
	bool begun;    /* a header would have been seen */
	char text[LINE_MAX_SIZE];
};

int trace_open_file(FILE *file, const char *label, struct trace **out, struct error *err)
{
	struct trace *trace = calloc(1, sizeof(*trace));
	char *copy = strdup(label);
	if (!trace || !copy) {
		free(trace);
		free(copy);
		return error_set(err, -ENOMEM, "out of memory");
	}
	trace->file = file;
	trace->label = copy;
	*out = trace;
	return 0;
}

int trace_open(const char *path, const char *label, struct trace **out, struct error *err)
{
	FILE *file = fopen(path, "re");
	if (!file)
		return error_set(err, -errno, "%s: %s", label, strerror(errno));
	int rc = trace_open_file(file, label, out, err);
	if (rc < 0)
		fclose(file);
	return rc;
}

void trace_close(struct trace *trace)
{
	if (!trace)
		return;
	fclose(trace->file);
	free(trace->label);
	free(trace);
}

/* --- fields --- */

static const struct {
	const char *name;
	uint16_t type;
} query_types[] = {{"A", 1}, {"NS", 2}, {"CNAME", 5}, {"SOA", 6}, {"PTR", 12}, {"HINFO", 13},
	{"MX", 15}, {"TXT", 16}, {"AAAA", 28}, {"SRV", 33}, {"NAPTR", 35}, {"DS", 43},
	{"SSHFP", 44}, {"RRSIG", 46}, {"NSEC", 47}, {"DNSKEY", 48}, {"TLSA", 52}, {"CDS", 59},
	{"SVCB", 64}, {"HTTPS", 65}, {"ANY", 255}, {"CAA", 257}};

static bool read_number(const char *text, uint16_t *out)
{
	uint64_t number;
	if (number_parse(text, 0, UINT16_MAX, &number, NULL) < 0)
		return false;
	*out = (uint16_t)number;
	return true;
}

static bool read_query(const char *text, struct trace_event *out)
{
	out->kind = TRACE_QUERY;
	for (size_t i = 0; i < sizeof(query_types) / sizeof(query_types[0]); i++) {
		out->number = query_types[i].type;
		if (strcasecmp(text, query_types[i].name) == 0)
			return true;
	}
	/* RFC 3597, section 5. */
	return strncasecmp(text, "TYPE", 4) == 0 && read_number(text + 4, &out->number);
}

static int read_event(const char *text, struct trace_event *out, struct error *err)
{
	out->number = 0;
	if (strcasecmp(text, "ping") == 0) {
		out->kind = TRACE_PING;
		return 0;
	}
	if (read_query(text, out))
		return 0;
	out->kind = strncasecmp(text, "tcp/", 4) == 0 ? TRACE_TCP : TRACE_UDP;
	if ((out->kind == TRACE_TCP || strncasecmp(text, "udp/", 4) == 0) &&
		read_number(text + 4, &out->number) && out->number > 0)
		return 0;
	return error_set(err, -EINVAL,
		"'%.40s' is no event: write a type of query (A, AAAA, TYPE65), tcp/80, udp/53 or "
		"ping",
		text);
}

static int read_name(const char *text, struct trace_event *out, struct error *err)
{
	size_t length = strlen(text);
	if (length > 1 && text[length - 1] == '.')
		length--;
	if (length == 0 || length > TRACE_NAME_MAX)
		return error_set(err, -EINVAL, "a name has 1 to %d letters, as in www.example.test",
			TRACE_NAME_MAX);
	for (size_t i = 0; i < length; i++) {
		char c = text[i];
		if (c <= ' ' || c >= 0x7f)
			return error_set(err, -EINVAL,
				"a name has printable ASCII letters, as in www.example.test");
		out->name[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	out->name[length] = '\0';
	return 0;
}

/* --- lines --- */

/* Cuts off blanks, and the quotes around a field. */
static char *trim(char *text)
{
	text += strspn(text, " \t");
	size_t length = strlen(text);
	while (length > 0 && strchr(" \t\r\n", text[length - 1]))
		length--;
	text[length] = '\0';
	if (length >= 2 && text[0] == '"' && text[length - 1] == '"') {
		text[length - 1] = '\0';
		text++;
	}
	return text;
}

static int split(char *line, char *fields[FIELDS], struct error *err)
{
	size_t count = 0;
	for (char *field; (field = strsep(&line, ","));) {
		if (count == FIELDS)
			return error_set(err, -EINVAL,
				"more than %d fields: write time,event,name,source", FIELDS);
		fields[count++] = trim(field);
	}
	if (count < FIELDS)
		return error_set(err, -EINVAL, "%zu of %d fields: write time,event,name,source",
			count, FIELDS);
	return 0;
}

static int read_line(
	struct trace *trace, char *fields[FIELDS], struct trace_event *out, struct error *err)
{
	int rc = when_parse(fields[0], &out->at, err);
	if (rc >= 0)
		rc = read_event(fields[1], out, err);
	if (rc >= 0)
		rc = read_name(fields[2], out, err);
	if (rc >= 0)
		rc = ip_address_parse(fields[3], &out->source, err);
	if (rc >= 0 && out->at < trace->last)
		rc = error_set(err, -EINVAL,
			"'%.40s' is earlier than the line before: sort the lines by time",
			fields[0]);
	if (rc >= 0)
		trace->last = out->at;
	return rc;
}

/* 1: there is one, 0: the end. */
static int get_line(struct trace *trace, struct error *err)
{
	/* With this, the last NUL in the buffer is the one that fgets() has put behind the line. */
	memset(trace->text, '\n', sizeof(trace->text));
	if (!fgets(trace->text, sizeof(trace->text), trace->file))
		return ferror(trace->file) ? error_set(err, -EIO, "%s", strerror(errno)) : 0;
	trace->line++;
	size_t length = strlen(trace->text);
	if (memrchr(trace->text, '\0', sizeof(trace->text)) != trace->text + length)
		return error_set(err, -EINVAL, "has a NUL in it: write plain text");
	if (length == sizeof(trace->text) - 1 && trace->text[length - 1] != '\n')
		return error_set(
			err, -EINVAL, "is longer than %zu letters", sizeof(trace->text) - 2);
	return 1;
}

static bool is_nothing(const char *text)
{
	text += strspn(text, " \t\r\n");
	return !*text || *text == '#';
}

int trace_next(struct trace *trace, struct trace_event *out, struct error *err)
{
	char *fields[FIELDS];
	int rc = 0;
	for (;;) {
		rc = get_line(trace, err);
		if (rc <= 0)
			break;
		if (is_nothing(trace->text))
			continue;
		rc = split(trace->text, fields, err);
		bool header = rc >= 0 && !trace->begun && strcasecmp(fields[0], "time") == 0;
		trace->begun = true;
		if (header)
			continue;
		if (rc >= 0)
			rc = read_line(trace, fields, out, err);
		if (rc >= 0)
			return 1;
		break;
	}
	return rc < 0 ? error_prefix(err, rc, "%s:%" PRIu64, trace->label, trace->line) : 0;
}
