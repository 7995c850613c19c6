/* SPDX-License-Identifier: ISC */
#include "daemon/family.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/definition.h"

/* --- names --- */

#define SUFFIX_MAX 3 /* "#64" */

/* Of a name that check_alone() has passed. */
static void make_name(const char *first, unsigned number, char name[STORE_NAME_MAX + 1])
{
	snprintf(name, STORE_NAME_MAX + 1, "%.*s#%u", STORE_NAME_MAX - SUFFIX_MAX, first,
		number % 100);
}

unsigned family_number(const char *name)
{
	const char *mark = strchr(name, '#');
	return mark ? (unsigned)strtoul(mark + 1, NULL, 10) : 1;
}

/* --- in the registry --- */

/* Those in a row: of a gap, which there is while they are read, nothing beyond is known. */
static void count(struct service *first)
{
	first->machine_count = 1;
	while (first->machines && first->machine_count < POLICY_INSTANCES_MAX &&
		first->machines[first->machine_count])
		first->machine_count++;
}

int family_join(struct service *service, struct error *err)
{
	char name[STORE_NAME_MAX + 1];
	unsigned number = family_number(service->def.name);
	service->first = service;
	service->machine_count = 1;
	if (number == 1)
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(service->def.name, "#"),
		service->def.name);
	struct service *first = service_by_name(&service->daemon->registry, name);
	if (!first || number > POLICY_INSTANCES_MAX || number == 0)
		return error_set(
			err, -ENOENT, "there is no service %s that it is a machine of", name);
	if (!first->machines)
		first->machines = calloc(POLICY_INSTANCES_MAX, sizeof(*first->machines));
	if (!first->machines)
		return error_set(err, -ENOMEM, "out of memory");
	first->machines[0] = first;
	first->machines[number - 1] = service;
	service->first = first;
	count(first);
	return 0;
}

void family_leave(struct service *service)
{
	struct service *first = service->first;
	unsigned number = family_number(service->def.name);
	if (first != service) {
		first->machines[number - 1] = NULL;
		count(first);
		service->first = service;
		return;
	}
	for (unsigned i = 1; service->machines && i < POLICY_INSTANCES_MAX; i++)
		if (service->machines[i])
			service->machines[i]->first = service->machines[i];
	free(service->machines);
	service->machines = NULL;
	service->machine_count = 1;
}

/* --- on their way to the store --- */

/* What is one machine's by its nature. */
static int check_alone(
	const struct store_service *def, const struct policy *policy, struct error *err)
{
	const struct {
		const char *key, *value;
	} keys[] = {{"domain_name", def->domain_name}, {"uuid", def->uuid}, {"nics", def->nics},
		{"disks", def->disks}};
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].value)
			return error_set(err, -EINVAL,
				"%s: is for one machine, and policy %s has several (instances): "
				"leave it out, or take another policy",
				keys[i].key, policy->name);
	if (strlen(def->name) + SUFFIX_MAX > STORE_NAME_MAX)
		return error_set(err, -EINVAL,
			"a name of %zu letters is too long for several machines (instances): "
			"write at most %d",
			strlen(def->name), STORE_NAME_MAX - SUFFIX_MAX);
	return 0;
}

static int claim(struct daemon *daemon, const struct store_service *first,
	struct store_service *further, unsigned *claimed, struct error *err)
{
	int rc = definition_claim(daemon, further, claimed, err);
	if (rc < 0)
		return error_prefix(err, rc, "%s (instances)", further->name);
	bool lacks4 = ip_address_is_set(&first->ipv4) && !ip_address_is_set(&further->ipv4);
	bool lacks6 = ip_address_is_set(&first->ipv6) && !ip_address_is_set(&further->ipv6);
	if (lacks4 || lacks6)
		return error_set(err, -ENOSPC,
			"%s (instances) is to have an address as the first machine has: set %s",
			further->name, lacks4 ? "network.pool" : "network.pool6");
	return 0;
}

/* What is known of it already. */
static void begin(const struct registry *registry, const struct store_service *first,
	unsigned number, struct store_service *further)
{
	make_name(first->name, number, further->name);
	const struct service *known = service_by_name(registry, further->name);
	if (!known)
		return;
	further->id = known->def.id;
	memcpy(further->addresses, known->def.addresses, sizeof(further->addresses));
}

