/* SPDX-License-Identifier: ISC */
#include "summonctl/command.h"
#include "summonctl/definition.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "base/config_syntax.h"

CLEANUP_DEFINE(json_decref, json_t *, json_decref)
CLEANUP_DEFINE(config_node_destroy, struct config_node *, config_node_destroy)

struct apply {
	struct context *context;
	char *folder; /* that relative paths begin from; NULL: the current one */
	bool dry_run;
	json_t *defaults; /* of the policies' options, once they are needed */
	json_t *changes;  /* with --json: what was said */
	unsigned changed;
};

__attribute__((format(printf, 2, 3))) static int fail_at(
	const struct config_node *node, const char *format, ...)
{
	char text[400];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return fail("%s:%u: %s", node->file, node->line, text);
}

static void told(struct apply *apply, const char *kind, const char *name, const char *change)
{
	if (strcmp(change, "unchanged") != 0)
		apply->changed++;
	if (apply->context->json)
		json_array_append_new(apply->changes,
			json_pack("{s:s, s:s, s:s}", "kind", kind, "name", name, "change", change));
	else
		printf("%s %s: %s%s\n", kind, name, apply->dry_run ? "would be " : "", change);
}

/* GET: *found is NULL where it does not exist. */
static int get(struct apply *apply, const char *path, const char *name, json_t **found)
{
	long status = call_status(apply->context, "GET", path, name, NULL, found);
	if (status == 404) {
		json_decref(*found);
		*found = NULL;
		return EXIT_OK;
	}
	if (status == 0)
		return EXIT_UNREACHABLE;
	return status < 400 ? EXIT_OK : say_error(status, *found);
}

/* The daemon's refusal of what stands at `node`. */
static int refused(
	const struct config_node *node, const char *kind, long status, const json_t *answer)
{
	if (status == 0)
		return EXIT_UNREACHABLE;
	return status < 400 ? EXIT_OK
			    : fail_at(node, "%s %s: %s", kind, node->key, text_of(answer, "error"));
}

static int put(struct apply *apply, const struct config_node *node, const char *kind,
	const char *path, json_t *body)
{
	CLEANUP(json_decref) json_t *answer = NULL;
	long status = call_status(apply->context, "PUT", path, node->key, body, &answer);
	return refused(node, kind, status, answer);
}

/* --- policies --- */

static int load_defaults(struct apply *apply)
{
	if (apply->defaults)
		return EXIT_OK;
	CLEANUP(json_decref) json_t *answer = NULL;
	int rc = call(apply->context, "GET", "/v1/policy-options", NULL, NULL, &answer);
	if (rc != EXIT_OK)
		return rc;
	apply->defaults = json_object();
	size_t i;
	json_t *option;
	json_array_foreach(json_object_get(answer, "options"), i, option)
		json_object_set(apply->defaults, json_string_value(json_object_get(option, "name")),
			json_object_get(option, "default"));
	return EXIT_OK;
}

/* "90s" and "1.5min" are the same. */
static bool same_value(const char *a, const char *b)
{
	uint64_t x, y;
	if (!a || !b)
		return a == b;
	if (strcmp(a, b) == 0)
		return true;
	if (duration_parse(a, &x, NULL) == 0 && duration_parse(b, &y, NULL) == 0)
		return x == y;
	return size_parse(a, &x, NULL) == 0 && size_parse(b, &y, NULL) == 0 && x == y;
}

static bool same_policy(const struct apply *apply, const json_t *found, const json_t *wanted)
{
	const char *key;
	json_t *value;
	json_object_foreach(json_object_get(found, "options"), key, value)
	{
		const json_t *want = json_object_get(wanted, key);
		want = want ? want : json_object_get(apply->defaults, key);
		if (!same_value(json_string_value(value), json_string_value(want)))
			return false;
	}
	return true;
}

static json_t *read_policy(const struct apply *apply, const struct config_node *node)
{
	CLEANUP(json_decref) json_t *options = json_object();
	for (const struct config_node *child = node->first; child; child = child->next) {
		json_t *value = child->kind == CONFIG_TEXT ? json_string(child->text) : NULL;
		if (!value) {
			fail_at(child, "policy %s: %s: must be one value", node->key, child->key);
			return NULL;
		}
		json_object_set_new(options, child->key, value);
		if (!json_object_get(apply->defaults, child->key)) {
			fail_at(child, "policy %s: %s: unknown option", node->key, child->key);
			return NULL;
		}
	}
	return STEAL_POINTER(options);
}

