/* SPDX-License-Identifier: ISC */
#include "daemon/names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "daemon/daemon.h"

struct other_name {
	struct service *service;
	char name[STORE_NAME_MAX + 1];
	UT_hash_handle hh;
};

/* --- as text --- */

/* Copies the next name and moves *at behind it. False at the end. */
static bool next_name(const char **at, char name[STORE_NAME_MAX + 1])
{
	if (!*at || !**at)
		return false;
	size_t length = strcspn(*at, " ");
	snprintf(name, STORE_NAME_MAX + 1, "%.*s", (int)length, *at);
	*at += length + ((*at)[length] == ' ');
	return true;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int read_names(
	const json_t *list, char (*names)[STORE_NAME_MAX + 1], size_t count, struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		if (!text)
			return error_set(err, -EINVAL, "write a list of names");
		int rc = dns_name_canonical(text, names[i], err);
		if (rc < 0)
			return rc;
	}
	qsort(names, count, sizeof(*names), compare_names);
	for (size_t i = 1; i < count; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			return error_set(err, -EINVAL, "'%s' comes twice", names[i]);
	return 0;
}

int names_parse(const json_t *list, char **out, struct error *err)
{
	size_t count = json_array_size(list);
	if (!json_is_array(list))
		return error_set(err, -EINVAL, "write a list of names");
	if (count > STORE_NAMES_MAX)
		return error_set(err, -EINVAL, "write at most %d names", STORE_NAMES_MAX);
	*out = NULL;
	if (count == 0)
		return 0;
	CLEANUP(free) char(*names)[STORE_NAME_MAX + 1] = calloc(count, sizeof(*names));
	CLEANUP(free) char *text = calloc(count, sizeof(*names));
	if (!names || !text)
		return error_set(err, -ENOMEM, "out of memory");
	int rc = read_names(list, names, count, err);
	if (rc < 0)
		return rc;
	char *end = text;
	for (size_t i = 0; i < count; i++) {
		end = stpcpy(end, names[i]);
		*end++ = i + 1 < count ? ' ' : '\0';
	}
	*out = STEAL_POINTER(text);
	return 0;
}

json_t *names_json(const char *names)
{
	char name[STORE_NAME_MAX + 1];
	json_t *list = json_array();
	while (next_name(&names, name))
		json_array_append_new(list, json_string(name));
	return list;
}

/* --- whose they are --- */

struct service *service_by_other_name(const struct registry *registry, const char *name)
{
	struct other_name *other;
	HASH_FIND_STR(registry->other_names, name, other);
	return other ? other->service : NULL;
}

static int check_one(const struct registry *registry, const struct store_service *def,
	const char *name, struct error *err)
{
	const struct dns_server *dns = registry->daemon->dns;
	const struct service *owner = service_by_name(registry, name);
	if (!owner)
		owner = service_by_other_name(registry, name);
	if (strcmp(name, def->name) == 0)
		return error_set(err, -EINVAL, "names: '%s' is its own name already", name);
	if (owner && owner->def.id != def->id)
		return error_set(err, -EEXIST, "names: '%s' is a name of %s: choose another", name,
			owner->def.name);
	if (!dns_in_zone(dns, name))
		return error_set(err, -EINVAL,
			"names: '%s' is in no zone of this server: add a zone to summond.conf, or "
			"choose a name in one",
			name);
	int rc = dns_check_service_name(dns, name, err);
	return rc < 0 ? error_prefix(err, rc, "names") : 0;
}

int names_check(const struct registry *registry, const struct store_service *def, struct error *err)
{
	const struct service *owner = service_by_other_name(registry, def->name);
	const char *at = def->names;
	char name[STORE_NAME_MAX + 1];
	if (owner && owner->def.id != def->id)
		return error_set(err, -EEXIST, "'%s' is another name of %s: choose another",
			def->name, owner->def.name);
	while (next_name(&at, name)) {
		int rc = check_one(registry, def, name, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* --- what is known of them --- */

void names_forget(struct service *service)
{
	struct registry *registry = &service->daemon->registry;
	for (size_t i = 0; i < service->other_count; i++) {
		struct other_name *other = &service->others[i];
		if (service_by_other_name(registry, other->name) == service)
			HASH_DEL(registry->other_names, other);
	}
	free(service->others);
	service->others = NULL;
	service->other_count = 0;
}

static int remember(struct service *service)
{
	struct registry *registry = &service->daemon->registry;
	char name[STORE_NAME_MAX + 1];
	size_t count = 0;
	for (const char *at = service->def.names; next_name(&at, name);)
		count++;
	service->others = count ? calloc(count, sizeof(*service->others)) : NULL;
	if (count && !service->others)
		return -ENOMEM;
	for (const char *at = service->def.names; next_name(&at, name);) {
		struct other_name *other = &service->others[service->other_count];
		/* The store has each name once. */
		if (service_by_other_name(registry, name))
			continue;
		other->service = service;
		strcpy(other->name, name);
		HASH_ADD_STR(registry->other_names, name, other);
		service->other_count++;
	}
	return 0;
}

static void complain(const struct service *service, const char *name, const struct error *err)
{
	log_line(&service->daemon->log, LOG_ERROR, (struct log_about){.service = service->def.name},
		"its name %s cannot be answered: %s", name, err->message);
}

/* Where one is not to be had, as when a zone has got records of its own there, the others are. */
static void publish_each(struct service *service, const char **list)
{
	struct dns_server *dns = service->daemon->dns;
	size_t good = 0;
	for (size_t i = 0; i < service->other_count; i++) {
		struct error err = ERROR_INIT;
		list[good] = service->others[i].name;
		if (dns_set_service_names(dns, service->def.id, list, good + 1, &err) < 0)
			complain(service, list[good], &err);
		else
			good++;
	}
}

void names_publish(struct service *service)
{
	const char *list[STORE_NAMES_MAX];
	struct error err = ERROR_INIT;
	names_forget(service);
	if (remember(service) < 0) {
		error_set(&err, -ENOMEM, "out of memory");
		complain(service, service->def.names, &err);
	}
	for (size_t i = 0; i < service->other_count; i++)
		list[i] = service->others[i].name;
	int rc = dns_set_service_names(
		service->daemon->dns, service->def.id, list, service->other_count, &err);
	/* -ENOENT: not even its own name is answered, which was said. */
	if (rc < 0 && rc != -ENOENT)
		publish_each(service, list);
}
