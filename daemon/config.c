/* SPDX-License-Identifier: ISC */
#include "daemon/config_internal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

CLEANUP_DEFINE(config_destroy, struct config *, config_destroy)
CLEANUP_DEFINE(config_node_destroy, struct config_node *, config_node_destroy)

/* --- memory --- */

struct config_block {
	struct config_block *next;
	_Alignas(max_align_t) char bytes[];
};

void *config_alloc(struct config_loaded *loaded, size_t size)
{
	struct config_block *block = calloc(1, sizeof(*block) + size);
	if (!block)
		return NULL;
	block->next = loaded->blocks;
	loaded->blocks = block;
	return block->bytes;
}

char *config_copy(struct config_loaded *loaded, const char *text)
{
	char *copy = config_alloc(loaded, strlen(text) + 1);
	return copy ? strcpy(copy, text) : NULL;
}

void config_destroy(struct config *config)
{
	struct config_loaded *loaded = (struct config_loaded *)config;
	while (loaded && loaded->blocks) {
		struct config_block *block = loaded->blocks;
		loaded->blocks = block->next;
		free(block);
	}
	free(loaded);
}

/* --- problems --- */

static void report(struct config_loader *loader, int code, const char *message)
{
	if (loader->problems++ == 0)
		error_set(loader->err, code, "%s", message);
	if (loader->problem && loader->problems <= CONFIG_PROBLEMS_MAX)
		loader->problem(loader->ctx, message);
}

void config_problem(struct config_loader *loader, const struct config_node *node, const char *path,
	const char *format, ...)
{
	char what[300], message[500], place[200] = "";
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (node)
		snprintf(place, sizeof(place), "%.160s:%u: ", node->file, node->line);
	snprintf(message, sizeof(message), "%s%.120s%s%s", place, path ? path : "",
		path ? ": " : "", what);
	report(loader, -EINVAL, message);
}

/* --- files --- */

static bool is_conf(const char *name)
{
	size_t length = strlen(name);
	return name[0] != '.' && length > 5 && strcmp(name + length - 5, ".conf") == 0;
}

static int select_conf(const struct dirent *entry)
{
	return is_conf(entry->d_name);
}

/* By bytes, whatever the locale is. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Joins the file into `root`; a file that cannot be read is one problem, and the others go on. */
static void read_file(struct config_loader *loader, const char *path, struct config_node *root)
{
	struct config_node *tree = NULL;
	struct error err = ERROR_INIT;
	struct stat info;
	/* A pipe would block, and a reload never end. */
	if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
		error_set(&err, -EINVAL, "%s: is no file", path);
	else
		config_syntax_read(path, &tree, &err);
	if (err.code < 0)
		report(loader, err.code, err.message);
	else
		config_node_merge(root, tree);
}

static void read_folder(
	struct config_loader *loader, const char *main_path, struct config_node *root)
{
	const char *slash = strrchr(main_path, '/');
	CLEANUP(free) char *folder = NULL;
	if (asprintf(&folder, "%.*sconf.d", slash ? (int)(slash - main_path + 1) : 0, main_path) <
		0)
		return report(loader, -ENOMEM, "no memory");
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, select_conf, by_name);
	if (count < 0 && errno != ENOENT)
		config_problem(loader, NULL, folder, "%s", strerror(errno));
	for (int i = 0; i < count; i++) {
		CLEANUP(free) char *path = NULL;
		if (asprintf(&path, "%s/%s", folder, entries[i]->d_name) >= 0)
			read_file(loader, path, root);
		free(entries[i]);
	}
	free(entries);
}

/* --- from the tree to the fields --- */

static const char *option_path(size_t index)
{
	return config_options[index].path;
}

static const struct config_node *find_path(const struct config_node *root, const char *path)
{
	char part[64];
	const struct config_node *node = root;
	while (node && *path) {
		size_t length = strcspn(path, ".");
		snprintf(part, sizeof(part), "%.*s", (int)length, path);
		node = node->kind == CONFIG_SECTION ? config_node_find(node, part) : NULL;
		path += length + (path[length] == '.');
	}
	return node;
}

/* "SUMMOND_DNS_MAX_WAITING" of "dns.max_waiting". */
static void variable_name(const char *path, char name[80])
{
	char *to = name + snprintf(name, 80, "SUMMOND_");
	for (; *path && to < name + 79; path++)
		*to++ = *path == '.' ? '_' : (char)toupper((unsigned char)*path);
	*to = '\0';
}

