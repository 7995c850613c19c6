/* SPDX-License-Identifier: ISC */
#include "summonctl/command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "summonctl/table.h"

CLEANUP_DEFINE(json_decref, json_t *, json_decref)

/* --- streams --- */

static int stream(struct context *context, const char *path,
	bool (*event)(void *ctx, const char *name, const json_t *data))
{
	struct client_reply reply;
	struct error err = ERROR_INIT;
	int rc = client_stream(context->client, path, event, context, &reply, &err);
	int code = EXIT_OK;
	if (rc == -ECONNREFUSED) {
		code = fail_unreachable(context, &err);
	} else if (reply.status >= 400) {
		code = say_error(reply.status, reply.body);
	} else if (rc < 0) {
		fail("the stream has ended: %s", err.message);
		code = EXIT_UNREACHABLE;
	}
	client_reply_finish(&reply);
	return code;
}

/* A guest's words must not move the terminal's cursor. */
static void print_output(const char *text, size_t length)
{
	bool terminal = isatty(STDOUT_FILENO);
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];
		bool control = (c < ' ' && c != '\n' && c != '\t' && c != '\r') || c == 0x7f;
		putchar(terminal && control ? '?' : c);
	}
	fflush(stdout);
}

static bool on_output(void *ctx, const char *name, const json_t *data)
{
	const struct context *context = ctx;
	const json_t *text = json_object_get(data, "text");
	if (strcmp(name, "output") != 0 || !json_is_string(text))
		return true;
	if (context->json) {
		json_dumpf(data, stdout, JSON_COMPACT);
		putchar('\n');
		fflush(stdout);
	} else {
		print_output(json_string_value(text), json_string_length(text));
	}
	return !ferror(stdout);
}

int run_logs(struct context *context, const struct arguments *arguments)
{
	CLEANUP(free) char *name = client_escape(context->client, arguments->words[0]);
	CLEANUP(free) char *path = NULL;
	bool follow = option_value(arguments, "follow") != NULL;
	if (!name || asprintf(&path, "/v1/services/%s/log%s", name, follow ? "?follow=1" : "") < 0)
		return fail("no memory");
	if (follow)
		return stream(context, path, on_output);
	struct client_reply reply;
	struct error err = ERROR_INIT;
	int rc = client_call(context->client, "GET", path, NULL, &reply, &err), code = EXIT_OK;
	if (rc < 0)
		return fail_unreachable(context, &err);
	if (reply.status >= 400) {
		code = say_error(reply.status, reply.body);
	} else if (context->json) {
		CLEANUP(json_decref)
		json_t *text =
			json_pack("{s:s%}", "text", reply.text ? reply.text : "", reply.length);
		print_json(context, text);
	} else {
		print_output(reply.text, reply.length);
	}
	client_reply_finish(&reply);
	return code;
}

/* "12:34:56.789" of an RFC 3339 time. */
static const char *time_of_day(const char *time, char text[16])
{
	const char *t = strchr(time, 'T');
	snprintf(text, 16, "%.12s", t ? t + 1 : time);
	return text;
}

static void print_event(const char *name, const json_t *data)
{
	char time[16], elapsed[WHEN_TEXT];
	if (strcmp(name, "transition") == 0) {
		printf("%s  %s: %s -> %s (%s", time_of_day(text_of(data, "at"), time),
			text_of(data, "service"), text_of(data, "from"), text_of(data, "to"),
			text_of(data, "event"));
		if (number_of(data, "summon"))
			printf(", summon %" PRIu64, number_of(data, "summon"));
		puts(")");
	} else if (strcmp(name, "summon") == 0) {
		const char *detail = text_of(data, "detail");
		printf("%s  %s: summon %" PRIu64 " %s after %s%s%s\n",
			time_of_day(text_of(data, "started"), time), text_of(data, "service"),
			number_of(data, "id"), text_of(data, "outcome"),
			print_elapsed(number_of(data, "elapsed_ns"), elapsed), *detail ? ": " : "",
			detail);
	} else if (strcmp(name, "service") == 0) {
		printf("%-12s  %s: %s\n", "", text_of(data, "name"), text_of(data, "change"));
	}
}

