/* SPDX-License-Identifier: ISC */
#include "launcher/link/doorbell.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "daemon/instance.h"
#include "rehearse/rehearsal.h"

/* In the place of the doorbell's device: packets are those of the trace. They wait in the real
 * parking, and carry the time of their arrival as their content. */

enum fate { FATE_NONE, FATE_WAITS, FATE_FULL, FATE_PASSED };

struct doorbell {
	struct rehearsal *rehearsal;
	doorbell_fn rang;
	void *ctx;
	struct parking parking;
	enum fate fate; /* of the packet in hand */
	uint32_t sequence;
	struct doorbell_counters counters;
};

int doorbell_create(uv_loop_t *loop, struct link *link, const struct doorbell_config *config,
	struct doorbell **out, struct error *err)
{
	(void)loop;
	(void)link;
	struct doorbell *doorbell = calloc(1, sizeof(*doorbell));
	if (!doorbell)
		return error_set(err, -ENOMEM, "out of memory");
	doorbell->rehearsal = rehearsal_of(config->ctx);
	doorbell->rang = config->rang;
	doorbell->ctx = config->ctx;
	doorbell->parking.limits = config->limits;
	*out = doorbell;
	return 0;
}

void doorbell_destroy(struct doorbell *doorbell, bool remove_all)
{
	(void)remove_all;
	free(doorbell);
}

/* --- packets --- */

/* Counted as use at the next look. */
static void guest_gets_it(const struct service *service)
{
	const uint64_t one = 1;
	int usage = service->instance ? service->instance->usage : -1;
	if (usage >= 0 && write(usage, &one, sizeof(one)) < 0)
		return; /* it has very many already */
}

static void passed(struct rehearsal *rehearsal, const struct service *service)
{
	guest_gets_it(service);
	rehearsal_count(rehearsal, service->def.id, PACKETS_AT_ONCE);
	rehearsal_handed_over(rehearsal, service->def.id, 0);
}

static void refuse(struct rehearsal *rehearsal, const struct service *service, const char *why)
{
	char reason[64];
	snprintf(reason, sizeof(reason), "packets: %s", why);
	rehearsal_refuse(rehearsal, service->def.id, PACKETS_REFUSED, reason);
}

/* What the door has said, by the counter that has gone up. */
static const char *verdict(const struct service *service, const uint64_t before[RING_VERDICTS])
{
	for (enum ring_verdict i = 0; i < RING_VERDICTS; i++)
		if (service->door.verdicts[i] != before[i])
			return ring_verdict_name(i);
	return "not heard";
}

static void ring(struct doorbell *doorbell, struct service *service, struct packet *packet)
{
	uint64_t before[RING_VERDICTS];
	memcpy(before, service->door.verdicts, sizeof(before));
	doorbell->fate = FATE_NONE;
	doorbell->counters.rang++;
	doorbell->rang(doorbell->ctx, packet);
	if (doorbell->fate == FATE_PASSED)
		passed(doorbell->rehearsal, service);
	else if (doorbell->fate == FATE_FULL)
		refuse(doorbell->rehearsal, service, "no place to wait");
	else if (doorbell->fate == FATE_NONE)
		refuse(doorbell->rehearsal, service, verdict(service, before));
}

/* Where the client has been told to send it. */
static struct service *machine_for(struct service *service, const struct ip_address *source)
{
	struct seat_given given;
	bool several = service->policy->policy.instances.how != POLICY_ONE;
	return several && seats_choose(service, source, &given) ? given.machine : service;
}

void rehearsal_packet(
	struct rehearsal *rehearsal, struct service *service, const struct trace_event *event)
{
	static const enum packet_kind kinds[] = {
		[TRACE_TCP] = PACKET_TCP_SYN, [TRACE_UDP] = PACKET_UDP, [TRACE_PING] = PACKET_PING};
	struct doorbell *doorbell = rehearsal->daemon.doorbell;
	uint64_t now = clock_monotonic();
	service = machine_for(service, &event->source);
	struct packet packet = {
		.kind = kinds[event->kind],
		.source = event->source,
		.destination =
			event->source.family == AF_INET ? service->def.ipv4 : service->def.ipv6,
		.port = event->number,
		.data = (uint8_t *)&now,
		.length = sizeof(now),
	};
	rehearsal_count(rehearsal, service->def.id, PACKETS);
	if (!doorbell) {
		refuse(rehearsal, service, "guests have no network");
	} else if (!ip_address_is_set(&packet.destination)) {
		refuse(rehearsal, service, "no address of that family");
	} else if (service->instance && service->instance->open) {
		passed(rehearsal, service);
	} else {
		packet.sequence = doorbell->sequence++; /* none is another one sent again */
		ring(doorbell, service, &packet);
	}
}

