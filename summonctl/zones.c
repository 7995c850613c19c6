/* SPDX-License-Identifier: ISC */
#include "summonctl/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "summonctl/table.h"

CLEANUP_DEFINE(json_decref, json_t *, json_decref)

int run_zone_list(struct context *context, const struct arguments *arguments)
{
	(void)arguments;
	CLEANUP(json_decref) json_t *answer = NULL;
	int rc = call(context, "GET", "/v1/zones", NULL, NULL, &answer);
	if (rc != EXIT_OK || print_json(context, answer))
		return rc;
	struct table *table = table_create(4);
	table_row(table, "NAME", "SERIAL", "RECORDS", "KEYS");
	size_t i;
	const json_t *zone;
	json_array_foreach(json_object_get(answer, "zones"), i, zone)
	{
		char serial[24], records[24], keys[24];
		snprintf(serial, sizeof(serial), "%" PRIu64, number_of(zone, "serial"));
		snprintf(records, sizeof(records), "%" PRIu64, number_of(zone, "records"));
		snprintf(keys, sizeof(keys), "%zu", json_array_size(json_object_get(zone, "keys")));
		table_row(table, text_of(zone, "name"), serial, records, keys);
	}
	return table_print(table, stdout) < 0 ? fail("no memory") : EXIT_OK;
}

static int print_keys(const json_t *zone)
{
	struct table *table = table_create(3);
	table_row(table, "TAG", "STATE", "FOR");
	size_t i;
	const json_t *key;
	json_array_foreach(json_object_get(zone, "keys"), i, key)
	{
		char tag[24], age[WHEN_TEXT];
		snprintf(tag, sizeof(tag), "%" PRIu64, number_of(key, "tag"));
		table_row(table, tag, text_of(key, "state"), print_age(text_of(key, "since"), age));
	}
	return table_print(table, stdout) < 0 ? fail("no memory") : EXIT_OK;
}

static int get_zone(struct context *context, const char *name, json_t **out)
{
	return call(context, "GET", "/v1/zones/{}", name, NULL, out);
}

int run_key_list(struct context *context, const struct arguments *arguments)
{
	CLEANUP(json_decref) json_t *zone = NULL;
	int rc = get_zone(context, arguments->words[0], &zone);
	if (rc != EXIT_OK || print_json(context, zone))
		return rc;
	if (json_array_size(json_object_get(zone, "keys")) > 0)
		return print_keys(zone);
	printf("zone %s is not signed: summonctl key add %s\n", text_of(zone, "name"),
		text_of(zone, "name"));
	return EXIT_OK;
}

static void print_ds(const json_t *zone)
{
	size_t i;
	const json_t *key;
	json_array_foreach(json_object_get(zone, "keys"), i, key)
		printf("%s\n", text_of(key, "ds"));
}

int run_key_ds(struct context *context, const struct arguments *arguments)
{
	CLEANUP(json_decref) json_t *zone = NULL;
	int rc = get_zone(context, arguments->words[0], &zone);
	if (rc != EXIT_OK || print_json(context, zone))
		return rc;
	if (json_array_size(json_object_get(zone, "keys")) == 0)
		return fail("zone %s is not signed: it has no DS", text_of(zone, "name"));
	print_ds(zone);
	return EXIT_OK;
}

int run_key_add(struct context *context, const struct arguments *arguments)
{
	CLEANUP(json_decref) json_t *zone = NULL;
	int rc = call(context, "POST", "/v1/zones/{}/keys", arguments->words[0], NULL, &zone);
	if (rc != EXIT_OK || print_json(context, zone))
		return rc;
	print_keys(zone);
	printf("\nThe parent zone should have, from now on:\n");
	print_ds(zone);
	return EXIT_OK;
}

/* "/v1/zones/{}/keys/TAG" and what follows; false after it has said that TAG is none. */
static bool key_path(const char *tag, const char *rest, char *path, size_t size)
{
	if (!*tag || strlen(tag) > 5 || tag[strspn(tag, "0123456789")]) {
		fail_usage("'%s' is not the tag of a key: see summonctl key list", tag);
		return false;
	}
	snprintf(path, size, "/v1/zones/{}/keys/%s%s", tag, rest);
	return true;
}

int run_key_activate(struct context *context, const struct arguments *arguments)
{
	CLEANUP(json_decref) json_t *zone = NULL;
	char path[64];
	if (!key_path(arguments->words[1], "/activate", path, sizeof(path)))
		return EXIT_USAGE;
	int rc = call(context, "POST", path, arguments->words[0], NULL, &zone);
	if (rc != EXIT_OK || print_json(context, zone))
		return rc;
	return print_keys(zone);
}

int run_key_remove(struct context *context, const struct arguments *arguments)
{
	CLEANUP(json_decref) json_t *zone = NULL;
	char path[64];
	const char *rest = option_value(arguments, "unsign") ? "?unsign=true" : "";
	if (!key_path(arguments->words[1], rest, path, sizeof(path)))
		return EXIT_USAGE;
	int rc = call(context, "DELETE", path, arguments->words[0], NULL, &zone);
	if (rc != EXIT_OK || print_json(context, zone))
		return rc;
	if (json_array_size(json_object_get(zone, "keys")) > 0)
		return print_keys(zone);
	printf("zone %s is not signed any more\n", text_of(zone, "name"));
	return EXIT_OK;
}
