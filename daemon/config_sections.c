/* SPDX-License-Identifier: ISC */
#include "daemon/config_internal.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/units.h"

static size_t count_children(const struct config_node *node)
{
	size_t count = 0;
	for (const struct config_node *child = node->first; child; child = child->next)
		count++;
	return count;
}

static char *copy_or_complain(struct config_loader *loader, const char *text)
{
	char *copy = config_copy(loader->loaded, text);
	if (!copy)
		config_problem(loader, NULL, NULL, "no memory");
	return copy;
}

/* A rough check, for a message with a line; the DNS part has the exact one. */
static bool is_domain_name(const char *name)
{
	size_t length = strlen(name);
	if (length == 0 || length > 254 || name[0] == '.')
		return false;
	for (size_t label = 0; *name; name++) {
		label = *name == '.' ? 0 : label + 1;
		if (*name == '.' ? name[1] == '.'
				 : !isalnum((unsigned char)*name) && *name != '-' && *name != '_')
			return false;
		if (label > 63)
			return false;
	}
	return true;
}

/* --- name servers: ns = [names], or ns "name" { address = ...; address6 = ...; } --- */

static void read_server_address(struct config_loader *loader, const struct config_node *node,
	const char *path, int family, struct ip_address *out)
{
	struct error err = ERROR_INIT;
	if (node->kind != CONFIG_TEXT)
		config_problem(loader, node, path, "must be one address");
	else if (ip_address_parse(node->text, out, &err) < 0)
		config_problem(loader, node, path, "%s", err.message);
	else if (out->family != family)
		config_problem(loader, node, path, "'%s' is not an %s address", node->text,
			family == AF_INET ? "IPv4" : "IPv6");
}

static void read_server(struct config_loader *loader, const struct config_node *node,
	const char *zone, struct dns_name_server *server)
{
	char path[400];
	const char *name = node->kind == CONFIG_TEXT ? node->text : node->key;
	snprintf(path, sizeof(path), "zone.%.100s.ns", zone);
	if (!name || node->kind == CONFIG_LIST || !is_domain_name(name)) {
		config_problem(loader, node, path,
			"a name server is a name, or a section ns \"name\" { address = ...; }");
		return;
	}
	server->name = copy_or_complain(loader, name);
	if (node->kind == CONFIG_TEXT)
		return;
	for (const struct config_node *child = node->first; child; child = child->next) {
		snprintf(path, sizeof(path), "zone.%.100s.ns.%.100s.%.60s", zone, name, child->key);
		if (strcmp(child->key, "address") == 0)
			read_server_address(loader, child, path, AF_INET, &server->address);
		else if (strcmp(child->key, "address6") == 0)
			read_server_address(loader, child, path, AF_INET6, &server->address6);
		else
			config_problem(loader, child, path,
				"unknown option: a name server has address and address6");
	}
}

static void read_servers(struct config_loader *loader, const struct config_node *node,
	const char *path, struct config_zone *zone)
{
	if (node->kind == CONFIG_TEXT) {
		config_problem(loader, node, path,
			"must be a list of names, or sections ns \"name\" { address = ...; }");
		return;
	}
	size_t count = count_children(node);
	zone->servers = config_alloc(loader->loaded, (count + 1) * sizeof(*zone->servers));
	if (!zone->servers) {
		config_problem(loader, node, path, "no memory");
		return;
	}
	for (const struct config_node *child = node->first; child; child = child->next) {
		/* ns [..] has texts, ns "name" {..} sections; ns { name = text } is neither. */
		bool fits = (node->kind == CONFIG_LIST) == (child->kind == CONFIG_TEXT);
		if (fits)
			read_server(
				loader, child, zone->origin, &zone->servers[zone->server_count++]);
		else
			config_problem(loader, child, path,
				"a name server is a name in a list, or a section ns \"name\" { "
				"address = ...; }");
	}
}

/* --- zones --- */

static void read_zone_name(
	struct config_loader *loader, const struct config_node *node, const char *path, char **out)
{
	if (node->kind != CONFIG_TEXT || !*node->text)
		config_problem(loader, node, path, "must be one name");
	else
		*out = copy_or_complain(loader, node->text);
}

static void read_seconds(struct config_loader *loader, const struct config_node *node,
	const char *path, uint32_t *out)
{
	struct error err = ERROR_INIT;
	uint64_t ns;
	if (node->kind != CONFIG_TEXT)
		config_problem(loader, node, path, "must be one duration");
	else if (duration_parse(node->text, &ns, &err) < 0)
		config_problem(loader, node, path, "%s", err.message);
	else if (ns % NS_PER_S != 0 || ns / NS_PER_S > INT32_MAX)
		config_problem(loader, node, path, "must be whole seconds, at most 24855d");
	else
		*out = (uint32_t)(ns / NS_PER_S);
}

static void read_zone_file(
	struct config_loader *loader, const struct config_node *node, const char *path, char **out)
{
	if (node->kind != CONFIG_TEXT || node->text[0] != '/')
		config_problem(loader, node, path, "must be the path of a file, from the root");
	else
		*out = copy_or_complain(loader, node->text);
}

static const char *const zone_options[] = {"primary", "mailbox", "ttl", "negative_ttl", "ns",
	"file", "allow", "deny", "transfer", "notify"};

