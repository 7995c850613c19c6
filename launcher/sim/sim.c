/* SPDX-License-Identifier: ISC */
#include "launcher/sim/guest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"

static bool fits_a_record(const char *text)
{
	return !strpbrk(text, "\t\n");
}

static int spec_check(const struct sim *sim, const struct guest_spec *spec, struct error *err)
{
	const char *const images[] = {spec->kernel, spec->initrd};
	for (size_t i = 0; sim->settings.check_images && i < 2; i++)
		if (images[i] && access(images[i], R_OK) < 0)
			return error_set(err, -EINVAL, "%s: %s", images[i], strerror(errno));
	if (!fits_a_record(spec->service) || (spec->tap && !fits_a_record(spec->tap)) ||
		(spec->cmdline && !fits_a_record(spec->cmdline)))
		return error_set(err, -EINVAL,
			"sim: tabs and newlines are not taken in a name, "
			"tap or command line");
	return 0;
}

static int sim_start(struct launcher *launcher, struct instance_id id,
	const struct guest_spec *spec, enum launcher_start how, struct error *err)
{
	struct sim *sim = (struct sim *)launcher;
	struct sim_behaviour behaviour = sim->settings.behaviour;
	const char *cmdline = spec->cmdline ? spec->cmdline : "";
	if (guest_find(sim, id))
		return error_set(
			err, -EEXIST, "sim: instance %u.%u exists already", id.slot, id.generation);
	if (how == LAUNCHER_START_PAUSED && !(sim->settings.capabilities & LAUNCHER_CAN_PREPARE))
		return error_set(err, -ENOTSUP, "sim: \"prepare\" is not among its capabilities");
	int r = spec_check(sim, spec, err);
	if (r == 0)
		r = sim_behaviour_from_cmdline(&behaviour, cmdline, err);
	if (r < 0)
		return r;
	struct sim_record record = {.id = id,
		.identity = strdup(sim->identity),
		.service = strdup(spec->service),
		.tap = strdup(spec->tap ? spec->tap : ""),
		.cmdline = strdup(cmdline),
		.paused = true};
	struct guest *guest = NULL;
	if (record.identity && record.service && record.tap && record.cmdline)
		guest = guest_add(sim, &record, &behaviour);
	if (!guest) {
		sim_record_finish(&record);
		return error_set(err, -ENOMEM, "out of memory");
	}
	guest->how = how;
	r = operation_add(guest, OP_START, err);
	if (r < 0)
		guest_remove(guest);
	return r;
}

static int sim_operate(struct launcher *launcher, struct instance_id id, enum operation_type type,
	unsigned needed, struct error *err)
{
	struct sim *sim = (struct sim *)launcher;
	struct guest *guest = guest_find(sim, id);
	char text[80];
	if (!guest)
		return error_set(err, -ESRCH, "sim: no instance %u.%u", id.slot, id.generation);
	if ((sim->settings.capabilities & needed) != needed)
		return error_set(err, -ENOTSUP, "sim: \"%s\" is not among its capabilities",
			launcher_capabilities_print(needed, text));
	return operation_add(guest, type, err);
}

static int sim_resume(struct launcher *launcher, struct instance_id id, struct error *err)
{
	return sim_operate(launcher, id, OP_RESUME, 0, err);
}

static int sim_suspend(struct launcher *launcher, struct instance_id id, enum launcher_rest where,
	struct error *err)
{
	if (where == LAUNCHER_REST_DISK)
		return sim_operate(launcher, id, OP_SAVE, LAUNCHER_CAN_SNAPSHOT, err);
	return sim_operate(launcher, id, OP_SUSPEND, LAUNCHER_CAN_SUSPEND, err);
}

static int sim_stop(
	struct launcher *launcher, struct instance_id id, enum launcher_stop how, struct error *err)
{
	if (how == LAUNCHER_STOP_DESTROY)
		return sim_operate(launcher, id, OP_DESTROY, 0, err);
	return sim_operate(launcher, id, OP_SHUTDOWN, LAUNCHER_CAN_SHUTDOWN, err);
}

static void guest_announce(struct guest *guest)
{
	guest->found = false;
	guest_plan(guest);
	guest_emit(guest, (struct launcher_event){.type = LAUNCHER_FOUND,
				  .found = {.service = guest->record.service,
					  .tap = guest->record.tap,
					  .paused = guest->record.paused,
					  .booted = guest->record.booted || guest->record.saved,
					  .on_disk = guest->record.saved,
					  .started_at = guest->record.started_at}});
}

static void list_happens(uv_timer_t *timer)
{
	struct sim *sim = timer->data;
	for (struct guest *guest = sim->guests; guest && !sim->closing; guest = guest->next)
		if (guest->found)
			guest_announce(guest);
	if (sim->closing)
		return;
	struct launcher_event listed = {.type = LAUNCHER_LISTED};
	sim->on_event(sim->ctx, &listed);
}

static int sim_list(struct launcher *launcher, struct error *err)
{
	struct sim *sim = (struct sim *)launcher;
	(void)err;
	uv_timer_start(&sim->list_timer, list_happens, 0, 0);
	return 0;
}

