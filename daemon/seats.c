/* SPDX-License-Identifier: ISC */
#include "daemon/seats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "daemon/daemon.h"
#include "daemon/family.h"
#include "daemon/idle.h"
#include "daemon/instance.h"
#include "daemon/marks.h"
#include "policies/instances.h"

static bool is_per_client(const struct service *machine)
{
	return machine->policy->policy.instances.how == POLICY_PER_CLIENT;
}

/* --- what outlives the daemon --- */

static const char nobody[] = "nobody", direct[] = "+direct";

static struct marks marks_of(const struct daemon *daemon)
{
	return (struct marks){daemon->config->state_dir, "seats"};
}

static void make_name(const struct service *machine, char name[MARKS_NAME_SIZE])
{
	snprintf(name, MARKS_NAME_SIZE, "%u", machine->def.id);
}

static void forget(const struct service *machine)
{
	const struct marks marks = marks_of(machine->daemon);
	char name[MARKS_NAME_SIZE];
	make_name(machine, name);
	marks_remove(&marks, name);
}

/* Where it cannot be, the old one is not true any more. */
static void keep(const struct service *machine)
{
	const struct tenant *tenant = &machine->tenant;
	const struct marks marks = marks_of(machine->daemon);
	char name[MARKS_NAME_SIZE], client[IP_ADDRESS_TEXT], text[80];
	snprintf(text, sizeof(text), "%s%s",
		ip_address_is_set(&tenant->client) ? ip_address_print(&tenant->client, client)
						   : nobody,
		tenant->direct ? direct : "");
	make_name(machine, name);
	int rc = marks_put(&marks, name, text);
	if (rc >= 0)
		return;
	log_line(&machine->daemon->log, LOG_WARNING,
		(struct log_about){.service = machine->def.name},
		"whose it is cannot be kept in %s/%s, so a later life of summond ends it: %s",
		marks.parent, marks.folder, strerror(-rc));
	forget(machine);
}

void seats_recall(struct service *machine)
{
	struct tenant *tenant = &machine->tenant;
	const struct marks marks = marks_of(machine->daemon);
	char name[MARKS_NAME_SIZE], text[80];
	make_name(machine, name);
	if (!marks_get(&marks, name, text, sizeof(text)))
		return;
	char *mark = strchr(text, '+');
	if (mark)
		*mark = '\0';
	/* Also where the policy is another by now: seats_settle() ends what was a client's own. */
	tenant->watched =
		strcmp(text, nobody) == 0 || ip_address_parse(text, &tenant->client, NULL) >= 0;
	tenant->direct = mark != NULL;
	tenant->used_at = clock_monotonic();
}

/* --- a machine's lives --- */

/* Nothing of its last life is left, and nobody waits for the next. */
static bool is_gone(const struct service *machine)
{
	return machine->state == STATE_ASLEEP && !machine->summon && machine->daemon->serving;
}

static void vacate(struct service *machine)
{
	struct tenant *tenant = &machine->tenant;
	if (tenant->watched)
		forget(machine);
	*tenant = (struct tenant){
		.before = ip_address_is_set(&tenant->client) ? tenant->client : tenant->before,
		.used_at = tenant->used_at,
	};
}

static void begin_life(struct service *machine)
{
	machine->tenant.ending = false;
	machine->tenant.watched = is_per_client(machine);
	if (machine->tenant.watched)
		keep(machine);
	else
		machine->tenant.client = (struct ip_address){0};
}

void seats_moved(struct service *machine)
{
	const enum lifecycle_state state = machine->state;
	if (!machine->tenant.watched && !machine->tenant.ending && !is_per_client(machine))
		return;
	if (state == STATE_ASLEEP)
		machine->tenant.ending = false;
	if (is_gone(machine))
		vacate(machine);
	else if (state == STATE_CREATING || state == STATE_PREPARING || state == STATE_WARMING)
		begin_life(machine);
}

static void end_life(struct service *machine)
{
	static const char why[] = "its policy has others use it (instances)";
	enum policy_retire how = machine->policy->policy.retire;
	log_line(&machine->daemon->log, LOG_INFO, (struct log_about){.service = machine->def.name},
		"is begun anew: %s", why);
	if (machine->state == STATE_AWAKE) {
		idle_order(
			machine, how == POLICY_RETIRE_SHUTDOWN ? how : POLICY_RETIRE_DESTROY, why);
		return;
	}
	machine->stop_how = LAUNCHER_STOP_DESTROY;
	service_set_error(machine, "%s", why);
	service_post(machine, EVENT_RETIRE);
}

void seats_settle(struct service *machine)
{
	struct tenant *tenant = &machine->tenant;
	const bool per_client = is_per_client(machine);
	if (machine->state == STATE_ASLEEP || machine->removed)
		return;
	if (tenant->watched == per_client || tenant->ending)
		return;
	if (tenant->watched)
		vacate(machine);
	if (machine->state == STATE_PREPARING || machine->state == STATE_PREPARED) {
		begin_life(machine); /* it has not run yet */
		return;
	}
	tenant->ending = true;
	end_life(machine);
}

