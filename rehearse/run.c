/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdio.h>

#include "base/units.h"
#include "daemon/names.h"
#include "rehearse/clock.h"
#include "rehearse/rehearsal.h"

/* The trace through the daemon, event by event, and what is counted of it. */

struct rehearsal *rehearsal_of(struct daemon *daemon)
{
	return (struct rehearsal *)(void *)((char *)daemon - offsetof(struct rehearsal, daemon));
}

struct actor *rehearsal_actor(struct rehearsal *rehearsal, uint32_t service)
{
	return &rehearsal->actors[service < rehearsal->actor_count ? service : 0];
}

struct figures *rehearsal_figures(struct rehearsal *rehearsal, uint32_t id)
{
	const struct service *service = service_by_id(&rehearsal->daemon.registry, id);
	return &rehearsal_actor(rehearsal, service ? service->first->def.id : 0)->figures;
}

/* --- counting --- */

void rehearsal_count(struct rehearsal *rehearsal, uint32_t service, enum figure figure)
{
	rehearsal_figures(rehearsal, service)->counts[figure]++;
}

void rehearsal_refuse(
	struct rehearsal *rehearsal, uint32_t service, enum figure figure, const char *why)
{
	unsigned reason = reasons_find(&rehearsal->reasons, why);
	rehearsal_count(rehearsal, service, figure);
	figures_refuse(rehearsal_figures(rehearsal, service), reason);
	figures_refuse(&rehearsal->total, reason);
}

/* What does not fit into memory is missing in the percentiles alone. */
void rehearsal_answered(struct rehearsal *rehearsal, uint32_t service, uint64_t waited)
{
	spread_add(&rehearsal_figures(rehearsal, service)->answers, waited);
	spread_add(&rehearsal->total.answers, waited);
}

void rehearsal_handed_over(struct rehearsal *rehearsal, uint32_t service, uint64_t waited)
{
	spread_add(&rehearsal_figures(rehearsal, service)->packets, waited);
	spread_add(&rehearsal->total.packets, waited);
}

/* --- time --- */

/* Runs whatever is due. All that happens comes from timers, in the order of the loop; no other thread
 * has a say in it. */
static void settle(struct daemon *daemon)
{
	do
		uv_run(&daemon->loop, UV_RUN_NOWAIT);
	while (!daemon->ending && uv_loop_alive(&daemon->loop) &&
		uv_backend_timeout(&daemon->loop) == 0);
}

/* When the next timer is due (monotonic). libuv's clock has milliseconds, rounded down. */
static uint64_t next_due(const struct daemon *daemon)
{
	int wait = uv_backend_timeout(&daemon->loop);
	/* With nothing to wait for, libuv does not wait. */
	if (wait < 0 || !uv_loop_alive(&daemon->loop))
		return UINT64_MAX;
	return (uv_now(&daemon->loop) + (uint64_t)wait) * NS_PER_MS;
}

/* What is due at the same time as an event of the trace comes first. */
static void pass_until(struct daemon *daemon, uint64_t time)
{
	for (;;) {
		settle(daemon);
		uint64_t due = next_due(daemon);
		if (due > time || daemon->ending)
			break;
		rehearsal_clock_set(due);
	}
	rehearsal_clock_set(time);
}

/* --- events --- */

static void happen(struct rehearsal *rehearsal, const struct trace_event *event)
{
	const struct registry *registry = &rehearsal->daemon.registry;
	struct service *service = service_by_name(registry, event->name);
	if (!service)
		service = service_by_other_name(registry, event->name);
	rehearsal->events++;
	if (!service)
		rehearsal->strangers++;
	else if (event->kind == TRACE_QUERY)
		rehearsal_query(rehearsal, service, event->number, &event->source);
	else
		rehearsal_packet(rehearsal, service, event);
}

int rehearsal_run(struct rehearsal *rehearsal, struct trace *trace, struct trace_event *event,
	uint64_t tail, struct error *err)
{
	struct daemon *daemon = &rehearsal->daemon;
	uint64_t now = rehearsal->began = clock_monotonic();
	rehearsal->began_real = clock_real();
	settle(daemon); /* until it serves */
	int more = 1;
	while (more > 0 && !daemon->ending) {
		now = rehearsal->began + (event->at - rehearsal->began_real);
		pass_until(daemon, now);
		happen(rehearsal, event);
		more = trace_next(trace, event, err);
	}
	if (more >= 0)
		pass_until(daemon, now + tail);
	rehearsal->ended = clock_monotonic();
	if (daemon->ending)
		return error_set(err, -EINTR, "interrupted");
	return more;
}

/* --- the report --- */

static json_t *service_json(struct rehearsal *rehearsal, const struct service *service)
{
	const struct figures *figures = rehearsal_figures(rehearsal, service->def.id);
	char memory[SIZE_TEXT];
	uint64_t bytes =
		service->def.memory ? service->def.memory : rehearsal->daemon.config->guest.memory;
	json_t *json = figures_json(figures, &rehearsal->reasons);
	json_object_set_new(json, "name", json_string(service->def.name));
	json_object_set_new(json, "policy", json_string(service->def.policy));
	json_object_set_new(json, "memory", json_string(size_print(bytes, memory)));
	return json;
}

/* What is under way at the end; of all its machines. */
static void close_account(struct rehearsal *rehearsal, const struct service *service)
{
	struct figures *figures = rehearsal_figures(rehearsal, service->def.id);
	uint64_t *counts = figures->counts;
	for (unsigned i = 0; i < service->machine_count; i++) {
		const struct service *machine = i ? service->machines[i] : service;
		rehearsal_account(rehearsal, machine, machine->state);
		counts[PACKETS_OPEN] += machine->door.lot.count;
	}
	counts[QUERIES_OPEN] = counts[QUERIES] - counts[QUERIES_AT_ONCE] - counts[QUERIES_NO_WAKE] -
			       counts[QUERIES_WAITED] - counts[QUERIES_DEADLINE] -
			       counts[QUERIES_FAILED] - counts[QUERIES_REFUSED];
	figures_sum(&rehearsal->total, figures);
}

json_t *rehearsal_report(struct rehearsal *rehearsal)
{
	const struct registry *registry = &rehearsal->daemon.registry;
	json_t *services = json_array();
	for (uint32_t id = 0; id < registry->id_limit; id++) {
		if (!registry->by_id[id] || registry->by_id[id]->first != registry->by_id[id])
			continue;
		close_account(rehearsal, registry->by_id[id]);
		json_array_append_new(services, service_json(rehearsal, registry->by_id[id]));
	}
	return json_pack("{s:I, s:I, s:f, s:o, s:o}", "events", (json_int_t)rehearsal->events,
		"strangers", (json_int_t)rehearsal->strangers, "seconds",
		(double)(rehearsal->ended - rehearsal->began) / 1e9, "total",
		figures_json(&rehearsal->total, &rehearsal->reasons), "services", services);
}
