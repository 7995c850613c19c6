/* SPDX-License-Identifier: ISC */
#include "daemon/pins.h"

#include <stdlib.h>

#include "base/units.h"
#include "daemon/control.h"
#include "daemon/daemon.h"
#include "daemon/tiers.h"

/* The real clock may be set meanwhile. */
#define LOOK_MAX (60 * NS_PER_S)

struct unpin {
	struct daemon *daemon;
	uint32_t id;
};

static int unpin_work(struct store *store, void *ctx, struct error *err)
{
	const struct unpin *unpin = ctx;
	return store_set_pinned(store, unpin->id, false, 0, err);
}

static void unpin_done(void *ctx, int rc, const struct error *err)
{
	struct unpin *unpin = ctx;
	const struct service *service = service_by_id(&unpin->daemon->registry, unpin->id);
	/* It has ended all the same: the next start sees that its time is over. */
	if (rc < 0 && service && !service->removed)
		log_line(&unpin->daemon->log, LOG_WARNING,
			(struct log_about){.service = service->def.name},
			"the end of its pin is not stored: %s", err->message);
	free(unpin);
}

static void end(struct service *service)
{
	struct daemon *daemon = service->daemon;
	log_line(&daemon->log, LOG_INFO, (struct log_about){.service = service->def.name},
		"its pin has ended");
	service->def.pinned = false;
	service->def.pinned_until = 0;
	if (daemon->control)
		control_announce_service(daemon->control, service->def.name, "changed");
	tiers_look(service);
	schedule_act(service);
	struct unpin *unpin = malloc(sizeof(*unpin));
	if (!unpin)
		return;
	*unpin = (struct unpin){.daemon = daemon, .id = service->def.id};
	if (storage_run(daemon->storage, unpin_work, unpin_done, unpin, NULL) < 0)
		free(unpin);
}

static void on_time(void *ctx)
{
	struct service *service = ctx;
	if (clock_real() >= service->def.pinned_until)
		end(service);
	else
		pins_watch(service);
}

void pins_watch(struct service *service)
{
	uint64_t now = clock_real(), until = service->def.pinned_until;
	timer_cancel(&service->unpin);
	if (!service->def.pinned || until == 0 || service->removed)
		return;
	uint64_t left = until > now ? until - now : 0;
	timer_start(&service->daemon->loop, &service->unpin, left < LOOK_MAX ? left : LOOK_MAX,
		on_time, service);
}
