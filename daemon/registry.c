/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "daemon/daemon.h"
#include "daemon/definition.h"
#include "daemon/family.h"
#include "daemon/idle.h"
#include "daemon/instance.h"
#include "daemon/names.h"
#include "daemon/pins.h"
#include "daemon/shells.h"
#include "daemon/summon.h"
#include "daemon/tiers.h"

/* --- definitions --- */

static void publish(struct service *service)
{
	struct error err = ERROR_INIT;
	const struct store_service *def = &service->def;
	struct dns_server *dns = service->daemon->dns;
	const uint32_t ttl = (uint32_t)(service->policy->policy.ttl / NS_PER_S);
	const struct service *first = service->first;
	int rc = first == service ? dns_put_service(dns, def->id, def->name, def->addresses,
					    ADDRESSES_MAX, ttl, &err)
				  : dns_put_instance(dns, def->id, first->def.id, def->addresses,
					    ADDRESSES_MAX, ttl, &err);
	if (rc >= 0 && first == service)
		rc = dns_set_service_https(dns, def->id, service->policy->policy.https, ttl, &err);
	if (rc < 0)
		log_line(&service->daemon->log, LOG_ERROR,
			(struct log_about){.service = service->def.name},
			"its name cannot be answered: %s", err.message);
	if (first == service)
		names_publish(service);
}

/* Whether queries for its services are answered differently. */
static bool answers_differ(const struct policy *a, const struct policy *b)
{
	return a->ttl != b->ttl || strcmp(a->https, b->https) != 0;
}

int registry_put_policy(struct registry *registry, const struct policy *policy, struct error *err)
{
	struct policy_entry *entry = policy_by_name(registry, policy->name);
	if (!entry) {
		entry = calloc(1, sizeof(*entry));
		if (!entry)
			return error_set(err, -ENOMEM, "out of memory");
		entry->policy = *policy;
		HASH_ADD_STR(registry->policies, policy.name, entry);
		schedule_put(registry->daemon, entry);
		return 0;
	}
	bool others = answers_differ(&entry->policy, policy);
	entry->policy = *policy;
	schedule_put(registry->daemon, entry);
	for (uint32_t id = 0; id < registry->id_limit; id++) {
		struct service *service = registry->by_id[id];
		if (!service || service->policy != entry || service->removed)
			continue;
		if (others)
			publish(service);
		service->unasked = 0;
		seats_settle(service);
		service_consider(service);
		if (service->state == STATE_AWAKE)
			idle_watch(service);
		tiers_look(service);
	}
	return 0;
}

void registry_remove_policy(struct registry *registry, const char *name)
{
	struct policy_entry *entry = policy_by_name(registry, name);
	if (!entry || entry->services)
		return;
	HASH_DEL(registry->policies, entry);
	free(entry);
}

static int make_room(struct registry *registry, uint32_t id, struct error *err)
{
	if (id < registry->id_limit)
		return 0;
	uint32_t limit = registry->id_limit ? registry->id_limit : 64;
	while (limit <= id)
		if (__builtin_mul_overflow(limit, 2u, &limit))
			return error_set(err, -EOVERFLOW, "service numbers are used up");
	struct service **more = reallocarray(registry->by_id, limit, sizeof(*more));
	if (!more)
		return error_set(err, -ENOMEM, "out of memory");
	memset(more + registry->id_limit, 0, (limit - registry->id_limit) * sizeof(*more));
	registry->by_id = more;
	registry->id_limit = limit;
	return 0;
}

static int replace(struct service *service, const struct store_service *def, struct error *err)
{
	struct registry *registry = &service->daemon->registry;
	struct store_service copy;
	if (store_service_copy(&copy, def) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	service->unasked = 0;
	bool differs = definition_boots_differently(&service->def, def);
	bool stale = service->state != STATE_ASLEEP &&
		     (definition_moved(&service->def, def) ||
			     (service->state != STATE_AWAKE && differs));
	service_use_policy(service, policy_by_name(registry, def->policy));
	if (definition_moved(&service->def, def))
		door_dismiss(service->daemon, &service->def);
	store_service_finish(&service->def);
	service->def = copy;
	if (service->instance)
		service->instance->outdated |= differs; /* the next one is of the new one */
	else
		service->backend = backend_by_name(&service->daemon->backends, def->backend);
	publish(service);
	door_admit(service->daemon, &service->def);
	pins_watch(service);
	seats_settle(service);
	if (stale) {
		service->stop_how = LAUNCHER_STOP_DESTROY;
		service_set_error(service, "its definition was changed");
		service_post(service, EVENT_RETIRE);
	}
	service_consider(service);
	if (service->state == STATE_AWAKE)
		idle_watch(service);
	tiers_look(service);
	return 0;
}

int registry_put_service(
	struct registry *registry, const struct store_service *def, struct error *err)
{
	struct daemon *daemon = registry->daemon;
	struct service *service = service_by_id(registry, def->id);
	if (service)
		return replace(service, def, err);
	int rc = make_room(registry, def->id, err);
	if (rc < 0)
		return rc;
	service = calloc(1, sizeof(*service));
	if (!service || store_service_copy(&service->def, def) < 0) {
		free(service);
		return error_set(err, -ENOMEM, "out of memory");
	}
	service->daemon = daemon;
	rc = family_join(service, err);
	if (rc < 0) {
		store_service_finish(&service->def);
		free(service);
		return rc;
	}
	service_use_policy(service, policy_by_name(registry, def->policy));
	service->backend = backend_by_name(&daemon->backends, def->backend);
	service->mac = link_mac(daemon->identity, def->id);
	service->since = clock_real();
	registry->by_id[def->id] = service;
	HASH_ADD_STR(registry->by_name, def.name, service);
	publish(service);
	door_admit(daemon, &service->def);
	pins_watch(service);
	service_consider(service);
	return 0;
}

void registry_remove_service(struct registry *registry, struct service *service)
{
	for (unsigned i = 1; service->machines && i < POLICY_INSTANCES_MAX; i++)
		if (service->machines[i])
			registry_remove_service(registry, service->machines[i]);
	family_leave(service);
	dns_remove_service(service->daemon->dns, service->def.id);
	names_forget(service);
	door_dismiss(service->daemon, &service->def);
	HASH_DEL(registry->by_name, service);
	/* Its own policy may be removed before the guest is gone; this one never is. */
	service_use_policy(service, policy_by_name(registry, "default"));
	service->removed = true;
	shells_reckon(service->daemon);
	service->stop_how = LAUNCHER_STOP_DESTROY;
	service_set_error(service, "it was removed");
	/* Also where it waits for a place while it rests or goes: nobody may start it any more. */
	summon_fail(service, service->last_error);
	door_refuse(service);
	service_post(service, EVENT_RETIRE);
}