/* The value as one text: the parts of a list with a blank between them. NULL after a problem. */
static char *node_text(struct config_loader *loader, const struct config_option *option,
	const struct config_node *node)
{
	if (node->kind == CONFIG_TEXT)
		return config_copy(loader->loaded, node->text);
	if (node->kind == CONFIG_SECTION || !option->list) {
		config_problem(loader, node, option->path, "must be %s (%s)",
			option->list ? "a list" : "one value", option->kind);
		return NULL;
	}
	size_t size = 1;
	for (const struct config_node *item = node->first; item; item = item->next)
		size += item->kind == CONFIG_TEXT ? strlen(item->text) + 1 : 0;
	char *text = config_alloc(loader->loaded, size);
	for (const struct config_node *item = node->first; text && item; item = item->next) {
		if (item->kind != CONFIG_TEXT || strpbrk(item->text, " \t")) {
			config_problem(
				loader, item, option->path, "must be a list of single values");
			return NULL;
		}
		if (item != node->first)
			strcat(text, " ");
		strcat(text, item->text);
	}
	return text;
}

static void load_option(struct config_loader *loader, const struct config_node *root, size_t index)
{
	const struct config_option *option = &config_options[index];
	char variable[80];
	variable_name(option->path, variable);
	const char *text = getenv(variable);
	const struct config_node *node = NULL;
	struct error err = ERROR_INIT;
	if (text) {
		text = config_copy(loader->loaded, text);
	} else if ((node = find_path(root, option->path))) {
		text = node_text(loader, option, node);
		if (!text)
			return;
	} else {
		text = option->value;
	}
	loader->loaded->texts[index] = text;
	if (text && option->set(loader->loaded, option, text, &err) < 0)
		config_problem(loader, node, node || !getenv(variable) ? option->path : variable,
			"%s", err.message);
}

/* --- what nobody knows --- */

static bool is_option(const char *path)
{
	for (size_t i = 0; i < config_option_count; i++)
		if (strcmp(config_options[i].path, path) == 0)
			return true;
	return false;
}

static bool is_section(const char *path)
{
	size_t length = strlen(path);
	for (size_t i = 0; i < config_option_count; i++)
		if (strncmp(config_options[i].path, path, length) == 0 &&
			config_options[i].path[length] == '.')
			return true;
	return false;
}

static void refuse_unknown(
	struct config_loader *loader, const struct config_node *section, const char *section_path)
{
	for (const struct config_node *node = section->first; node; node = node->next) {
		char path[200];
		snprintf(path, sizeof(path), "%.80s%s%.80s", section_path, *section_path ? "." : "",
			node->key);
		bool backend = strcmp(section_path, "backend") == 0 && node->kind == CONFIG_SECTION;
		if (strchr(node->key, '.') && !backend) {
			config_problem(loader, node, node->key,
				"is not written with a dot but as a section and a key: %.*s { ... "
				"}",
				(int)strcspn(node->key, "."), node->key);
			continue;
		}
		if (strcmp(path, "zone") == 0 || strcmp(path, "tsig") == 0 || is_option(path) ||
			backend)
			continue;
		const char *nearest = config_nearest(path, option_path, config_option_count);
		if (strcmp(path, "policy") == 0 || strcmp(path, "service") == 0)
			config_problem(loader, node, path,
				"%s are not set here but with `summonctl %s` or `summonctl apply`",
				*path == 'p' ? "policies" : "services",
				*path == 'p' ? "policy set" : "add");
		else if (is_section(path) && node->kind == CONFIG_SECTION)
			refuse_unknown(loader, node, path);
		else if (is_section(path))
			config_problem(loader, node, path, "must be a section: %s { ... }", path);
		else
			config_problem(loader, node, path, "unknown option%s%s%s",
				nearest ? ": did you mean " : "", nearest ? nearest : "",
				nearest ? "?" : "");
	}
}

extern char **environ;

static void refuse_unknown_variables(struct config_loader *loader)
{
	for (char **entry = environ; *entry; entry++) {
		char name[80];
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(*entry, "="), *entry);
		/* SUMMOND_SOCKET is read by summonctl. */
		if (strncmp(name, "SUMMOND_", 8) != 0 || strcmp(name, "SUMMOND_SOCKET") == 0)
			continue;
		bool known = false;
		for (size_t i = 0; i < config_option_count && !known; i++) {
			char variable[80];
			variable_name(config_options[i].path, variable);
			known = strcmp(variable, name) == 0;
		}
		if (!known)
			config_problem(loader, NULL, name,
				"unknown variable: it is SUMMOND_ and an option's name, as in "
				"SUMMOND_DNS_LISTEN for dns.listen");
	}
}

/* --- all together --- */

static void derive(struct config_loader *loader)
{
	struct config *config = &loader->loaded->config;
	if (!config->control.socket && config->run_dir) {
		static const char name[] = "/control.sock";
		config->control.socket =
			config_alloc(loader->loaded, strlen(config->run_dir) + sizeof(name));
		if (config->control.socket)
			strcat(strcpy(config->control.socket, config->run_dir), name);
		else
			config_problem(loader, NULL, NULL, "no memory");
	}
	if (!config->network.pool.address.family)
		config->network.pool = config->network.address;
	if (!config->network.pool6.address.family)
		config->network.pool6 = config->network.address6;
	config_derive_lists(loader);
}