static bool on_event(void *ctx, const char *name, const json_t *data)
{
	const struct context *context = ctx;
	if (context->json) {
		CLEANUP(json_decref)
		json_t *line = json_pack("{s:s, s:O}", "event", name, "data", data);
		json_dumpf(line, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		print_event(name, data);
	}
	fflush(stdout);
	return !ferror(stdout);
}

int run_watch(struct context *context, const struct arguments *arguments)
{
	(void)arguments;
	return stream(context, "/v1/events", on_event);
}

/* --- summons --- */

static int get_summons(
	struct context *context, const char *service, uint64_t limit, json_t **answer)
{
	char path[64];
	snprintf(path, sizeof(path), "/v1/summons?limit=%" PRIu64 "%s", limit,
		service ? "&service={}" : "");
	return call(context, "GET", path, service, NULL, answer);
}

int run_summons(struct context *context, const struct arguments *arguments)
{
	uint64_t limit = 20;
	struct error err = ERROR_INIT;
	const char *given = option_value(arguments, "limit");
	if (given && number_parse(given, 1, 1000, &limit, &err) < 0)
		return fail_usage("--limit: %s", err.message);
	CLEANUP(json_decref) json_t *answer = NULL;
	int rc =
		get_summons(context, arguments->count ? arguments->words[0] : NULL, limit, &answer);
	if (rc != EXIT_OK || print_json(context, answer))
		return rc;
	struct table *table = table_create(8);
	table_row(table, "SUMMON", "SERVICE", "STARTED", "CAUSE", "OUTCOME", "TIME", "WAITERS",
		"DETAIL");
	size_t i;
	const json_t *summon;
	json_array_foreach(json_object_get(answer, "summons"), i, summon)
	{
		char id[24], waiters[24], elapsed[WHEN_TEXT];
		snprintf(id, sizeof(id), "%" PRIu64, number_of(summon, "id"));
		snprintf(waiters, sizeof(waiters), "%" PRIu64, number_of(summon, "waiters"));
		table_row(table, id, text_of(summon, "service"), text_of(summon, "started"),
			text_of(summon, "cause"), text_of(summon, "outcome"),
			print_elapsed(number_of(summon, "elapsed_ns"), elapsed), waiters,
			text_of(summon, "detail"));
	}
	return table_print(table, stdout) < 0 ? fail("no memory") : EXIT_OK;
}

/* --- timeline --- */

#define BAR_WIDTH 40

/* Where between the beginning and the end of the summon the time up to this stage was spent. */
static void draw_bar(uint64_t from, uint64_t to, uint64_t whole, char bar[BAR_WIDTH + 1])
{
	size_t begin = whole ? (size_t)((double)from / (double)whole * BAR_WIDTH) : 0;
	size_t end = whole ? (size_t)((double)to / (double)whole * BAR_WIDTH + 0.5) : 0;
	if (begin >= BAR_WIDTH)
		begin = BAR_WIDTH - 1;
	if (end > BAR_WIDTH)
		end = BAR_WIDTH;
	if (end <= begin)
		end = begin + 1;
	memset(bar, '.', begin);
	memset(bar + begin, '#', end - begin);
	bar[end] = '\0';
}

static int print_timeline(const json_t *summon)
{
	char elapsed[WHEN_TEXT];
	const char *detail = text_of(summon, "detail");
	printf("summon %" PRIu64 " of %s: %s, %s after %s%s%s\n\n", number_of(summon, "id"),
		text_of(summon, "service"), text_of(summon, "cause"), text_of(summon, "outcome"),
		print_elapsed(number_of(summon, "elapsed_ns"), elapsed), *detail ? ": " : "",
		detail);
	const json_t *stages = json_object_get(summon, "stages"), *stage;
	uint64_t before = 0, whole = number_of(summon, "elapsed_ns");
	size_t i;
	json_array_foreach(stages, i, stage) if (number_of(stage, "at_ns") >
						 whole) /* e.g. the first byte, after the answer */
		whole = number_of(stage, "at_ns");
	struct table *table = table_create(4);
	table_row(table, "STAGE", "AT (ms)", "+ (ms)", "TIME");
	json_array_foreach(stages, i, stage)
	{
		uint64_t at = number_of(stage, "at_ns");
		char at_text[32], delta_text[32], bar[BAR_WIDTH + 1];
		if (at < before)
			before = at;
		snprintf(at_text, sizeof(at_text), "%10.3f", (double)at / (double)NS_PER_MS);
		snprintf(delta_text, sizeof(delta_text), "%10.3f",
			(double)(at - before) / (double)NS_PER_MS);
		draw_bar(before, at, whole, bar);
		table_row(table, text_of(stage, "name"), at_text, delta_text, bar);
		before = at;
	}
	return table_print(table, stdout) < 0 ? fail("no memory") : EXIT_OK;
}

int run_timeline(struct context *context, const struct arguments *arguments)
{
	const char *word = arguments->count ? arguments->words[0] : NULL;
	char id[24];
	CLEANUP(json_decref) json_t *summons = NULL, *answer = NULL;
	if (!word || strspn(word, "0123456789") != strlen(word)) {
		int rc = get_summons(context, word, 1, &summons);
		if (rc != EXIT_OK)
			return rc;
		const json_t *newest = json_array_get(json_object_get(summons, "summons"), 0);
		if (!newest) {
			fail("%s%snothing was summoned yet", word ? word : "", word ? ": " : "");
			return EXIT_NOT_FOUND;
		}
		snprintf(id, sizeof(id), "%" PRIu64, number_of(newest, "id"));
		word = id;
	}
	int rc = call(context, "GET", "/v1/summons/{}", word, NULL, &answer);
	if (rc != EXIT_OK || print_json(context, answer))
		return rc;
	return print_timeline(answer);
}
