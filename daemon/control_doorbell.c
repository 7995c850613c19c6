/* SPDX-License-Identifier: ISC */
#include <stdio.h>

#include "daemon/control_internal.h"

/* What has rung, and what became of it. */

static void set(json_t *json, const char *key, uint64_t value)
{
	json_object_set_new(json, key, json_integer((json_int_t)value));
}

json_t *control_door_json(const struct service *service)
{
	const struct door *door = &service->door;
	json_t *json = json_object();
	set(json, "waiting", door->lot.count);
	set(json, "replayed", door->replayed);
	set(json, "repeated", door->repeated);
	set(json, "full", door->full);
	for (enum ring_verdict verdict = 0; verdict < RING_VERDICTS; verdict++)
		set(json, ring_verdict_name(verdict), door->verdicts[verdict]);
	return json;
}

json_t *control_doorbell_json(const struct daemon *daemon)
{
	if (!daemon->doorbell)
		return json_object();
	const struct doorbell_counters c = doorbell_counters(daemon->doorbell);
	const struct {
		const char *name;
		uint64_t value;
	} counters[] = {
		{"rang", c.rang},
		{"noise", c.noise},
		{"malformed", c.malformed},
		{"unknown", daemon->unknown_rings},
		{"parked", c.parked},
		{"repeated", c.repeated},
		{"full", c.full},
		{"alone", c.alone},
		{"replayed", c.replayed},
		{"passed", c.passed},
		{"lost", c.lost},
		{"answered", c.answered},
		{"unanswered", c.unanswered},
		{"solicited", c.solicited},
		{"waiting", c.waiting},
		{"waiting_bytes", c.waiting_bytes},
		{"healed", daemon->heal.healed},
	};
	json_t *json = json_object();
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		set(json, counters[i].name, counters[i].value);
	return json;
}

const char *control_doorbell_check(const struct daemon *daemon, char *text, size_t size)
{
	const struct config *config = daemon->config;
	const char *hindrance = doorbell_hindrance(daemon->doorbell);
	const struct doorbell_counters c = doorbell_counters(daemon->doorbell);
	unsigned long long refused[RING_VERDICTS] = {0};
	struct service *service, *next;
	HASH_ITER(hh, daemon->registry.by_name, service, next)
	{
		for (size_t i = 0; i < RING_VERDICTS; i++)
			refused[i] += service->door.verdicts[i];
	}
	int used = snprintf(text, size,
		"packets to sleeping guests ring at %s: %llu rang, %llu woke a guest, %u wait, "
		"%llu "
		"found no place; refused:",
		config->network.doorbell, (unsigned long long)c.rang, refused[RING_WAKE], c.waiting,
		(unsigned long long)c.full);
	for (size_t i = RING_DEAD; i < RING_VERDICTS && used > 0 && (size_t)used < size; i++)
		used += snprintf(text + used, size - (size_t)used, " %s %llu",
			ring_verdict_name((enum ring_verdict)i), refused[i]);
	if (*hindrance && used > 0 && (size_t)used < size)
		snprintf(text + used, size - (size_t)used, "; %s", hindrance);
	return *hindrance ? "warning" : "ok";
}