/* --- what becomes of them --- */

enum parking_result doorbell_park(
	struct doorbell *doorbell, struct parking_lot *lot, const struct packet *packet)
{
	enum parking_result result = parking_add(&doorbell->parking, lot, packet);
	doorbell->fate = result == PARKING_TAKEN ? FATE_WAITS : FATE_FULL;
	return result;
}

void doorbell_pass(
	struct doorbell *doorbell, const struct packet *packet, const struct mac_address *mac)
{
	(void)packet;
	(void)mac;
	doorbell->fate = FATE_PASSED;
}

static struct service *owner(struct parking_lot *lot)
{
	return (struct service *)(void *)((char *)lot - offsetof(struct service, door.lot));
}

unsigned doorbell_replay(
	struct doorbell *doorbell, struct parking_lot *lot, const struct mac_address *mac)
{
	(void)mac;
	unsigned count = 0;
	const struct service *service = owner(lot);
	for (struct parked *parked; (parked = parking_take(&doorbell->parking, lot)); count++) {
		uint64_t arrived;
		memcpy(&arrived, parked->data, sizeof(arrived));
		free(parked);
		guest_gets_it(service);
		rehearsal_count(doorbell->rehearsal, service->def.id, PACKETS_WAITED);
		rehearsal_handed_over(
			doorbell->rehearsal, service->def.id, clock_monotonic() - arrived);
	}
	return count;
}

void doorbell_refuse(struct doorbell *doorbell, struct parking_lot *lot, enum packet_answer answer)
{
	(void)answer;
	for (struct parked *parked; (parked = parking_take(&doorbell->parking, lot));) {
		rehearsal_count(doorbell->rehearsal, owner(lot)->def.id, PACKETS_FAILED);
		free(parked);
	}
}

void doorbell_clear(struct doorbell *doorbell, struct parking_lot *lot)
{
	parking_clear(&doorbell->parking, lot);
}

/* --- what goes without saying --- */

int doorbell_admit(struct doorbell *doorbell, const struct ip_address *address, struct error *err)
{
	(void)doorbell;
	(void)address;
	(void)err;
	return 0;
}

int doorbell_dismiss(struct doorbell *doorbell, const struct ip_address *address, struct error *err)
{
	return doorbell_admit(doorbell, address, err);
}

/* Nobody changes what is not there. */
int doorbell_watch(struct doorbell *doorbell, watch_fn changed, void *ctx, struct error *err)
{
	(void)doorbell;
	(void)changed;
	(void)ctx;
	(void)err;
	return 0;
}

int doorbell_restore(struct doorbell *doorbell, struct error *err)
{
	(void)doorbell;
	(void)err;
	return 0;
}

void doorbell_restored(struct doorbell *doorbell)
{
	(void)doorbell;
}

int doorbell_prune(struct doorbell *doorbell,
	bool (*keep)(void *ctx, const struct ip_address *address), void *ctx, struct error *err)
{
	(void)doorbell;
	(void)keep;
	(void)ctx;
	(void)err;
	return 0;
}

void doorbell_drain(struct doorbell *doorbell)
{
	(void)doorbell;
}

void doorbell_answer(
	struct doorbell *doorbell, const struct packet *packet, enum packet_answer answer)
{
	(void)doorbell;
	(void)packet;
	(void)answer;
}

void doorbell_announce(
	struct doorbell *doorbell, const struct ip_address *address, const struct mac_address *mac)
{
	(void)doorbell;
	(void)address;
	(void)mac;
}

void doorbell_announce_soon(
	struct doorbell *doorbell, const struct ip_address *address, const struct mac_address *mac)
{
	(void)doorbell;
	(void)address;
	(void)mac;
}

/* Guests that are quick and say nothing of themselves. */
int doorbell_hear(struct doorbell *doorbell, const char *tap, const struct mac_address *mac,
	claims_fn heard, void *ctx, struct claims **out, struct error *err)
{
	(void)doorbell;
	(void)tap;
	(void)mac;
	(void)heard;
	(void)ctx;
	(void)err;
	*out = NULL;
	return 0;
}

void doorbell_ask(
	struct doorbell *doorbell, const struct ip_address *address, const struct mac_address *mac)
{
	(void)doorbell;
	(void)address;
	(void)mac;
}

void claims_end(struct claims *claims)
{
	(void)claims;
}

const char *doorbell_hindrance(const struct doorbell *doorbell)
{
	(void)doorbell;
	return "";
}

struct doorbell_counters doorbell_counters(const struct doorbell *doorbell)
{
	(void)doorbell;
	return (struct doorbell_counters){0};
}
