/* SPDX-License-Identifier: ISC */
#include "summonctl/command.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "summonctl/table.h"

CLEANUP_DEFINE(json_decref, json_t *, json_decref)

/* --- status --- */

static void list_capabilities(const json_t *backend, char *text, size_t size)
{
	size_t i;
	const json_t *word;
	*text = '\0';
	json_array_foreach(json_object_get(backend, "capabilities"), i, word)
	{
		size_t length = strlen(text);
		snprintf(text + length, size - length, "%s%s", i ? ", " : " (",
			json_string_value(word));
	}
	size_t length = strlen(text);
	snprintf(text + length, size - length, "%s", length ? ")" : "");
}

static void add_counters(struct table *table, json_t *groups)
{
	const char *group, *name;
	json_t *counters, *value;
	json_object_foreach(groups, group, counters) json_object_foreach(counters, name, value)
	{
		char key[128], number[24];
		snprintf(key, sizeof(key), "%s %s", group, name);
		snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
		table_row(table, key, number);
	}
}

int run_status(struct context *context, const struct arguments *arguments)
{
	(void)arguments;
	CLEANUP(json_decref) json_t *answer = NULL;
	int rc = call(context, "GET", "/v1/status", NULL, NULL, &answer);
	if (rc != EXIT_OK || print_json(context, answer))
		return rc;
	char services[64], uptime[WHEN_TEXT], text[512], capabilities[200];
	snprintf(services, sizeof(services), "%" PRIu64 ", of which %" PRIu64 " awake",
		number_of(answer, "services"), number_of(answer, "awake"));
	uint64_t seconds = number_of(answer, "uptime_ns") / NS_PER_S;
	snprintf(uptime, sizeof(uptime), "%" PRIu64 "d %02u:%02u:%02u", seconds / 86400,
		(unsigned)(seconds / 3600 % 24), (unsigned)(seconds / 60 % 60),
		(unsigned)(seconds % 60));
	if (!json_is_true(json_object_get(answer, "serving")))
		puts("The guests of an earlier life are being looked for: names are not served "
		     "yet.");
	struct table *table = table_create(2);
	table_row(table, "version", text_of(answer, "version"));
	table_row(table, "state",
		json_is_true(json_object_get(answer, "serving")) ? "serving" : "starting");
	table_row(table, "uptime", uptime);
	table_row(table, "services", services);
	size_t i;
	const json_t *backend;
	json_array_foreach(json_object_get(answer, "backends"), i, backend)
	{
		char key[64];
		list_capabilities(backend, capabilities, sizeof(capabilities));
		snprintf(key, sizeof(key), "backend %s", text_of(backend, "name"));
		const char *failure = text_of(backend, "failure");
		snprintf(text, sizeof(text), "%s%s%s%s", *failure ? "not usable: " : "", failure,
			*failure ? "" : text_of(backend, "description"),
			*failure ? "" : capabilities);
		table_row(table, key, text);
	}
	add_counters(table, json_object_get(answer, "counters"));
	return table_print(table, stdout) < 0 ? fail("no memory") : EXIT_OK;
}

/* --- check --- */

/* Whether somebody listens on the socket: 0, or a negative errno value. */
static int probe(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	CLEANUP(close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return 0;
}

static const char *advice(int code)
{
	static const struct {
		int code;
		const char *text;
	} advices[] = {
		{-ENOENT, "summond is not running, or has another control.socket: start it, as in "
			  "`systemctl start summond`, or name its socket with --socket"},
		{-ECONNREFUSED, "summond has ended without a goodbye: start it again, as in "
				"`systemctl start summond`, and see its log for the reason"},
		{-EACCES, "you may not speak to summond: become a member of the group that "
			  "control.group names in summond.conf"},
	};
	for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
		if (advices[i].code == code)
			return advices[i].text;
	return "see summond(8)";
}

static void print_checks(const json_t *answer)
{
	struct table *table = table_create(3);
	size_t i;
	const json_t *check;
	json_array_foreach(json_object_get(answer, "checks"), i, check) table_row(
		table, text_of(check, "level"), text_of(check, "name"), text_of(check, "message"));
	if (table_print(table, stdout) < 0)
		fail("no memory");
}

static json_t *unreachable(const struct context *context, int code)
{
	char text[512];
	snprintf(text, sizeof(text), "not reachable at %s (%s): %s", context->socket,
		strerror(-code), advice(code));
	return json_pack("{s:[{s:s, s:b, s:s, s:s}]}", "checks", "name", "daemon", "ok", 0, "level",
		"error", "message", text);
}

int run_check(struct context *context, const struct arguments *arguments)
{
	(void)arguments;
	CLEANUP(json_decref) json_t *answer = NULL;
	int code = probe(context->socket), rc = EXIT_UNREACHABLE;
	if (code < 0)
		answer = unreachable(context, code);
	else
		rc = call(context, "GET", "/v1/check", NULL, NULL, &answer);
	if (!answer)
		return rc;
	if (!print_json(context, answer))
		print_checks(answer);
	size_t i;
	const json_t *check;
	json_array_foreach(json_object_get(answer, "checks"), i,
		check) if (rc == EXIT_OK && !json_is_true(json_object_get(check, "ok"))) rc =
		EXIT_FAILED;
	return rc;
}
