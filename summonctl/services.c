/* SPDX-License-Identifier: ISC */
#include "summonctl/command.h"
#include "summonctl/definition.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "summonctl/table.h"

CLEANUP_DEFINE(json_decref, json_t *, json_decref)

/* --- add --- */

static int read_option(json_t *definition, const char *option, const char *value)
{
	struct error err = ERROR_INIT;
	if (definition_set(definition, option, value, NULL, &err) < 0)
		return fail_usage("--%s: %s", option, err.message);
	return EXIT_OK;
}

/* All options but the site. */
static int read_options(const struct arguments *arguments, json_t *definition)
{
	const struct command_option *options = arguments->options;
	int rc = EXIT_OK;
	for (size_t i = 0; rc == EXIT_OK && options[i].name; i++)
		if (arguments->values[i] && strcmp(options[i].name, "site") != 0)
			rc = read_option(definition, options[i].name, arguments->values[i]);
	for (size_t i = 0; rc == EXIT_OK && i < arguments->more_count; i++)
		rc = read_option(definition, options[arguments->more[i].option].name,
			arguments->more[i].value);
	return rc;
}

int run_add(struct context *context, const struct arguments *arguments)
{
	struct error err = ERROR_INIT;
	const char *name = arguments->words[0], *site = option_value(arguments, "site");
	CLEANUP(json_decref) json_t *definition = json_object(), *answer = NULL;
	int rc = read_options(arguments, definition);
	if (rc != EXIT_OK)
		return rc;
	bool plain = site && json_object_size(definition) == 0;
	CLEANUP(fclose) FILE *archive = site ? site_open(site, &err) : NULL;
	if (site && !archive)
		return fail("--site: %s", err.message);
	long status = 0;
	if (!plain) {
		if (site && !json_object_get(definition, "image"))
			json_object_set_new(definition, "image", json_string("website"));
		status = call_status(context, "PUT", "/v1/services/{}", name,
			STEAL_POINTER(definition), &answer);
		if (status == 0 || status >= 400)
			return status ? say_error(status, answer) : EXIT_UNREACHABLE;
	}
	if (site) {
		json_decref(STEAL_POINTER(answer));
		long uploaded = 0;
		rc = site_upload(context, name, archive, &uploaded, &answer);
		if (rc != EXIT_OK || uploaded >= 400)
			return rc != EXIT_OK ? rc : say_error(uploaded, answer);
		status = status ? status : uploaded;
	}
	if (print_json(context, answer))
		return EXIT_OK;
	printf("%s %s", status == 201 ? "added" : "changed", text_of(answer, "name"));
	size_t i;
	const json_t *address;
	json_array_foreach(json_object_get(answer, "addresses"), i, address)
		printf("%s%s", i ? ", " : " at ", json_string_value(address));
	putchar('\n');
	return EXIT_OK;
}

int run_set(struct context *context, const struct arguments *arguments)
{
	CLEANUP(json_decref) json_t *definition = json_object(), *answer = NULL;
	int rc = read_options(arguments, definition);
	if (rc != EXIT_OK)
		return rc;
	if (json_object_size(definition) == 0)
		return fail_usage("what is to change? See summonctl set --help");
	rc = call(context, "PATCH", "/v1/services/{}", arguments->words[0],
		STEAL_POINTER(definition), &answer);
	if (rc == EXIT_OK && !print_json(context, answer))
		printf("changed %s\n", text_of(answer, "name"));
	return rc;
}

/* --- list, show --- */

/* The first, and how many more there are of that family. */
static const char *print_address(const json_t *service, char text[64])
{
	const char *ipv4 = text_of(service, "ipv4");
	const char *first = *ipv4 ? ipv4 : text_of(service, "ipv6");
	size_t more = 0, i;
	const json_t *address;
	json_array_foreach(json_object_get(service, "addresses"), i, address)
	{
		const char *other = json_string_value(address);
		more += other && !strchr(other, ':') == !strchr(first, ':') &&
			strcmp(other, first) != 0;
	}
	if (more > 0)
		snprintf(text, 64, "%s +%zu", first, more);
	else
		snprintf(text, 64, "%s", first);
	return text;
}

static void add_service(struct table *table, const char *name, const json_t *service)
{
	char age[WHEN_TEXT], state[64], address[64];
	snprintf(state, sizeof(state), "%s%s", text_of(service, "state"),
		json_is_true(json_object_get(service, "pinned")) ? ", pinned" : "");
	table_row(table, name, state, print_age(text_of(service, "since"), age),
		print_address(service, address), text_of(service, "backend"),
		text_of(service, "policy"));
}

/* Its further machines, under it. */
static void add_machines(struct table *table, const json_t *service)
{
	size_t i;
	const json_t *machine;
	json_array_foreach(json_object_get(service, "machines"), i, machine)
	{
		char name[16];
		const char *mark = strchr(text_of(machine, "name"), '#');
		snprintf(name, sizeof(name), "  %.12s", mark ? mark : "");
		add_service(table, name, machine);
	}
}