static void check_gateway(
	struct config_loader *loader, const char *path, const struct ip_prefix *prefix)
{
	struct ip_address first;
	if (ip_prefix_reserves(prefix, &prefix->address) ||
		(ip_prefix_nth(prefix, 0, &first) && ip_address_equal(&first, &prefix->address)))
		config_problem(loader, NULL, path,
			"is an address of the network itself: write the bridge's, as in "
			"10.77.0.1/16");
}

/* Guests elsewhere would have no way back. */
static void check_pool(struct config_loader *loader, const char *path, const struct ip_prefix *pool,
	const char *network_path, const struct ip_prefix *network)
{
	char text[IP_PREFIX_TEXT];
	if (!pool->address.family)
		return;
	if (!network->address.family)
		config_problem(loader, NULL, path, "needs %s", network_path);
	else if (pool->length < network->length || !ip_prefix_contains(network, &pool->address))
		config_problem(loader, NULL, path, "must be a part of %s, %s", network_path,
			ip_prefix_print(network, text));
}

static void check_pools(struct config_loader *loader)
{
	const struct config *config = &loader->loaded->config;
	if (!config->network.enabled || !config->network.address.address.family)
		return;
	check_pool(loader, "network.pool", &config->network.pool, "network.address",
		&config->network.address);
	check_pool(loader, "network.pool6", &config->network.pool6, "network.address6",
		&config->network.address6);
}

static void check_together(struct config_loader *loader)
{
	const struct config *config = &loader->loaded->config;
	if (config->network.enabled && !config->network.address.address.family)
		config_problem(loader, NULL, "network.address",
			"is needed unless network.enabled is false");
	if (config->network.address.address.family)
		check_gateway(loader, "network.address", &config->network.address);
	if (config->network.address6.address.family)
		check_gateway(loader, "network.address6", &config->network.address6);
	check_pools(loader);
}

int config_load(const char *path, config_problem_fn problem, void *ctx, struct config **out,
	struct error *err)
{
	struct error first = ERROR_INIT;
	struct config_loaded *loaded = calloc(1, sizeof(*loaded));
	CLEANUP(config_destroy) struct config *config = (struct config *)loaded;
	CLEANUP(config_node_destroy) struct config_node *root = NULL;
	if (!loaded || config_syntax_parse("", 0, "", &root, NULL) < 0)
		return error_set(err, -ENOMEM, "no memory");
	struct config_loader loader = {
		.loaded = loaded, .problem = problem, .ctx = ctx, .err = &first};
	if (path) {
		read_file(&loader, path, root);
		read_folder(&loader, path, root);
	}
	refuse_unknown(&loader, root, "");
	refuse_unknown_variables(&loader);
	for (size_t i = 0; i < config_option_count; i++)
		load_option(&loader, root, i);
	config_read_zones(&loader, root);
	config_read_tsig(&loader, root);
	config_read_backends(&loader, root);
	if (loader.problems == 0) {
		derive(&loader);
		check_together(&loader);
	}
	if (loader.problems > 0)
		return error_set(err, first.code, "%s", first.message);
	*out = STEAL_POINTER(config);
	return 0;
}

/* --- reload --- */

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_backends(const struct config *a, const struct config *b)
{
	if (a->backend_count != b->backend_count)
		return false;
	for (size_t i = 0; i < a->backend_count; i++) {
		const struct config_backend *x = &a->backends[i], *y = &b->backends[i];
		if (!same_text(x->name, y->name) || x->setting_count != y->setting_count)
			return false;
		for (size_t j = 0; j < x->setting_count; j++)
			if (!same_text(x->settings[j].key, y->settings[j].key) ||
				!same_text(x->settings[j].value, y->settings[j].value))
				return false;
	}
	return true;
}

int config_reloadable(const struct config *running, const struct config *next, struct error *err)
{
	const struct config_loaded *a = (const struct config_loaded *)running;
	const struct config_loaded *b = (const struct config_loaded *)next;
	for (size_t i = 0; i < config_option_count; i++)
		if (!config_options[i].reload && !same_text(a->texts[i], b->texts[i]))
			return error_set(err, -EBUSY,
				"%s has changed from '%s' to '%s', which needs a restart",
				config_options[i].path, a->texts[i] ? a->texts[i] : "",
				b->texts[i] ? b->texts[i] : "");
	if (!same_backends(running, next))
		return error_set(
			err, -EBUSY, "a backend's settings have changed, which needs a restart");
	return 0;
}