static int apply_policy(struct apply *apply, const struct config_node *node)
{
	int rc = load_defaults(apply);
	if (rc != EXIT_OK)
		return rc;
	CLEANUP(json_decref) json_t *wanted = read_policy(apply, node), *found = NULL;
	if (!wanted)
		return EXIT_FAILED;
	rc = get(apply, "/v1/policies/{}", node->key, &found);
	if (rc != EXIT_OK)
		return rc;
	bool same = found && same_policy(apply, found, wanted);
	if (!same && !apply->dry_run)
		rc = put(apply, node, "policy", "/v1/policies/{}", json_incref(wanted));
	if (rc == EXIT_OK)
		told(apply, "policy", node->key, !found ? "added" : same ? "unchanged" : "changed");
	return rc;
}

/* --- services --- */

struct wanted {
	json_t *definition;
	char *site; /* a folder, or NULL */
};

static int read_member(const struct apply *apply, const struct config_node *node,
	json_t *definition, struct error *err)
{
	bool is_list = node->kind == CONFIG_LIST && definition_takes_list(node->key);
	if (node->kind != CONFIG_TEXT && !is_list)
		return error_set(err, -EINVAL, "must be one value");
	int rc = definition_set(
		definition, node->key, is_list ? "" : node->text, apply->folder, err);
	for (const struct config_node *item = is_list ? node->first : NULL; item && rc == 0;
		item = item->next)
		rc = item->kind == CONFIG_TEXT
			     ? definition_set(definition, node->key, item->text, apply->folder, err)
			     : error_set(err, -EINVAL, "must be a list of words");
	return rc;
}

static int read_service(
	const struct apply *apply, const struct config_node *node, struct wanted *wanted)
{
	for (const struct config_node *child = node->first; child; child = child->next) {
		struct error err = ERROR_INIT;
		if (child->kind == CONFIG_TEXT && strcmp(child->key, "site") == 0) {
			wanted->site = path_from(apply->folder, child->text);
			continue;
		}
		if (read_member(apply, child, wanted->definition, &err) < 0)
			return fail_at(
				child, "service %s: %s: %s", node->key, child->key, err.message);
	}
	if (wanted->site && json_object_get(wanted->definition, "initrd"))
		return fail_at(node, "service %s: has a site or an initrd, not both", node->key);
	if (wanted->site && !json_object_get(wanted->definition, "image"))
		json_object_set_new(wanted->definition, "image", json_string("website"));
	return EXIT_OK;
}

/* What the daemon fills in where the file says nothing. */
static bool is_given_by_daemon(const char *member, const struct wanted *wanted)
{
	static const char *const given[] = {"backend", "addresses", "memory", "vcpus", NULL};
	for (size_t i = 0; given[i]; i++)
		if (strcmp(member, given[i]) == 0)
			return true;
	return wanted->site && strcmp(member, "initrd") == 0;
}

static bool same_name(const char *a, const char *b)
{
	size_t length = strlen(a), other = strlen(b);
	length -= length > 0 && a[length - 1] == '.';
	other -= other > 0 && b[other - 1] == '.';
	return length == other && strncasecmp(a, b, length) == 0;
}

/* The daemon has them in an order, and in form, of its own. */
static bool same_names(const json_t *found, const json_t *want)
{
	size_t i, j;
	json_t *a, *b;
	json_array_foreach(want, i, a)
	{
		bool is_there = false;
		json_array_foreach(found, j, b) is_there |= same_name(
			json_string_value(a), json_is_string(b) ? json_string_value(b) : "");
		if (!is_there)
			return false;
	}
	return json_array_size(found) == json_array_size(want);
}

/* The next of the family from *i on; NULL: there is none. */
static const char *next_of(const json_t *list, bool six, size_t *i)
{
	while (*i < json_array_size(list)) {
		const char *text = json_string_value(json_array_get(list, (*i)++));
		if (text && address_is_six(text) == six)
			return text;
	}
	return NULL;
}

/* Of a family of which none is wanted, and where any of the pool is, the daemon has chosen. */
static bool same_addresses(const json_t *found, const json_t *want)
{
	for (int six = 0; six < 2; six++) {
		size_t i = 0, k = 0, count = 0;
		const char *wanted, *has;
		while ((wanted = next_of(want, six, &i))) {
			has = next_of(found, six, &k);
			count++;
			if (!has || (strncmp(wanted, "pool", 4) != 0 && strcmp(wanted, has) != 0))
				return false;
		}
		if (count > 0 && next_of(found, six, &k))
			return false;
	}
	return true;
}

static bool same_member(const char *member, const json_t *found, const json_t *want)
{
	if (!want && strcmp(member, "policy") == 0)
		return same_value(json_string_value(found), "default");
	if (strcmp(member, "names") == 0)
		return same_names(found, want);
	if (strcmp(member, "addresses") == 0)
		return same_addresses(found, want);
	if (json_is_string(found) && json_is_string(want) && strcmp(member, "memory") == 0)
		return same_value(json_string_value(found), json_string_value(want));
	return json_equal(found, want) || (!found && !want);
}