int run_list(struct context *context, const struct arguments *arguments)
{
	CLEANUP(json_decref) json_t *answer = NULL;
	int rc = call(context, "GET", "/v1/services", NULL, NULL, &answer);
	if (rc != EXIT_OK || print_json(context, answer))
		return rc;
	bool names = option_value(arguments, "names");
	struct table *table = names ? NULL : table_create(6);
	if (!names)
		table_row(table, "NAME", "STATE", "SINCE", "ADDRESS", "BACKEND", "POLICY");
	size_t i;
	const json_t *service;
	json_array_foreach(json_object_get(answer, "services"), i, service)
	{
		if (names) {
			puts(text_of(service, "name"));
			continue;
		}
		add_service(table, text_of(service, "name"), service);
		add_machines(table, service);
	}
	if (!names && table_print(table, stdout) < 0)
		return fail("no memory");
	return EXIT_OK;
}

/* Of each machine what tells them apart; all there is of one is its own to show. */
static void add_machine_states(struct table *table, const json_t *machines)
{
	static const char *const keys[] = {"state", "client", "ipv4", "ipv6"};
	size_t i;
	const json_t *machine;
	json_array_foreach((json_t *)(uintptr_t)machines, i, machine)
	{
		char text[256] = "";
		for (size_t k = 0, used = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
			const char *value = text_of(machine, keys[k]);
			if (*value && used < sizeof(text))
				used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s%s",
					used ? ", " : "", k == 1 ? "of " : "", value);
		}
		const char *mark = strchr(text_of(machine, "name"), '#');
		table_row(table, mark ? mark : "", text);
	}
}

static void add_members(struct table *table, const char *of, const json_t *object)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		CLEANUP(free) char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
		char name[64];
		snprintf(name, sizeof(name), "%s%s%s", of, *of ? "." : "", key);
		if (json_is_object(value))
			add_members(table, name, value);
		else if (strcmp(name, "machines") == 0)
			add_machine_states(table, value);
		else
			table_row(table, name,
				json_is_string(value) ? json_string_value(value) : text);
	}
}

/* Each member on a line, in the order of the answer. */
static int print_members(const json_t *object)
{
	struct table *table = table_create(2);
	add_members(table, "", object);
	return table_print(table, stdout) < 0 ? fail("no memory") : EXIT_OK;
}

int run_show(struct context *context, const struct arguments *arguments)
{
	CLEANUP(json_decref) json_t *answer = NULL;
	int rc = call(
		context, "GET", "/v1/services/{}?figures=1", arguments->words[0], NULL, &answer);
	if (rc != EXIT_OK || print_json(context, answer))
		return rc;
	return print_members(answer);
}

int run_why(struct context *context, const struct arguments *arguments)
{
	CLEANUP(json_decref) json_t *answer = NULL;
	int rc = call(context, "GET", "/v1/services/{}", arguments->words[0], NULL, &answer);
	if (rc != EXIT_OK || print_json(context, answer))
		return rc;
	printf("%s %s.\n", text_of(answer, "name"), text_of(answer, "why"));
	size_t i;
	const json_t *machine;
	json_array_foreach(json_object_get(answer, "machines"), i, machine)
	{
		printf("%s %s.\n", text_of(machine, "name"), text_of(machine, "why"));
	}
	return EXIT_OK;
}

/* --- wake, retire, pin, unpin, remove --- */

int run_wake(struct context *context, const struct arguments *arguments)
{
	CLEANUP(json_decref) json_t *answer = NULL;
	bool wait = !option_value(arguments, "no-wait");
	const char *name = arguments->words[0];
	int rc = call(context, "POST", "/v1/services/{}/wake", name,
		json_pack("{s:b}", "wait", wait), &answer);
	if (rc != EXIT_OK || print_json(context, answer))
		return rc;
	uint64_t summon = number_of(answer, "summon");
	const json_t *elapsed = json_object_get(answer, "elapsed_ns");
	char time[WHEN_TEXT] = "";
	if (elapsed)
		print_elapsed(number_of(answer, "elapsed_ns"), time);
	const char *state = text_of(answer, "state");
	printf("%s: %s%s%s", name, *state ? state : "on its way", elapsed ? " after " : "", time);
	if (summon > 0)
		printf(" (summon %" PRIu64 ")", summon);
	putchar('\n');
	return EXIT_OK;
}

/* A call whose success needs only a word. */
static int do_and_say(struct context *context, const char *method, const char *path,
	const char *name, json_t *body, const char *word)
{
	CLEANUP(json_decref) json_t *answer = NULL;
	long status = call_status(context, method, path, name, body, &answer);
	if (status == 0)
		return EXIT_UNREACHABLE;
	if (status >= 400)
		return say_error(status, answer);
	if (!print_json(context, answer))
		printf("%s: %s\n", name, word);
	return EXIT_OK;
}

int run_retire(struct context *context, const struct arguments *arguments)
{
	const char *how = option_value(arguments, "how");
	return do_and_say(context, "POST", "/v1/services/{}/retire", arguments->words[0],
		how ? json_pack("{s:s}", "how", how) : json_object(), "is being retired");
}

int run_pin(struct context *context, const struct arguments *arguments)
{
	const char *how_long = option_value(arguments, "for");
	return do_and_say(context, "POST", "/v1/services/{}/pin", arguments->words[0],
		how_long ? json_pack("{s:s}", "for", how_long) : NULL, "is kept awake");
}

int run_unpin(struct context *context, const struct arguments *arguments)
{
	return do_and_say(context, "POST", "/v1/services/{}/unpin", arguments->words[0], NULL,
		"is left to its policy");
}

int run_remove(struct context *context, const struct arguments *arguments)
{
	return do_and_say(
		context, "DELETE", "/v1/services/{}", arguments->words[0], NULL, "removed");
}