static void find_surplus(
	const struct registry *registry, const struct store_service *def, struct family *family)
{
	const struct service *first = service_by_id(registry, def->id);
	for (size_t i = family->count + 1; first && first->machines && i < POLICY_INSTANCES_MAX;
		i++)
		if (first->machines[i])
			family->surplus[family->surplus_count++] = first->machines[i]->def.id;
}

unsigned family_coming(const struct family *family)
{
	unsigned coming = 0;
	for (size_t i = 0; i < family->count; i++)
		coming += family->further[i].id == 0;
	return coming;
}

int family_check_room(const struct daemon *daemon, unsigned more, struct error *err)
{
	const struct registry *registry = &daemon->registry;
	unsigned limit = daemon->config->limits.services;
	if (more == 0 || HASH_COUNT(registry->by_name) + registry->coming + more <= limit)
		return 0;
	return error_set(err, -ENOSPC,
		"limits.services (%u) leaves no room for %u more machines (instances)", limit,
		more);
}

int family_plan(struct daemon *daemon, const struct store_service *def, const struct policy *policy,
	struct family *family, struct error *err)
{
	const struct registry *registry = &daemon->registry;
	size_t count = policy->instances.count - 1;
	*family = (struct family){.count = 0};
	/* Also where there is one: clients that come one after the other have several. */
	int rc = policy->instances.how == POLICY_ONE ? 0 : check_alone(def, policy, err);
	if (rc < 0)
		return rc;
	if (count > 0) {
		family->further = calloc(count, sizeof(*family->further));
		family->claimed = calloc(count, sizeof(*family->claimed));
		if (!family->further || !family->claimed)
			return error_set(err, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < count; i++) {
		struct store_service *further = &family->further[i];
		begin(registry, def, (unsigned)i + 2, further);
		family->count++;
		rc = claim(daemon, def, further, &family->claimed[i], err);
		if (rc < 0)
			return rc;
	}
	find_surplus(registry, def, family);
	return 0;
}

/* The first one's definition, but for who it is. */
static int derive(
	struct store_service *further, const struct store_service *first, struct error *err)
{
	struct store_service copy;
	if (store_service_copy(&copy, first) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	free(copy.names);
	copy.names = NULL;
	strcpy(copy.name, further->name);
	copy.id = further->id;
	memcpy(copy.addresses, further->addresses, sizeof(copy.addresses));
	copy.pinned = false;
	copy.pinned_until = 0;
	*further = copy;
	return 0;
}

int family_derive(struct family *family, const struct store_service *first, struct error *err)
{
	int rc = 0;
	for (size_t i = 0; rc >= 0 && i < family->count; i++)
		rc = derive(&family->further[i], first, err);
	return rc;
}

int family_store(struct store *store, struct family *family, struct error *err)
{
	int rc = 0;
	for (size_t i = 0; rc >= 0 && i < family->count; i++)
		rc = store_put_service(store, &family->further[i], err);
	for (size_t i = 0; rc >= 0 && i < family->surplus_count; i++)
		rc = store_remove_service(store, family->surplus[i], err);
	return rc;
}

void family_settle(struct daemon *daemon, struct family *family, bool stored)
{
	for (size_t i = 0; i < family->count; i++) {
		definition_settle(daemon, &family->further[i], family->claimed[i], stored);
		family->claimed[i] = 0;
	}
}

int family_grow(struct daemon *daemon, struct family *family, struct error *err)
{
	int rc = 0;
	for (size_t i = 0; rc >= 0 && i < family->count; i++) {
		struct store_service *further = &family->further[i];
		const struct service *known = service_by_id(&daemon->registry, further->id);
		further->pinned = known && known->def.pinned;
		further->pinned_until = known ? known->def.pinned_until : 0;
		rc = registry_put_service(&daemon->registry, further, err);
	}
	return rc;
}

void family_shrink(struct daemon *daemon, const struct family *family)
{
	for (size_t i = 0; i < family->surplus_count; i++) {
		struct service *service = service_by_id(&daemon->registry, family->surplus[i]);
		if (service && !service->removed)
			registry_remove_service(&daemon->registry, service);
	}
}

void family_finish(struct family *family)
{
	for (size_t i = 0; i < family->count; i++)
		store_service_finish(&family->further[i]);
	free(family->further);
	free(family->claimed);
	*family = (struct family){.count = 0};
}
