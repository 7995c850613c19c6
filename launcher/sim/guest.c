/* SPDX-License-Identifier: ISC */
#include "launcher/sim/guest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

static void life_happens(uv_timer_t *timer);

static uint64_t random_next(struct sim *sim) /* xorshift64* */
{
	sim->random ^= sim->random >> 12;
	sim->random ^= sim->random << 25;
	sim->random ^= sim->random >> 27;
	return sim->random * 0x2545F4914F6CDD1Dull;
}

bool chance_strikes(struct sim *sim, struct sim_chance chance, unsigned count)
{
	if (chance.every)
		return count % chance.every == 0;
	return chance.percent && random_next(sim) % 100 < chance.percent;
}

uint64_t guest_vary(struct guest *guest, uint64_t delay)
{
	uint64_t jitter = guest->behaviour.jitter;
	if (jitter == 0 || delay == 0 || delay == UINT64_MAX)
		return delay;
	uint64_t span = delay / 100 * jitter;
	return delay - span + random_next(guest->sim) % (2 * span + 1);
}

uint64_t timer_ms(uint64_t ns)
{
	return (ns + NS_PER_MS - 1) / NS_PER_MS;
}

uint64_t guest_ran(const struct guest *guest)
{
	if (!guest->started || guest->record.paused)
		return guest->record.ran;
	return guest->record.ran + (uv_hrtime() - guest->running_since);
}

int sim_save(struct sim *sim, struct error *err)
{
	FILE *file;
	if (!sim->settings.persist)
		return 0;
	int r = sim_records_begin(sim->state_dir, &file, err);
	if (r < 0)
		return r;
	for (struct foreign *foreign = sim->foreign; foreign; foreign = foreign->next)
		sim_records_put(file, &foreign->record);
	for (struct guest *guest = sim->guests; guest; guest = guest->next) {
		struct sim_record record = guest->record;
		record.ran = guest_ran(guest);
		record.since = clock_real();
		if (guest->started)
			sim_records_put(file, &record);
	}
	return sim_records_commit(sim->state_dir, file, err);
}

struct guest *guest_find(const struct sim *sim, struct instance_id id)
{
	for (struct guest *guest = sim->guests; guest; guest = guest->next)
		if (instance_id_equal(guest->record.id, id))
			return guest;
	return NULL;
}

void sim_free(struct sim *sim)
{
	while (sim->foreign) {
		struct foreign *foreign = sim->foreign;
		sim->foreign = foreign->next;
		sim_record_finish(&foreign->record);
		free(foreign);
	}
	free(sim->identity);
	free(sim->state_dir);
	free(sim);
}

void sim_handle_closed(struct sim *sim)
{
	if (--sim->open_handles > 0 || !sim->closing)
		return;
	void (*closed)(void *ctx) = sim->closed;
	void *ctx = sim->closed_ctx;
	sim_free(sim);
	if (closed)
		closed(ctx);
}

static void guest_handle_closed(uv_handle_t *handle)
{
	struct guest *guest = handle->data;
	struct sim *sim = guest->sim;
	if (--guest->open_handles == 0) {
		while (guest->queue) {
			struct operation *operation = guest->queue;
			guest->queue = operation->next;
			free(operation);
		}
		sim_record_finish(&guest->record);
		free(guest);
	}
	sim_handle_closed(sim);
}

void guest_remove(struct guest *guest)
{
	struct guest **link = &guest->sim->guests;
	while (*link != guest)
		link = &(*link)->next;
	*link = guest->next;
	guest->gone = true;
	uv_close((uv_handle_t *)&guest->operation_timer, guest_handle_closed);
	uv_close((uv_handle_t *)&guest->life_timer, guest_handle_closed);
}

struct guest *guest_add(
	struct sim *sim, struct sim_record *record, const struct sim_behaviour *behaviour)
{
	struct guest *guest = calloc(1, sizeof(*guest));
	if (!guest)
		return NULL;
	*guest = (struct guest){.sim = sim,
		.next = sim->guests,
		.record = *record,
		.behaviour = *behaviour,
		.open_handles = 2};
	guest->die_at = guest_vary(guest, behaviour->die_after);
	guest->off_at = guest_vary(guest, behaviour->off_after);
	guest->ready_at = UINT64_MAX;
	if (!behaviour->never_ready && (sim->settings.capabilities & LAUNCHER_CAN_CONSOLE))
		guest->ready_at = guest_vary(guest, behaviour->boot_delay);
	uv_timer_init(sim->loop, &guest->operation_timer);
	uv_timer_init(sim->loop, &guest->life_timer);
	guest->operation_timer.data = guest;
	guest->life_timer.data = guest;
	sim->open_handles += 2;
	sim->guests = guest;
	return guest;
}

void guest_emit(struct guest *guest, struct launcher_event event)
{
	event.id = guest->record.id;
	guest->sim->on_event(guest->sim->ctx, &event);
}

static void guest_end(struct guest *guest, struct launcher_event event)
{
	guest_remove(guest);
	sim_save(guest->sim, NULL);
	guest_emit(guest, event);
}

void guest_exits(struct guest *guest, enum launcher_exit how)
{
	struct launcher_event event = {.type = LAUNCHER_EXITED, .exit = how};
	if (how == LAUNCHER_EXIT_CRASHED)
		error_set(&event.error, -EIO, "sim: the guest crashed, as it was told to");
	guest_end(guest, event);
}

void guest_start_fails(struct guest *guest, int code, const char *why)
{
	struct launcher_event event = {.type = LAUNCHER_START_FAILED};
	error_set(&event.error, code, "sim: %s", why);
	guest_end(guest, event);
}

void guest_plan(struct guest *guest)
{
	uint64_t next = guest->ready_at, ran = guest_ran(guest);
	if (guest->die_at < next)
		next = guest->die_at;
	if (guest->off_at < next)
		next = guest->off_at;
	if (!guest->started || guest->record.paused || next == UINT64_MAX)
		uv_timer_stop(&guest->life_timer);
	else
		uv_timer_start(
			&guest->life_timer, life_happens, next > ran ? timer_ms(next - ran) : 0, 0);
}

static void guest_is_ready(struct guest *guest)
{
	char line[128];
	int length = snprintf(line, sizeof(line), "summond: ready after %llu us\n%s%s",
		guest->ready_at / NS_PER_US, guest->behaviour.busy ? "summond: busy\n" : "",
		guest->behaviour.done ? "summond: retire\n" : "");
	guest->ready_at = UINT64_MAX;
	guest_emit(guest, (struct launcher_event){.type = LAUNCHER_OUTPUT,
				  .data = (uint8_t *)line,
				  .length = (size_t)length});
}

static void life_happens(uv_timer_t *timer)
{
	struct guest *guest = timer->data;
	uint64_t ran = guest_ran(guest);
	if (ran >= guest->ready_at)
		guest_is_ready(guest);
	if (guest->gone)
		return;
	if (ran >= guest->die_at)
		guest_exits(guest, LAUNCHER_EXIT_CRASHED);
	else if (ran >= guest->off_at)
		guest_exits(guest, LAUNCHER_EXIT_SHUTDOWN);
	else
		guest_plan(guest);
}

void guest_run(struct guest *guest)
{
	guest->record.paused = guest->record.saved = false;
	guest->record.booted = true;
	guest->running_since = uv_hrtime();
	guest_plan(guest);
}

void guest_pause(struct guest *guest)
{
	guest->record.ran = guest_ran(guest);
	guest->record.paused = true;
	guest_plan(guest);
}
