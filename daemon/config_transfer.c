/* SPDX-License-Identifier: ISC */
#include "daemon/config_internal.h"

#include <string.h>

/* Secondaries: tsig "name" { secret = ... }, and `transfer` and `notify` of zones. */

#define DNS_PORT 53

/* One name, however it is spelled, is one key. */
static void check_others(struct config_loader *loader, const struct config_node *keys,
	const struct config_node *node, const char *path, const char *name)
{
	char other[254];
	for (const struct config_node *at = keys->first; at != node; at = at->next)
		if (dns_name_canonical(at->key, other, NULL) == 0 && strcmp(name, other) == 0)
			config_problem(loader, node, path,
				"this is the key of line %u (%s), as '%.60s': leave one of them",
				at->line, at->file, at->key);
}

static void read_key(struct config_loader *loader, const struct config_node *keys,
	const struct config_node *node, struct dns_tsig_key *key)
{
	struct error err = ERROR_INIT;
	char path[300], name[254];
	snprintf(path, sizeof(path), "tsig.%.200s", node->key);
	if (dns_name_canonical(node->key, name, &err) < 0) {
		config_problem(loader, node, path, "%s", err.message);
		return;
	}
	key->name = config_copy(loader->loaded, name);
	check_others(loader, keys, node, path, name);
	for (const struct config_node *child = node->first; child; child = child->next) {
		if (strcmp(child->key, "secret") != 0)
			config_problem(loader, child, path,
				"'%.60s' is unknown: a key has a secret, for hmac-sha256",
				child->key);
		else if (child->kind != CONFIG_TEXT)
			config_problem(
				loader, child, path, "the secret must be one text in base64");
		else if (dns_tsig_secret_parse(child->text, key, &err) < 0)
			config_problem(loader, child, path, "%s", err.message);
	}
	if (!node->first)
		config_problem(loader, node, path, "needs a secret");
}

static size_t count_children(const struct config_node *node)
{
	size_t count = 0;
	for (const struct config_node *child = node->first; child; child = child->next)
		count++;
	return count;
}

/* One whose name was bad has none. */
static bool is_named(const struct dns_tsig_key *key, const char *name)
{
	return key->name && strcmp(key->name, name) == 0;
}

/* Whether some zone names a key that is not there. */
static void check_names(struct config_loader *loader)
{
	const struct config *config = &loader->loaded->config;
	for (size_t i = 0; i < config->zone_count; i++) {
		const struct config_zone *zone = &config->zones[i];
		for (size_t k = 0; k < zone->transfer_count; k++) {
			size_t key = 0;
			while (key < config->tsig_key_count &&
				!is_named(&config->tsig_keys[key], zone->transfer[k]))
				key++;
			if (key == config->tsig_key_count)
				config_problem(loader, NULL, "zone",
					"%.100s: there is no tsig \"%.100s\" { secret = ... }",
					zone->origin, zone->transfer[k]);
		}
	}
}

void config_read_tsig(struct config_loader *loader, const struct config_node *root)
{
	struct config *config = &loader->loaded->config;
	const struct config_node *keys = config_node_find(root, "tsig");
	size_t count = keys ? count_children(keys) : 0;
	config->tsig_keys = config_alloc(loader->loaded, (count + 1) * sizeof(*config->tsig_keys));
	if (!config->tsig_keys || (keys && keys->kind != CONFIG_SECTION)) {
		config_problem(
			loader, keys, "tsig", "must be sections: tsig \"name\" { secret = ...; }");
		return;
	}
	for (const struct config_node *child = keys ? keys->first : NULL; child;
		child = child->next) {
		if (child->kind == CONFIG_SECTION)
			read_key(loader, keys, child, &config->tsig_keys[config->tsig_key_count++]);
		else
			config_problem(loader, child, "tsig",
				"a key has a name: tsig \"name\" { secret = ...; }");
	}
	check_names(loader);
}

/* A list of texts, or one text alone. Returns how many; 0 after it has said what is wrong. */
static size_t count_texts(
	struct config_loader *loader, const struct config_node *node, const char *path)
{
	bool fits = node->kind == CONFIG_LIST || node->kind == CONFIG_TEXT;
	for (const struct config_node *child = node->kind == CONFIG_LIST ? node->first : NULL;
		child; child = child->next)
		fits = fits && child->kind == CONFIG_TEXT;
	if (!fits)
		config_problem(loader, node, path, "must be a list of texts");
	return !fits ? 0 : node->kind == CONFIG_TEXT ? 1 : count_children(node);
}

static const struct config_node *first_text(const struct config_node *node)
{
	return node->kind == CONFIG_TEXT ? node : node->first;
}

void config_read_transfer(struct config_loader *loader, const struct config_node *node,
	const char *path, struct config_zone *zone)
{
	size_t count = count_texts(loader, node, path);
	const struct config_node *text = first_text(node);
	zone->transfer = config_alloc(loader->loaded, (count + 1) * sizeof(*zone->transfer));
	for (; zone->transfer && zone->transfer_count < count; text = text->next) {
		struct error err = ERROR_INIT;
		char name[254];
		if (dns_name_canonical(text->text, name, &err) < 0) {
			config_problem(loader, text, path, "%s", err.message);
			snprintf(name, sizeof(name), "%s", text->text);
		}
		zone->transfer[zone->transfer_count++] = config_copy(loader->loaded, name);
	}
}

void config_read_notify(struct config_loader *loader, const struct config_node *node,
	const char *path, struct config_zone *zone)
{
	struct error err = ERROR_INIT;
	size_t count = count_texts(loader, node, path);
	const struct config_node *text = first_text(node);
	zone->notify = config_alloc(loader->loaded, (count + 1) * sizeof(*zone->notify));
	for (; zone->notify && zone->notify_count < count; text = text->next)
		if (ip_endpoint_parse(
			    text->text, DNS_PORT, &zone->notify[zone->notify_count++], &err) < 0)
			config_problem(loader, text, path, "%s", err.message);
}
