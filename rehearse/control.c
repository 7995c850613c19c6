/* SPDX-License-Identifier: ISC */
#include "daemon/control.h"

#include <errno.h>
#include <stdlib.h>

#include "base/units.h"
#include "daemon/instance.h"
#include "rehearse/rehearsal.h"

/* In the place of the control API: nobody listens but the rehearsal, to each change of state. */
struct control {
	struct rehearsal *rehearsal;
};

int control_create(struct daemon *daemon, struct control **out, struct error *err)
{
	struct control *control = malloc(sizeof(*control));
	if (!control)
		return error_set(err, -ENOMEM, "out of memory");
	control->rehearsal = rehearsal_of(daemon);
	*out = control;
	return 0;
}

void control_destroy(struct control *control)
{
	free(control);
}

/* --- where the time goes --- */

static enum spell spell_of(const struct service *service, enum lifecycle_state state)
{
	static const enum spell spells[STATE_COUNT] = {
		[STATE_ASLEEP] = SPELL_NOTHING,
		[STATE_PREPARING] = SPELL_PREPARED,
		[STATE_PREPARED] = SPELL_PREPARED,
		[STATE_HURRYING] = SPELL_STARTING,
		[STATE_WARMING] = SPELL_STARTING,
		[STATE_SUSPENDING] = SPELL_SUSPENDED,
		[STATE_SUSPENDED] = SPELL_SUSPENDED,
		[STATE_DEEPENING] = SPELL_SUSPENDED,
		[STATE_RECALLED] = SPELL_SUSPENDED,
		[STATE_CREATING] = SPELL_STARTING,
		[STATE_UNPAUSING] = SPELL_STARTING,
		[STATE_RESUMING] = SPELL_STARTING,
		[STATE_BOOTING] = SPELL_STARTING,
		[STATE_AWAKE] = SPELL_AWAKE,
		[STATE_STOPPING] = SPELL_STOPPING,
		[STATE_RESTARTING] = SPELL_STOPPING,
	};
	bool at_rest = spells[state] == SPELL_SUSPENDED;
	return at_rest && service->instance && service->instance->on_disk ? SPELL_NOTHING
									  : spells[state];
}

void rehearsal_account(
	struct rehearsal *rehearsal, const struct service *service, enum lifecycle_state state)
{
	struct actor *actor = rehearsal_actor(rehearsal, service->def.id);
	uint64_t now = clock_monotonic(), took = now - actor->since;
	uint64_t memory =
		service->def.memory ? service->def.memory : rehearsal->daemon.config->guest.memory;
	enum spell spell = spell_of(service, state);
	struct figures *figures = rehearsal_figures(rehearsal, service->def.id);
	actor->since = now;
	figures->spells[spell] += took;
	if (spell != SPELL_NOTHING)
		figures->memory[spell] += (double)took / 1e9 * (double)memory;
}

/* --- what was started --- */

static enum figure resumed(const struct service *service, const struct lifecycle_row *row)
{
	if (row->next == STATE_UNPAUSING)
		return STARTS_PREPARED;
	return service->instance && service->instance->on_disk ? STARTS_RESTORED : STARTS_RESUMED;
}

/* Told before the row's effects run, so that the instance is still as it was. */
void control_announce_transition(struct control *control, const struct service *service,
	const struct lifecycle_row *row, uint64_t summon)
{
	(void)summon;
	if (!control)
		return;
	const uint32_t id = service->def.id;
	rehearsal_account(control->rehearsal, service, row->state);
	for (size_t i = 0; row->effects[i]; i++) {
		if (row->effects[i] == EFFECT_START)
			rehearsal_count(control->rehearsal, id,
				row->next == STATE_WARMING ? STARTS_AHEAD : STARTS_COLD);
		else if (row->effects[i] == EFFECT_START_PAUSED)
			rehearsal_count(control->rehearsal, id, STARTS_AHEAD);
		else if (row->effects[i] == EFFECT_RESUME)
			rehearsal_count(control->rehearsal, id, resumed(service, row));
		else if (row->effects[i] == EFFECT_COUNT_FAILURE)
			rehearsal_count(control->rehearsal, id, STARTS_FAILED);
	}
}

/* --- what is said to nobody --- */

void control_announce_summon(struct control *control, const struct summon *summon,
	const char *outcome, const char *detail)
{
	(void)control;
	(void)summon;
	(void)outcome;
	(void)detail;
}

void control_announce_service(struct control *control, const char *name, const char *change)
{
	(void)control;
	(void)name;
	(void)change;
}

void control_announce_output(
	struct control *control, const struct service *service, const uint8_t *data, size_t length)
{
	(void)control;
	(void)service;
	(void)data;
	(void)length;
}

void control_end_output(struct control *control, const struct service *service)
{
	(void)control;
	(void)service;
}

void control_measured(struct control *control, const struct service *service,
	const struct launcher_figures *figures)
{
	(void)control;
	(void)service;
	(void)figures;
}