static const char *zone_option(size_t index)
{
	return zone_options[index];
}

static void read_zone_option(
	struct config_loader *loader, const struct config_node *node, struct config_zone *zone)
{
	char path[400];
	snprintf(path, sizeof(path), "zone.%.100s.%.100s", zone->origin, node->key);
	if (strcmp(node->key, "primary") == 0) {
		read_zone_name(loader, node, path, &zone->primary);
	} else if (strcmp(node->key, "mailbox") == 0) {
		read_zone_name(loader, node, path, &zone->mailbox);
	} else if (strcmp(node->key, "ttl") == 0) {
		read_seconds(loader, node, path, &zone->ttl);
	} else if (strcmp(node->key, "negative_ttl") == 0) {
		read_seconds(loader, node, path, &zone->negative_ttl);
	} else if (strcmp(node->key, "ns") == 0) {
		read_servers(loader, node, path, zone);
	} else if (strcmp(node->key, "transfer") == 0) {
		config_read_transfer(loader, node, path, zone);
	} else if (strcmp(node->key, "notify") == 0) {
		config_read_notify(loader, node, path, zone);
	} else if (strcmp(node->key, "file") == 0) {
		read_zone_file(loader, node, path, &zone->file);
	} else if (strcmp(node->key, "allow") == 0) {
		config_read_prefixes(loader, node, path, true, &zone->allow);
	} else if (strcmp(node->key, "deny") == 0) {
		config_read_prefixes(loader, node, path, false, &zone->deny);
	} else {
		const char *nearest = config_nearest(
			node->key, zone_option, sizeof(zone_options) / sizeof(zone_options[0]));
		config_problem(loader, node, path, "unknown option: %s%s%s",
			nearest ? "did you mean "
				: "a zone has primary, mailbox, ttl, negative_ttl, ns, file, "
				  "allow, "
				  "deny, transfer and notify",
			nearest ? nearest : "", nearest ? "?" : "");
	}
}

static void read_zone(
	struct config_loader *loader, const struct config_node *node, struct config_zone *zone)
{
	char path[300];
	*zone = (struct config_zone){.ttl = 3600, .negative_ttl = 60};
	zone->origin = copy_or_complain(loader, node->key);
	if (!zone->origin)
		return;
	snprintf(path, sizeof(path), "zone.%.200s", zone->origin);
	unsigned before = loader->problems;
	if (!is_domain_name(zone->origin))
		config_problem(loader, node, path, "is not a domain name");
	for (const struct config_node *child = node->first; child; child = child->next)
		read_zone_option(loader, child, zone);
	if (zone->server_count == 0 && !zone->file && loader->problems == before)
		config_problem(loader, node, path,
			"needs a name server: ns \"ns1\" { address = ...; } or ns = "
			"[\"ns.example.org\"], or a file with NS records");
}

void config_read_zones(struct config_loader *loader, const struct config_node *root)
{
	struct config *config = &loader->loaded->config;
	const struct config_node *zones = config_node_find(root, "zone");
	if (!zones)
		return;
	config->zones =
		config_alloc(loader->loaded, (count_children(zones) + 1) * sizeof(*config->zones));
	if (zones->kind != CONFIG_SECTION || !config->zones) {
		config_problem(
			loader, zones, "zone", "must be a section: zone \"example.test\" { ... }");
		return;
	}
	for (const struct config_node *child = zones->first; child; child = child->next) {
		if (child->kind == CONFIG_SECTION)
			read_zone(loader, child, &config->zones[config->zone_count++]);
		else
			config_problem(loader, child, "zone",
				"a zone has a name: zone \"example.test\" { %s = ...; }",
				child->key);
	}
}

/* --- backends --- */

static void read_backend(struct config_loader *loader, const struct config_node *node,
	struct config_backend *backend)
{
	char path[300];
	*backend = (struct config_backend){.name = copy_or_complain(loader, node->key)};
	backend->settings = config_alloc(
		loader->loaded, (count_children(node) + 1) * sizeof(*backend->settings));
	if (!backend->name || !backend->settings)
		return;
	for (const struct config_node *child = node->first; child; child = child->next) {
		snprintf(path, sizeof(path), "backend.%.100s.%.100s", node->key, child->key);
		if (child->kind != CONFIG_TEXT)
			config_problem(loader, child, path, "must be one value");
		else
			backend->settings[backend->setting_count++] = (struct launcher_setting){
				.key = copy_or_complain(loader, child->key),
				.value = copy_or_complain(loader, child->text)};
	}
}

void config_read_backends(struct config_loader *loader, const struct config_node *root)
{
	struct config *config = &loader->loaded->config;
	const struct config_node *backends = config_node_find(root, "backend");
	if (!backends || backends->kind != CONFIG_SECTION)
		return; /* the options' walk complains */
	config->backends = config_alloc(
		loader->loaded, (count_children(backends) + 1) * sizeof(*config->backends));
	if (!config->backends) {
		config_problem(loader, backends, "backend", "no memory");
		return;
	}
	for (const struct config_node *child = backends->first; child; child = child->next)
		if (child->kind == CONFIG_SECTION)
			read_backend(loader, child, &config->backends[config->backend_count++]);
}