static bool is_known(const struct daemon *daemon, const char *name)
{
	char *end;
	unsigned long id = strtoul(name, &end, 10);
	const struct service *service = service_by_id(&daemon->registry, (uint32_t)id);
	return !*end && service && service->tenant.watched;
}

void seats_sweep(struct daemon *daemon)
{
	const struct marks marks = marks_of(daemon);
	for (uint32_t id = 0; id < daemon->registry.id_limit; id++) {
		struct service *machine = daemon->registry.by_id[id];
		if (machine && machine->state == STATE_ASLEEP && !machine->summon)
			vacate(machine);
	}
	marks_sweep(&marks, daemon, is_known);
}

/* --- who gets which --- */

void seats_load(const struct service *machine, struct load *load)
{
	if (machine->tenant.ending)
		load->state = machine->summon ? LOAD_STARTING : LOAD_STOPPING;
}

static struct seat seat_of(const struct service *machine, uint64_t now)
{
	const struct tenant *tenant = &machine->tenant;
	const uint64_t active_at = machine->load.active_at;
	struct load load = service_load(machine);
	seats_load(machine, &load);
	struct seat seat = {
		.state = load.state,
		.failing = now<decide_retry_at(&machine->policy->policy, &load),
				   .client = tenant->client, .before = tenant->before,
				   .direct = tenant->direct, .used_at = tenant->used_at>
					   active_at
				   ? tenant->used_at
				   : active_at,
	};
	if (is_gone(machine) && ip_address_is_set(&seat.client)) {
		seat.before = seat.client;
		seat.client = (struct ip_address){0};
	}
	return seat;
}

static struct service *machine_of(struct service *first, unsigned index)
{
	return index == 0 ? first : first->machines[index];
}

static unsigned read_seats(struct service *first, struct seat seats[POLICY_INSTANCES_MAX])
{
	unsigned count = first->policy->policy.instances.count;
	uint64_t now = clock_monotonic();
	if (count > first->machine_count)
		count = first->machine_count;
	for (unsigned i = 0; i < count; i++)
		seats[i] = seat_of(machine_of(first, i), now);
	return count;
}

bool seats_choose(struct service *first, const struct ip_address *client, struct seat_given *given)
{
	struct seat seats[POLICY_INSTANCES_MAX];
	const unsigned count = read_seats(first, seats);
	const uint64_t seed = strtoull(first->daemon->identity + 16, NULL, 16);
	const bool per_client = is_per_client(first);
	*given = (struct seat_given){.machine = first, .client = instances_client(client)};
	struct seating seating = decide_seat(
		first->policy->policy.instances.how, seats, count, &given->client, seed);
	if (!seating.found)
		return false;
	given->machine = machine_of(first, seating.index);
	given->anew = seating.anew;
	given->takes =
		per_client && !ip_address_equal(&seats[seating.index].client, &given->client);
	if (per_client && !given->takes)
		given->machine->tenant.used_at = clock_monotonic();
	return true;
}

bool seats_admit(struct service *machine, const struct ip_address *client, struct seat_given *given)
{
	struct seat seats[POLICY_INSTANCES_MAX];
	struct tenant *tenant = &machine->tenant;
	const unsigned index = family_number(machine->def.name) - 1;
	*given = (struct seat_given){
		.machine = machine, .client = instances_client(client), .direct = true};
	if (!is_per_client(machine))
		return true;
	const unsigned count = read_seats(machine->first, seats);
	enum visit visit =
		index < count ? decide_visit(seats, count, index, &given->client) : VISIT_STRANGER;
	given->takes = visit == VISIT_TAKES;
	if (visit == VISIT_WELCOME && !tenant->direct &&
		ip_address_equal(&tenant->client, &given->client)) {
		tenant->direct = true;
		if (tenant->watched)
			keep(machine);
	}
	return visit != VISIT_STRANGER;
}

void seats_take(const struct seat_given *given)
{
	struct service *machine = given->machine;
	struct tenant *tenant = &machine->tenant;
	char text[IP_ADDRESS_TEXT];
	if (!given->takes)
		return;
	tenant->client = given->client;
	tenant->direct = given->direct;
	tenant->used_at = clock_monotonic();
	log_line(&machine->daemon->log, LOG_INFO, (struct log_about){.service = machine->def.name},
		"is %s's", ip_address_print(&tenant->client, text));
	/* Until what is there has gone, a later daemon must not take it for this client's. */
	if (given->anew || tenant->ending)
		forget(machine);
	else if (tenant->watched)
		keep(machine);
	if (!given->anew)
		return;
	machine->stop_how = LAUNCHER_STOP_DESTROY;
	service_set_error(machine, "another client needed its place");
	service_post(machine, EVENT_RETIRE);
}
