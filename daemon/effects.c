/* SPDX-License-Identifier: ISC */
#include "daemon/effects.h"

#include <errno.h>
#include <stdio.h>

#include "base/units.h"
#include "daemon/daemon.h"
#include "daemon/idle.h"
#include "daemon/instance.h"
#include "daemon/summon.h"
#include "daemon/tiers.h"

/* What nobody waits for is done a moment after a start and after readiness: the guest boots meanwhile,
 * and whoever has the answer fetches a page. */
#define SETTLE_START     (2 * NS_PER_MS)
#define SETTLE_READY     (5 * NS_PER_MS)
/* A stop that failed is tried again; a hypervisor's service may be away for a while. */
#define STOP_AGAIN_AFTER (2 * NS_PER_S)

static int new_instance(struct service *service, struct error *err)
{
	service->load.busy = false;
	return instance_create(service, &service->instance, err);
}

static int link_is_up(struct service *service, struct error *err)
{
	int rc = instance_link_up(service, err);
	if (rc >= 0)
		summon_stage(service->summon, STAGE_LINK_UP, clock_monotonic());
	return rc;
}

static int link_is_down(struct service *service, struct error *err)
{
	(void)err;
	instance_link_down(service);
	door_confirm(service);
	return 0;
}

static int open_door(struct service *service, struct error *err)
{
	(void)err;
	door_open(service);
	return 0;
}

static int refuse(struct service *service, struct error *err)
{
	(void)err;
	door_refuse(service);
	return 0;
}

static int unwatch(struct service *service, struct error *err)
{
	(void)err;
	instance_unwatch(service);
	return 0;
}

static int start_as(struct service *service, enum launcher_start how, struct error *err)
{
	struct instance_texts texts;
	struct guest_spec spec;
	instance_spec(service, &spec, &texts);
	summon_stage(service->summon, STAGE_ASKED, clock_monotonic());
	int rc = service->backend->ops->start(
		service->backend->launcher, service->instance->id, &spec, how, err);
	instance_settle_after(service, SETTLE_START);
	return rc;
}

static int start(struct service *service, struct error *err)
{
	return start_as(service, LAUNCHER_START_RUNNING, err);
}

static int start_paused(struct service *service, struct error *err)
{
	return start_as(service, LAUNCHER_START_PAUSED, err);
}

static int resume(struct service *service, struct error *err)
{
	summon_stage(service->summon, STAGE_ASKED, clock_monotonic());
	return service->backend->ops->resume(
		service->backend->launcher, service->instance->id, err);
}

static int suspend(struct service *service, struct error *err)
{
	service->load.rested_at = clock_monotonic();
	service->load.rested = 0;
	return service->backend->ops->suspend(
		service->backend->launcher, service->instance->id, service->rest_where, err);
}

static int deepen(struct service *service, struct error *err)
{
	service->rest_where = LAUNCHER_REST_DISK;
	return service->backend->ops->suspend(
		service->backend->launcher, service->instance->id, LAUNCHER_REST_DISK, err);
}

static int settle(struct service *service, struct error *err)
{
	(void)err;
	door_confirm(service);
	door_is_silent(service);
	tiers_settle(service);
	return 0;
}

static int remain(struct service *service, struct error *err)
{
	(void)err;
	tiers_remain(service);
	return 0;
}

static void on_grace_over(void *ctx)
{
	service_post(ctx, EVENT_GRACE_OVER);
}

static int stop(struct service *service, struct error *err)
{
	struct instance *instance = service->instance;
	if (service->stop_how == LAUNCHER_STOP_SHUTDOWN)
		timer_start(&service->daemon->loop, &instance->grace,
			service->policy->policy.shutdown_grace, on_grace_over, service);
	return service->backend->ops->stop(
		service->backend->launcher, instance->id, service->stop_how, err);
}

static int try_again(struct service *service, struct error *err)
{
	(void)err;
	return timer_start(&service->daemon->loop, &service->instance->grace, STOP_AGAIN_AFTER,
		on_grace_over, service);
}

static int destroy(struct service *service, struct error *err)
{
	instance_unwatch(service);
	return service->backend->ops->stop(
		service->backend->launcher, service->instance->id, LAUNCHER_STOP_DESTROY, err);
}

static int answer(struct service *service, struct error *err)
{
	(void)err;
	service->load.failures = 0;
	if (!service->def.pinned)
		service->unasked = 0;
	service->last_error[0] = '\0';
	summon_succeed(service);
	return 0;
}

static int fail(struct service *service, struct error *err)
{
	(void)err;
	summon_fail(service, service->last_error[0] ? service->last_error : "it was retired");
	return 0;
}

static int count_failure(struct service *service, struct error *err)
{
	(void)err;
	service->load.failures++;
	service->load.failed_at = clock_monotonic();
	return 0;
}

static int live(struct service *service, struct error *err)
{
	(void)err;
	service->instance->on_disk = false;
	service->load.rested_at = 0;
	idle_watch(service);
	instance_settle_after(service, service->instance->found ? 0 : SETTLE_READY);
	return 0;
}

static int end_life(struct service *service, struct error *err)
{
	(void)err;
	idle_unwatch(service);
	service->held = service->retire_later = false;
	/* What came while it was sent away, and was too late for this life. */
	if (service->summon)
		admission_enter(service);
	return 0;
}

static int drop_instance(struct service *service, struct error *err)
{
	(void)err;
	instance_link_down(service);
	door_confirm(service);
	instance_destroy(service, service->instance);
	service->instance = NULL;
	service->load.rested_at = 0;
	/* Its definition may have changed meanwhile. */
	service->backend = backend_by_name(&service->daemon->backends, service->def.backend);
	return 0;
}

static int consider(struct service *service, struct error *err)
{
	(void)err;
	service_consider(service);
	return 0;
}

static const struct {
	int (*run)(struct service *service, struct error *err);
	bool wants_instance; /* skipped where there is none */
} effects[EFFECT_COUNT] = {
	[EFFECT_NEW_INSTANCE] = {new_instance, false},
	[EFFECT_LINK_UP] = {link_is_up, true},
	[EFFECT_LINK_DOWN] = {link_is_down, true},
	[EFFECT_OPEN] = {open_door, true},
	[EFFECT_REFUSE] = {refuse, false},
	[EFFECT_WATCH] = {instance_watch, true},
	[EFFECT_UNWATCH] = {unwatch, true},
	[EFFECT_START] = {start, true},
	[EFFECT_START_PAUSED] = {start_paused, true},
	[EFFECT_RESUME] = {resume, true},
	[EFFECT_SUSPEND] = {suspend, true},
	[EFFECT_DEEPEN] = {deepen, true},
	[EFFECT_SETTLE] = {settle, true},
	[EFFECT_REMAIN] = {remain, true},
	[EFFECT_STOP] = {stop, true},
	[EFFECT_DESTROY] = {destroy, true},
	[EFFECT_TRY_AGAIN] = {try_again, true},
	[EFFECT_ANSWER] = {answer, false},
	[EFFECT_FAIL] = {fail, false},
	[EFFECT_COUNT_FAILURE] = {count_failure, false},
	[EFFECT_LIVE] = {live, true},
	[EFFECT_END_LIFE] = {end_life, true},
	[EFFECT_DROP_INSTANCE] = {drop_instance, true},
	[EFFECT_CONSIDER] = {consider, false},
};

int effect_run(struct service *service, enum lifecycle_effect effect, struct error *err)
{
	if (effects[effect].wants_instance && !service->instance)
		return 0;
	return effects[effect].run(service, err);
}
