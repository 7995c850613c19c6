/* SPDX-License-Identifier: ISC */
#include "summonctl/command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static void say(const char *format, va_list args)
{
	fflush(stdout);
	fputs("summonctl: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

int fail_usage(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say(format, args);
	va_end(args);
	return EXIT_USAGE;
}

int fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	say(format, args);
	va_end(args);
	return EXIT_FAILED;
}

int say_error(long status, const json_t *answer)
{
	static const struct {
		long status;
		enum exit_code code;
	} codes[] = {{404, EXIT_NOT_FOUND}, {502, EXIT_SUMMON_FAILED}, {503, EXIT_SUMMON_FAILED},
		{504, EXIT_SUMMON_FAILED}};
	const char *text = json_string_value(json_object_get(answer, "error"));
	if (text)
		fail("%s", text);
	else
		fail("the daemon answered with status %ld and no reason", status);
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].status == status)
			return codes[i].code;
	return EXIT_FAILED;
}

/* "/v1/services/{}/wake" with the segment in its place; for the caller to free. */
static char *fill_path(struct client *client, const char *path, const char *segment)
{
	const char *place = strstr(path, "{}");
	if (!place)
		return strdup(path);
	CLEANUP(free) char *escaped = client_escape(client, segment);
	char *filled = NULL;
	if (!escaped ||
		asprintf(&filled, "%.*s%s%s", (int)(place - path), path, escaped, place + 2) < 0)
		return NULL;
	return filled;
}

int fail_unreachable(const struct context *context, const struct error *err)
{
	fail("the daemon is not reachable at %s (%s); `summonctl check` says what to do",
		context->socket, err->message);
	return EXIT_UNREACHABLE;
}

long call_status(struct context *context, const char *method, const char *path, const char *segment,
	json_t *body, json_t **answer)
{
	CLEANUP(free) char *filled = fill_path(context->client, path, segment);
	struct client_reply reply = {0};
	struct error err = ERROR_INIT;
	int rc = filled ? client_call(context->client, method, filled, body, &reply, &err)
			: error_set(&err, -ENOMEM, "no memory");
	json_decref(body);
	long status = rc < 0 ? 0 : reply.status;
	if (rc == -ECONNREFUSED)
		fail_unreachable(context, &err);
	else if (rc < 0)
		fail("the daemon did not answer: %s", err.message);
	if (answer)
		*answer = json_incref(reply.body);
	client_reply_finish(&reply);
	return status;
}

int call(struct context *context, const char *method, const char *path, const char *segment,
	json_t *body, json_t **answer)
{
	json_t *got = NULL;
	int rc = EXIT_OK;
	long status = call_status(context, method, path, segment, body, &got);
	if (status == 0)
		rc = EXIT_UNREACHABLE;
	else if (status >= 400)
		rc = say_error(status, got);
	else if (status != 204 && !got)
		rc = fail("the daemon's answer is no JSON");
	if (rc == EXIT_OK && answer)
		*answer = got;
	else
		json_decref(got);
	return rc;
}

bool print_json(const struct context *context, const json_t *answer)
{
	if (!context->json)
		return false;
	if (answer) {
		json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
		putchar('\n');
	}
	return true;
}

const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

uint64_t number_of(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));
	return value < 0 ? 0 : (uint64_t)value;
}
