/* SPDX-License-Identifier: ISC */
#include "daemon/heal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"

#define SERVICES_A_TURN 64
/* While a bridge or a doorbell is down or gone: to be told of by the kernel, and looked after all the
 * same. */
#define AGAIN_AFTER     NS_PER_S

static void on_turn(void *ctx);

static void wait(struct daemon *daemon, uint64_t time)
{
	timer_start(&daemon->loop, &daemon->heal.timer, time, on_turn, daemon);
}

/* --- what there is too much of --- */

static bool is_linked(const struct service *service, const struct ip_address *address)
{
	const struct instance *instance = service ? service->instance : NULL;
	return instance && instance->linked && ip_address_listed(instance->addresses, address);
}

static bool keep_route(void *ctx, const struct ip_address *address)
{
	const struct daemon *daemon = ctx;
	if (is_linked(door_owner(daemon, address), address))
		return true;
	/* A guest that began before its service had other addresses. */
	for (uint32_t id = 0; id < daemon->registry.id_limit; id++)
		if (is_linked(daemon->registry.by_id[id], address))
			return true;
	/* Its guest ended while nobody looked; neighbours may still have its MAC. */
	doorbell_announce_soon(daemon->doorbell, address, NULL);
	return false;
}

int heal_prune(struct daemon *daemon, struct error *err)
{
	return link_prune(daemon->link, keep_route, daemon, err);
}

/* --- what is missing --- */

static int restore_guest(struct service *service, struct error *err)
{
	struct instance *instance = service->instance;
	struct link *link = service->daemon->link;
	int rc = 0, missing = 0;
	/* Whose tap is gone, ends. */
	if (link_tap_restore(link, instance->tap, NULL) >= 0 &&
		instance_tap_use(service->backend->ops) != LINK_TAP_BY_NAME)
		link_place(link, instance->tap, &service->mac, NULL);
	for (size_t i = 0; rc >= 0 && i < ADDRESSES_MAX; i++) {
		const struct ip_address *address = &instance->addresses[i];
		if (!ip_address_is_set(address))
			continue;
		rc = link_prepare(link, address, &service->mac, err);
		missing += rc > 0;
		if (rc >= 0)
			rc = instance->open ? link_open(link, address, err)
					    : link_close(link, address, err);
		missing += rc > 0;
	}
	return rc < 0 ? rc : missing;
}

static int restore_service(struct service *service, struct error *err)
{
	struct doorbell *doorbell = service->daemon->doorbell;
	int rc = 0, missing = 0;
	for (size_t i = 0; rc >= 0 && i < ADDRESSES_MAX; i++) {
		if (!ip_address_is_set(&service->def.addresses[i]))
			continue;
		rc = doorbell_admit(doorbell, &service->def.addresses[i], err);
		missing += rc;
	}
	if (rc >= 0 && service->instance && service->instance->linked) {
		rc = restore_guest(service, err);
		missing += rc;
	}
	return rc < 0 ? rc : missing;
}

/* --- a round --- */

static void fail(struct daemon *daemon, const struct error *err)
{
	struct heal *heal = &daemon->heal;
	if (strcmp(heal->failure, err->message) != 0)
		log_line(&daemon->log, LOG_ERROR, LOG_ABOUT_NOTHING, "%s", err->message);
	snprintf(heal->failure, sizeof(heal->failure), "%s", err->message);
	heal->next = 0;
	wait(daemon, AGAIN_AFTER);
}

static int restore_devices(struct daemon *daemon, struct error *err)
{
	int link = link_restore(daemon->link, err);
	int bell = link < 0 ? link : doorbell_restore(daemon->doorbell, err);
	return bell < 0 ? bell : link + bell;
}

static int restore_some(struct daemon *daemon, struct error *err)
{
	struct heal *heal = &daemon->heal;
	int rc = 0;
	for (unsigned i = 0; i < SERVICES_A_TURN && heal->next < daemon->registry.id_limit; i++) {
		struct service *service = daemon->registry.by_id[heal->next++];
		if (service && (rc = restore_service(service, err)) < 0)
			return rc;
		heal->missing += (unsigned)rc;
		rc = 0;
	}
	return 0;
}

static void end_round(struct daemon *daemon)
{
	struct heal *heal = &daemon->heal;
	doorbell_restored(daemon->doorbell);
	heal->healed += heal->missing > 0;
	if (heal->missing > 0 || heal->failure[0])
		log_line(&daemon->log, LOG_WARNING, LOG_ABOUT_NOTHING,
			"the network is as it has to be again: somebody else has changed it, and "
			"%u devices, addresses, routes or neighbours were missing",
			heal->missing);
	heal->failure[0] = '\0';
	heal->next = 0;
	heal->missing = 0;
	if (heal->again)
		wait(daemon, 0);
	heal->again = false;
}

static void on_turn(void *ctx)
{
	struct daemon *daemon = ctx;
	struct heal *heal = &daemon->heal;
	struct error err = ERROR_INIT;
	int rc = 0;
	if (daemon->ending)
		return;
	if (!daemon->serving) { /* who lives is not known yet */
		wait(daemon, AGAIN_AFTER);
		return;
	}
	if (heal->next == 0) {
		rc = restore_devices(daemon, &err);
		heal->missing += rc > 0 ? (unsigned)rc : 0;
	}
	if (rc >= 0)
		rc = restore_some(daemon, &err);
	if (rc >= 0 && heal->next < daemon->registry.id_limit) {
		wait(daemon, 0);
		return;
	}
	if (rc >= 0)
		rc = heal_prune(daemon, &err);
	if (rc >= 0)
		rc = door_prune(daemon, &err);
	if (rc < 0)
		fail(daemon, &err);
	else
		end_round(daemon);
}

/* --- when --- */

static void on_change(void *ctx)
{
	struct daemon *daemon = ctx;
	if (daemon->heal.next > 0)
		daemon->heal.again = true;
	else
		wait(daemon, 0);
}

int heal_watch(struct daemon *daemon, struct error *err)
{
	return doorbell_watch(daemon->doorbell, on_change, daemon, err);
}

void heal_soon(struct daemon *daemon)
{
	if (!daemon->heal.timer)
		wait(daemon, AGAIN_AFTER);
	else
		daemon->heal.again = true;
}

void heal_finish(struct daemon *daemon)
{
	timer_cancel(&daemon->heal.timer);
}
