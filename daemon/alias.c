/* SPDX-License-Identifier: ISC */
#include "daemon/alias.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "daemon/daemon.h"

/* Numbers of services are below. */
#define FIRST_NUMBER 0x80000000u

struct alias {
	uint32_t number;
	struct service *service;
	char name[STORE_NAME_MAX + 1];
	UT_hash_handle hh; /* by number; looked for by name only where definitions change */
};

struct service *service_by_number(const struct registry *registry, uint32_t number)
{
	struct alias *alias;
	if (number < FIRST_NUMBER)
		return service_by_id(registry, number);
	HASH_FIND(hh, registry->aliases, &number, sizeof(number), alias);
	return alias ? alias->service : NULL;
}

const struct service *service_by_alias(const struct registry *registry, const char *name)
{
	struct alias *alias, *next;
	HASH_ITER(hh, registry->aliases, alias, next)
	{
		if (strcmp(alias->name, name) == 0)
			return alias->service;
	}
	return NULL;
}

/* --- as text --- */

bool alias_next(const char **at, char name[254])
{
	if (!*at)
		return false;
	*at += strspn(*at, " ");
	size_t length = strcspn(*at, " ");
	if (length == 0 || length >= 254)
		return false;
	memcpy(name, *at, length);
	name[length] = '\0';
	*at += length;
	return true;
}

static bool has_name(const char *names, const char *name)
{
	char one[254];
	while (alias_next(&names, one))
		if (strcmp(one, name) == 0)
			return true;
	return false;
}

char *aliases_parse(const char *text, struct error *err)
{
	char *canonical = calloc(1, ALIASES_MAX * (STORE_NAME_MAX + 1) + 1);
	char word[254], name[254];
	unsigned count = 0;
	if (!canonical) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	while (alias_next(&text, word)) {
		int rc = dns_name_canonical(word, name, err);
		if (rc >= 0 && has_name(canonical, name))
			continue;
		if (rc >= 0 && count++ == ALIASES_MAX)
			rc = error_set(err, -EINVAL, "write at most %d names", ALIASES_MAX);
		if (rc < 0) {
			free(canonical);
			return NULL;
		}
		strcat(strcat(canonical, canonical[0] ? " " : ""), name);
	}
	if (text[strspn(text, " ")]) {
		error_set(err, -EINVAL, "a name is longer than 253 letters");
		free(canonical);
		return NULL;
	}
	return canonical;
}

static int check_one(const struct registry *registry, const struct store_service *def,
	const char *name, struct error *err)
{
	const struct dns_server *dns = registry->daemon->dns;
	const struct service *owner = service_by_name(registry, name);
	if (!owner)
		owner = service_by_alias(registry, name);
	if (strcmp(name, def->name) == 0)
		return error_set(err, -EINVAL, "aliases: '%s' is its name already", name);
	if (owner && owner->def.id != def->id)
		return error_set(err, -EEXIST, "aliases: '%s' is a name of %s: choose another",
			name, owner->def.name);
	if (!dns_in_zone(dns, name))
		return error_set(err, -EINVAL,
			"aliases: '%s' is in no zone of this server: add a zone to summond.conf, "
			"or choose a name in one",
			name);
	return dns_check_service_name(dns, name, err);
}

int aliases_check(
	const struct registry *registry, const struct store_service *def, struct error *err)
{
	const struct service *owner = service_by_alias(registry, def->name);
	const char *at = def->aliases;
	char name[254];
	if (owner && owner->def.id != def->id)
		return error_set(err, -EEXIST, "'%s' is an alias of %s: choose another", def->name,
			owner->def.name);
	while (alias_next(&at, name)) {
		int rc = check_one(registry, def, name, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* --- what the DNS server knows --- */

static void publish_one(struct service *service, const char *name)
{
	struct registry *registry = &service->daemon->registry;
	const struct store_service *def = &service->def;
	struct error err = ERROR_INIT;
	struct alias *alias = calloc(1, sizeof(*alias));
	if (!alias)
		error_set(&err, -ENOMEM, "out of memory");
	else
		snprintf(alias->name, sizeof(alias->name), "%s", name);
	uint32_t number = FIRST_NUMBER + registry->last_alias;
	uint32_t ttl = (uint32_t)(service->policy->policy.ttl / NS_PER_S);
	if (!alias || dns_put_service(service->daemon->dns, number, name, &def->ipv4, &def->ipv6,
			      ttl, &err) < 0) {
		log_line(&service->daemon->log, LOG_ERROR,
			(struct log_about){.service = service->def.name},
			"its alias %s cannot be answered: %s", name, err.message);
		free(alias);
		return;
	}
	registry->last_alias = (registry->last_alias + 1) % FIRST_NUMBER;
	alias->number = number;
	alias->service = service;
	service->aliases++;
	HASH_ADD(hh, registry->aliases, number, sizeof(alias->number), alias);
}

void aliases_publish(struct service *service)
{
	const char *at = service->def.aliases;
	char name[254];
	aliases_remove(service);
	while (alias_next(&at, name))
		publish_one(service, name);
}

void aliases_remove(struct service *service)
{
	struct registry *registry = &service->daemon->registry;
	struct alias *alias, *next;
	if (service->aliases == 0)
		return;
	service->aliases = 0;
	HASH_ITER(hh, registry->aliases, alias, next)
	{
		if (alias->service != service)
			continue;
		dns_remove_service(service->daemon->dns, alias->number);
		HASH_DEL(registry->aliases, alias);
		free(alias);
	}
}

void aliases_finish(struct registry *registry)
{
	struct alias *alias, *next;
	HASH_ITER(hh, registry->aliases, alias, next)
	{
		HASH_DEL(registry->aliases, alias);
		free(alias);
	}
}
