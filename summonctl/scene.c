/* SPDX-License-Identifier: ISC */
#include "summonctl/scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/config_syntax.h"
#include "base/units.h"
#include "summonctl/definition.h"

CLEANUP_DEFINE(json_decref, json_t *, json_decref)
CLEANUP_DEFINE(config_node_destroy, struct config_node *, config_node_destroy)

int scene_of_daemon(struct context *context, json_t **out)
{
	static const struct {
		const char *path, *key;
	} parts[] = {{"/v1/policies", "policies"}, {"/v1/services", "services"}};
	char now[32];
	snprintf(now, sizeof(now), "%.3f", (double)clock_real() / NS_PER_S);
	CLEANUP(json_decref) json_t *scene = json_pack("{s:s}", "as_of", now);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		CLEANUP(json_decref) json_t *answer = NULL;
		int rc = call(context, "GET", parts[i].path, NULL, NULL, &answer);
		if (rc != EXIT_OK)
			return rc;
		json_object_set(scene, parts[i].key, json_object_get(answer, parts[i].key));
	}
	*out = STEAL_POINTER(scene);
	return EXIT_OK;
}

/* --- from a file --- */

/* The index of the one of that name, or how many there are. */
static size_t find(const json_t *list, const char *name)
{
	size_t i = 0;
	while (i < json_array_size(list) && strcmp(text_of(json_array_get(list, i), "name"), name))
		i++;
	return i;
}

static void replace(json_t *list, json_t *item)
{
	size_t at = find(list, text_of(item, "name"));
	if (at < json_array_size(list))
		json_array_set_new(list, at, item);
	else
		json_array_append_new(list, item);
}

static int add_policy(json_t *scene, const struct config_node *node, const char *folder)
{
	CLEANUP(json_decref) json_t *options = json_object();
	(void)folder;
	for (const struct config_node *child = node->first; child; child = child->next) {
		if (child->kind != CONFIG_TEXT)
			return fail("%s:%u: policy %s: %s: must be one value", child->file,
				child->line, node->key, child->key);
		json_object_set_new(options, child->key, json_string(child->text));
	}
	replace(json_object_get(scene, "policies"),
		json_pack("{s:s, s:O}", "name", node->key, "options", options));
	return EXIT_OK;
}

static bool has_family(const json_t *list, bool six)
{
	size_t i;
	json_t *value;
	json_array_foreach(list, i, value)
	{
		const char *text = json_string_value(value);
		if (text && address_is_six(text) == six)
			return true;
	}
	return false;
}

/* Of each family that the definition says nothing of. */
static void keep_addresses(const json_t *before, json_t *definition)
{
	json_t *list = json_object_get(definition, "addresses"), *value;
	const bool said[] = {has_family(list, false), has_family(list, true)};
	size_t i;
	json_array_foreach(json_object_get(before, "addresses"), i, value)
	{
		const char *text = json_string_value(value);
		if (!text || said[address_is_six(text)])
			continue;
		if (!list) {
			list = json_array();
			json_object_set_new(definition, "addresses", list);
		}
		json_array_append(list, value);
	}
}

/* As `apply` would leave it: what the file does not say is the default, but for what the daemon gives
 * on its own account. */
static void put_service(json_t *list, const char *name, json_t *definition)
{
	static const char *const kept[] = {"memory", "pinned", "pinned_until"};
	const json_t *before = json_array_get(list, find(list, name));
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		json_t *value = json_object_get(before, kept[i]);
		if (value && !json_object_get(definition, kept[i]))
			json_object_set(definition, kept[i], value);
	}
	keep_addresses(before, definition);
	json_object_set_new(definition, "name", json_string(name));
	replace(list, definition);
}

static int add_service(json_t *scene, const struct config_node *node, const char *folder)
{
	CLEANUP(json_decref) json_t *definition = json_object();
	for (const struct config_node *child = node->first; child; child = child->next) {
		struct error err = ERROR_INIT;
		bool text = child->kind == CONFIG_TEXT;
		if (text && strcmp(child->key, "site") == 0)
			continue; /* what it serves makes no difference */
		if (!text || definition_set(definition, child->key, child->text, folder, &err) < 0)
			return fail("%s:%u: service %s: %s: %s", child->file, child->line,
				node->key, child->key, text ? err.message : "must be one value");
	}
	put_service(json_object_get(scene, "services"), node->key, STEAL_POINTER(definition));
	return EXIT_OK;
}

int scene_apply(json_t *scene, const char *file)
{
	static const struct {
		const char *key;
		int (*add)(json_t *scene, const struct config_node *node, const char *folder);
	} kinds[] = {{"policy", add_policy}, {"service", add_service}};
	struct error err = ERROR_INIT;
	CLEANUP(config_node_destroy) struct config_node *root = NULL;
	if (config_syntax_read(file, &root, &err) < 0)
		return fail("%s", err.message);
	const char *slash = strrchr(file, '/');
	CLEANUP(free) char *folder = slash ? strndup(file, (size_t)(slash - file) + 1) : NULL;
	int rc = apply_check_file(root);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct config_node *kind = config_node_find(root, kinds[i].key);
		for (const struct config_node *node = kind ? kind->first : NULL;
			node && rc == EXIT_OK; node = node->next)
			rc = kinds[i].add(scene, node, folder);
	}
	return rc;
}