static unsigned sim_capabilities(const struct launcher *launcher)
{
	return ((const struct sim *)launcher)->settings.capabilities;
}

static void sim_describe(const struct launcher *launcher, char *text, size_t size)
{
	const struct sim *sim = (const struct sim *)launcher;
	char create[DURATION_TEXT], boot[DURATION_TEXT];
	snprintf(text, size,
		"a simulation: guests are timers (create %s, boot %s, seed %" PRIu64 "%s)",
		duration_print(sim->settings.behaviour.create_delay, create),
		duration_print(sim->settings.behaviour.boot_delay, boot), sim->settings.seed,
		sim->settings.persist ? ", kept in a file" : "");
}

static void foreign_keep(struct sim *sim, struct sim_record *record)
{
	struct foreign *foreign = calloc(1, sizeof(*foreign));
	if (!foreign) {
		sim_record_finish(record);
		return;
	}
	*foreign = (struct foreign){sim->foreign, *record};
	sim->foreign = foreign;
}

/* A guest of an earlier life: what it did while nobody looked has happened, unheard. */
static void record_adopt(void *ctx, struct sim_record *record)
{
	struct sim *sim = ctx;
	struct sim_behaviour behaviour = sim->settings.behaviour;
	if (strcmp(record->identity, sim->identity) != 0) {
		foreign_keep(sim, record);
		return;
	}
	sim_behaviour_from_cmdline(&behaviour, record->cmdline, NULL);
	uint64_t now = clock_real();
	if (!record->paused && now > record->since)
		record->ran += now - record->since;
	struct guest *guest = guest_add(sim, record, &behaviour);
	if (!guest) {
		sim_record_finish(record);
		return;
	}
	guest->started = true;
	guest->found = true;
	guest->running_since = uv_hrtime();
	if (record->ran >= guest->ready_at)
		guest->ready_at = UINT64_MAX;
	if (record->ran >= guest->die_at || record->ran >= guest->off_at)
		guest_remove(guest);
}

static void list_timer_closed(uv_handle_t *handle)
{
	sim_handle_closed(handle->data);
}

static void sim_destroy(struct launcher *launcher, void (*closed)(void *ctx), void *ctx)
{
	struct sim *sim = (struct sim *)launcher;
	if (sim->settings.persist)
		sim_save(sim, NULL);
	sim->closing = true;
	sim->closed = closed;
	sim->closed_ctx = ctx;
	while (sim->guests)
		guest_remove(sim->guests);
	uv_close((uv_handle_t *)&sim->list_timer, list_timer_closed);
}

static int sim_configure(struct sim *sim, const struct launcher_config *config, struct error *err)
{
	sim_settings_init(&sim->settings);
	for (size_t i = 0; i < config->setting_count; i++) {
		const struct launcher_setting *setting = &config->settings[i];
		int r = sim_settings_set(&sim->settings, setting->key, setting->value, err);
		if (r < 0)
			return r;
	}
	if (sim->settings.persist)
		sim->settings.capabilities |= LAUNCHER_CAN_OUTLIVE;
	else
		sim->settings.capabilities &= ~(unsigned)LAUNCHER_CAN_OUTLIVE;
	/* xorshift needs a state that is not 0, and neighbours that differ in more than a bit. */
	sim->random = (sim->settings.seed + 1) * 0x9E3779B97F4A7C15ull | 1;
	sim->identity = strdup(config->identity);
	sim->state_dir = strdup(config->state_dir);
	if (!sim->identity || !sim->state_dir)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int sim_create(
	const struct launcher_config *config, struct launcher **out, struct error *err)
{
	extern const struct launcher_ops sim_launcher_ops;
	struct sim *sim = calloc(1, sizeof(*sim));
	if (!sim)
		return error_set(err, -ENOMEM, "out of memory");
	sim->launcher.ops = &sim_launcher_ops;
	sim->loop = config->loop;
	sim->on_event = config->on_event;
	sim->ctx = config->ctx;
	int r = sim_configure(sim, config, err);
	if (r < 0) {
		sim_free(sim);
		return r;
	}
	uv_timer_init(sim->loop, &sim->list_timer);
	sim->list_timer.data = sim;
	sim->open_handles = 1;
	if (sim->settings.persist)
		r = sim_records_load(sim->state_dir, record_adopt, sim, err);
	if (r < 0) {
		sim_destroy(&sim->launcher, NULL, NULL);
		return r;
	}
	*out = &sim->launcher;
	return 0;
}

extern const struct launcher_ops sim_launcher_ops;
const struct launcher_ops sim_launcher_ops = {
	.name = "sim",
	.summary = "a fake hypervisor with chosen delays and faults, for tests and rehearsals",
	.create = sim_create,
	.destroy = sim_destroy,
	.capabilities = sim_capabilities,
	.list = sim_list,
	.start = sim_start,
	.resume = sim_resume,
	.suspend = sim_suspend,
	.stop = sim_stop,
	.describe = sim_describe,
};
