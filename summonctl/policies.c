/* SPDX-License-Identifier: ISC */
#include "summonctl/command.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "summonctl/table.h"

CLEANUP_DEFINE(json_decref, json_t *, json_decref)

static const char *option_of(const json_t *policy, const char *option)
{
	return json_string_value(json_object_get(json_object_get(policy, "options"), option));
}

int run_policy_list(struct context *context, const struct arguments *arguments)
{
	(void)arguments;
	CLEANUP(json_decref) json_t *answer = NULL;
	int rc = call(context, "GET", "/v1/policies", NULL, NULL, &answer);
	if (rc != EXIT_OK || print_json(context, answer))
		return rc;
	struct table *table = table_create(6);
	table_row(table, "NAME", "SERVICES", "START", "READY", "IDLE AFTER", "RETIRE");
	size_t i;
	const json_t *policy;
	json_array_foreach(json_object_get(answer, "policies"), i, policy)
	{
		char services[24];
		snprintf(services, sizeof(services), "%lld",
			(long long)json_integer_value(json_object_get(policy, "services")));
		table_row(table, json_string_value(json_object_get(policy, "name")), services,
			option_of(policy, "start"), option_of(policy, "ready"),
			option_of(policy, "idle_after"), option_of(policy, "retire"));
	}
	return table_print(table, stdout) < 0 ? fail("no memory") : EXIT_OK;
}

static int print_policy(const json_t *policy)
{
	struct table *table = table_create(3);
	const char *key;
	json_t *value;
	json_object_foreach(json_object_get(policy, "options"), key, value)
		table_row(table, key, "=", json_string_value(value));
	return table_print(table, stdout) < 0 ? fail("no memory") : EXIT_OK;
}

int run_policy_show(struct context *context, const struct arguments *arguments)
{
	CLEANUP(json_decref) json_t *answer = NULL;
	int rc = call(context, "GET", "/v1/policies/{}", arguments->words[0], NULL, &answer);
	if (rc != EXIT_OK || print_json(context, answer))
		return rc;
	return print_policy(answer);
}

/* OPTION=VALUE words as an object; NULL after it has said what is wrong. */
static json_t *read_options(const struct arguments *arguments)
{
	json_t *options = json_object();
	for (size_t i = 1; i < arguments->count; i++) {
		const char *word = arguments->words[i], *equals = strchr(word, '=');
		char key[64];
		json_t *value = equals ? json_string(equals + 1) : NULL;
		if (!value || equals == word || (size_t)(equals - word) >= sizeof(key)) {
			fail_usage("'%s' is not OPTION=VALUE", word);
			json_decref(value);
			json_decref(options);
			return NULL;
		}
		snprintf(key, sizeof(key), "%.*s", (int)(equals - word), word);
		json_object_set_new(options, key, value);
	}
	return options;
}

int run_policy_set(struct context *context, const struct arguments *arguments)
{
	const char *name = arguments->words[0];
	CLEANUP(json_decref) json_t *options = read_options(arguments), *answer = NULL;
	if (!options)
		return EXIT_USAGE;
	long status = call_status(
		context, "PATCH", "/v1/policies/{}", name, json_incref(options), &answer);
	bool made = status == 404;
	if (made) {
		json_decref(STEAL_POINTER(answer));
		status = call_status(
			context, "PUT", "/v1/policies/{}", name, json_incref(options), &answer);
	}
	if (status == 0)
		return EXIT_UNREACHABLE;
	if (status >= 400)
		return say_error(status, answer);
	if (!print_json(context, answer))
		printf("%s policy %s\n", made ? "made" : "changed", name);
	return EXIT_OK;
}

int run_policy_remove(struct context *context, const struct arguments *arguments)
{
	int rc = call(context, "DELETE", "/v1/policies/{}", arguments->words[0], NULL, NULL);
	if (rc == EXIT_OK && !context->json)
		printf("removed policy %s\n", arguments->words[0]);
	return rc;
}