static bool same_definition(const json_t *found, const struct wanted *wanted)
{
	const char *member;
	for (size_t i = 0; (member = definition_member(i)); i++) {
		const json_t *want = json_object_get(wanted->definition, member);
		if (!want && is_given_by_daemon(member, wanted))
			continue;
		if (!same_member(member, json_object_get(found, member), want))
			return false;
	}
	return true;
}

/* The definition first, for it creates the service; a replaced one has lost its site. */
static int put_service(struct apply *apply, const struct config_node *node,
	const struct wanted *wanted, bool definition, bool site)
{
	struct error err = ERROR_INIT;
	CLEANUP(json_decref) json_t *answer = NULL;
	CLEANUP(fclose) FILE *archive = site ? site_open(wanted->site, &err) : NULL;
	if (site && !archive)
		return fail_at(node, "service %s: site: %s", node->key, err.message);
	if (apply->dry_run)
		return EXIT_OK;
	int rc = definition ? put(apply, node, "service", "/v1/services/{}",
				      json_incref(wanted->definition))
			    : EXIT_OK;
	if (rc != EXIT_OK || !site)
		return rc;
	long status = 0;
	rc = site_upload(apply->context, node->key, archive, &status, &answer);
	return rc != EXIT_OK ? rc : refused(node, "service", status, answer);
}

static int apply_wanted(
	struct apply *apply, const struct config_node *node, const struct wanted *wanted)
{
	CLEANUP(json_decref) json_t *found = NULL;
	int rc = get(apply, "/v1/services/{}", node->key, &found);
	if (rc != EXIT_OK)
		return rc;
	const char *initrd = json_string_value(json_object_get(found, "initrd"));
	bool same = found && same_definition(found, wanted);
	bool same_site = !wanted->site || (same && initrd && site_is_same(wanted->site, initrd));
	rc = put_service(apply, node, wanted, !same, !same_site);
	if (rc == EXIT_OK)
		told(apply, "service", node->key,
			!found              ? "added"
			: same && same_site ? "unchanged"
					    : "changed");
	return rc;
}

static int apply_service(struct apply *apply, const struct config_node *node)
{
	struct wanted wanted = {.definition = json_object()};
	int rc = read_service(apply, node, &wanted);
	if (rc == EXIT_OK)
		rc = apply_wanted(apply, node, &wanted);
	json_decref(wanted.definition);
	free(wanted.site);
	return rc;
}

/* --- the file --- */

int apply_check_file(const struct config_node *root)
{
	for (const struct config_node *kind = root->first; kind; kind = kind->next) {
		if (strcmp(kind->key, "policy") != 0 && strcmp(kind->key, "service") != 0)
			return fail_at(kind,
				"%s: is unknown: a file has policy \"name\" { ... } and service "
				"\"name\" { ... }",
				kind->key);
		if (kind->kind != CONFIG_SECTION)
			return fail_at(kind, "%s: must be a section: %s \"name\" { ... }",
				kind->key, kind->key);
		for (const struct config_node *node = kind->first; node; node = node->next)
			if (node->kind != CONFIG_SECTION)
				return fail_at(node, "%s: has a name: %s \"name\" { %s = ...; }",
					kind->key, kind->key, node->key);
	}
	return EXIT_OK;
}

static int apply_all(struct apply *apply, const struct config_node *root)
{
	static const struct {
		const char *key;
		int (*apply)(struct apply *apply, const struct config_node *node);
	} kinds[] = {{"policy", apply_policy}, {"service", apply_service}};
	int rc = apply_check_file(root);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct config_node *kind = config_node_find(root, kinds[i].key);
		for (const struct config_node *node = kind ? kind->first : NULL;
			node && rc == EXIT_OK; node = node->next)
			rc = kinds[i].apply(apply, node);
	}
	return rc;
}

int run_apply(struct context *context, const struct arguments *arguments)
{
	const char *file = option_value(arguments, "file");
	struct error err = ERROR_INIT;
	CLEANUP(config_node_destroy) struct config_node *root = NULL;
	if (!file)
		return fail_usage("usage: summonctl apply -f FILE");
	bool standard_input = strcmp(file, "-") == 0;
	if (config_syntax_read(standard_input ? "/dev/stdin" : file, &root, &err) < 0)
		return fail("%s", err.message);
	struct apply apply = {.context = context, .dry_run = option_value(arguments, "dry-run")};
	const char *slash = standard_input ? NULL : strrchr(file, '/');
	if (slash)
		apply.folder = strndup(file, (size_t)(slash - file) + 1);
	apply.changes = json_array();
	int rc = apply_all(&apply, root);
	if (rc == EXIT_OK && context->json) {
		CLEANUP(json_decref)
		json_t *answer =
			json_pack("{s:O, s:b}", "changes", apply.changes, "dry_run", apply.dry_run);
		print_json(context, answer);
	}
	json_decref(apply.changes);
	json_decref(apply.defaults);
	free(apply.folder);
	return rc;
}
