/* SPDX-License-Identifier: ISC */
#include "daemon/door.h"

#include <netinet/in.h>
#include <stdio.h>

#include "base/units.h"
#include "daemon/daemon.h"
#include "daemon/guard.h"
#include "daemon/idle.h"
#include "daemon/instance.h"
#include "daemon/summon.h"

/* --- whose packet it is --- */

struct service *door_owner(const struct daemon *daemon, const struct ip_address *address)
{
	const char *name = addresses_owner(
		address->family == AF_INET ? &daemon->addresses : &daemon->addresses6, address);
	struct service *service = name ? service_by_name(&daemon->registry, name) : NULL;
	/* A name that has another address now keeps its earlier ones from others. */
	return service && ip_address_listed(service->def.addresses, address) ? service : NULL;
}

static bool is_ours(void *ctx, const struct ip_address *address)
{
	const struct service *service = door_owner(ctx, address);
	return service && !(service->instance && service->instance->open);
}

static bool is_guests(void *ctx, const struct ip_address *address, struct mac_address *mac)
{
	const struct service *service = door_owner(ctx, address);
	if (!service || !service->instance || !service->instance->open)
		return false;
	*mac = service->mac;
	return true;
}

/* --- what becomes of it --- */

static const enum ring_kind kinds[] = {
	[PACKET_TCP_SYN] = RING_CONNECT,
	[PACKET_TCP_MORE] = RING_SEGMENT,
	[PACKET_TCP_RESET] = RING_OTHER,
	[PACKET_UDP] = RING_DATAGRAM,
	[PACKET_PING] = RING_PING,
	[PACKET_FRAGMENT] = RING_OTHER,
	[PACKET_OTHER] = RING_OTHER,
};

static void describe_cause(const struct packet *packet, char cause[SUMMON_CAUSE_MAX + 1])
{
	static const char *const protocols[] = {
		[RING_CONNECT] = "TCP",
		[RING_SEGMENT] = "TCP (open connection)",
		[RING_DATAGRAM] = "UDP",
		[RING_PING] = "ping",
		[RING_OTHER] = "other",
	};
	char from[IP_ADDRESS_TEXT];
	ip_address_print(&packet->source, from);
	if (packet->kind == PACKET_PING)
		snprintf(cause, SUMMON_CAUSE_MAX + 1, "packet ping from %s", from);
	else
		snprintf(cause, SUMMON_CAUSE_MAX + 1, "packet %s port %u from %s@%u",
			protocols[kinds[packet->kind]], packet->port, from, packet->source_port);
}

static void keep(struct service *service, const struct packet *packet)
{
	enum parking_result result =
		doorbell_park(service->daemon->doorbell, &service->door.lot, packet);
	service->door.full += result == PARKING_FULL;
	service->door.repeated += result == PARKING_KNOWN;
}

static void wake(struct service *service, const struct packet *packet, uint64_t now)
{
	char cause[SUMMON_CAUSE_MAX + 1];
	describe_cause(packet, cause);
	keep(service, packet);
	service->load.active_at = now;
	/* Where there is no place or no memory, the client sends again. */
	service_demand(service, cause, now);
}

/* What a client hears of a packet that is refused; what is not here is dropped without a word: the
 * client's next try may be let in, or it asked for nothing that an answer could help with. */
static const struct {
	bool told;
	enum packet_answer tcp, other;
} answers[RING_VERDICTS] = {
	[RING_DEAD] = {true, PACKET_ANSWER_RESET, PACKET_ANSWER_HOST},
	[RING_PORT] = {true, PACKET_ANSWER_RESET, PACKET_ANSWER_PORT},
	[RING_FROM] = {true, PACKET_ANSWER_PROHIBITED, PACKET_ANSWER_PROHIBITED},
	[RING_CLOSED] = {true, PACKET_ANSWER_HOST, PACKET_ANSWER_HOST},
	[RING_BACKOFF] = {true, PACKET_ANSWER_HOST, PACKET_ANSWER_HOST},
};

static void turn_away(struct daemon *daemon, const struct packet *packet, enum ring_verdict verdict)
{
	bool tcp = packet->kind == PACKET_TCP_SYN || packet->kind == PACKET_TCP_MORE;
	if (answers[verdict].told)
		doorbell_answer(daemon->doorbell, packet,
			tcp ? answers[verdict].tcp : answers[verdict].other);
}

/* A later piece of a datagram goes where its first piece went. */
static void take_fragment(
	struct service *service, const struct packet *packet, const struct load *load)
{
	if (load->state == LOAD_AWAKE)
		doorbell_pass(service->daemon->doorbell, packet, &service->mac);
	else
		keep(service, packet);
}

/* The budgets of all demand, and the networks that may start nothing. That the client is where the
 * packet says cannot be known before it is answered: ring_from and the budgets stand for that. */
static enum ring_verdict ask_guard(
	struct service *service, const struct packet *packet, uint64_t now)
{
	char reason[128];
	struct sockaddr_storage from;
	ip_address_to_sockaddr(&packet->source, packet->source_port, &from);
	const struct guard_client client = {(const struct sockaddr *)&from, .verified = true};
	if (service->backend->failure[0])
		return RING_BACKOFF;
	enum guard_verdict verdict = guard_admit(service->daemon, service, &client, reason);
	if (verdict == GUARD_PASS)
		verdict = guard_spend(service->daemon, service->first, &client, now, reason);
	if (verdict == GUARD_PASS && admission_breaker(service, now))
		return RING_BACKOFF;
	return verdict == GUARD_PASS ? RING_WAKE : verdict == GUARD_SPENT ? RING_RATE : RING_FROM;
}

static void take(struct service *service, const struct packet *packet)
{
	struct daemon *daemon = service->daemon;
	const struct ring ring = {kinds[packet->kind], packet->port, packet->source};
	struct load load = service_load(service);
	uint64_t now = clock_monotonic();
	idle_load(service, &load);
	if (packet->kind == PACKET_FRAGMENT) {
		take_fragment(service, packet, &load);
		return;
	}
	enum ring_verdict verdict = decide_ring(&service->policy->policy, &load, &ring, now);
	struct seat_given seat = {.machine = service};
	bool waits = verdict == RING_WAKE || verdict == RING_WAIT;
	if (waits && !seats_admit(service, &packet->source, &seat))
		verdict = RING_FROM;
	if (verdict == RING_WAKE)
		verdict = ask_guard(service, packet, now);
	service->door.verdicts[verdict]++;
	if (verdict == RING_WAKE || verdict == RING_WAIT)
		seats_take(&seat);
	switch (verdict) {
	case RING_PASS:
		if (service->instance)
			doorbell_pass(daemon->doorbell, packet, &service->mac);
		break;
	case RING_WAIT:
		keep(service, packet);
		break;
	case RING_WAKE:
		budget_take(&service->load.rung, &service->policy->policy.ring_rate, now);
		wake(service, packet, now);
		break;
	default:
		turn_away(daemon, packet, verdict);
	}
}

static void on_ring(void *ctx, const struct packet *packet)
{
	struct daemon *daemon = ctx;
	struct service *service = door_owner(daemon, &packet->destination);
	if (daemon->ending)
		return;
	if (service) {
		take(service, packet);
		return;
	}
	daemon->unknown_rings++;
	doorbell_answer(daemon->doorbell, packet, PACKET_ANSWER_HOST);
}

/* --- its bell --- */

int door_bell_create(struct daemon *daemon, struct error *err)
{
	const struct config *config = daemon->config;
	const struct doorbell_config bell = {
		.device = config->network.doorbell,
		.pool = config->network.pool,
		.pool6 = config->network.pool6,
		.limits = {config->limits.parked_per_service, config->limits.parked,
			config->limits.parked_bytes},
		.rang = on_ring,
		.is_ours = is_ours,
		.is_guests = is_guests,
		.ctx = daemon,
	};
	if (!daemon->link)
		return 0;
	return doorbell_create(&daemon->loop, daemon->link, &bell, &daemon->doorbell, err);
}

void door_admit(struct daemon *daemon, const struct store_service *def)
{
	struct error err = ERROR_INIT;
	for (size_t i = 0; daemon->doorbell && i < ADDRESSES_MAX; i++)
		if (ip_address_is_set(&def->addresses[i]) &&
			doorbell_admit(daemon->doorbell, &def->addresses[i], &err) < 0)
			log_line(&daemon->log, LOG_WARNING,
				(struct log_about){.service = def->name},
				"packets do not wake it: %s", err.message);
}

void door_dismiss(struct daemon *daemon, const struct store_service *def)
{
	struct error err = ERROR_INIT;
	for (size_t i = 0; daemon->doorbell && i < ADDRESSES_MAX; i++) {
		if (!ip_address_is_set(&def->addresses[i]) ||
			doorbell_dismiss(daemon->doorbell, &def->addresses[i], &err) >= 0)
			continue;
		log_line(&daemon->log, LOG_WARNING, (struct log_about){.service = def->name}, "%s",
			err.message);
		heal_soon(daemon);
	}
}

static bool is_known(void *ctx, const struct ip_address *address)
{
	return door_owner(ctx, address);
}

int door_prune(struct daemon *daemon, struct error *err)
{
	return doorbell_prune(daemon->doorbell, is_known, daemon, err);
}

void door_settle(struct daemon *daemon)
{
	struct error err = ERROR_INIT;
	if (!daemon->doorbell)
		return;
	if (door_prune(daemon, &err) < 0)
		log_line(&daemon->log, LOG_WARNING, LOG_ABOUT_NOTHING, "%s", err.message);
	/* Of guests that were found at rest: who put them there may have died before it could tell. */
	for (uint32_t id = 0; id < daemon->registry.id_limit; id++) {
		struct service *service = daemon->registry.by_id[id];
		if (service && service->instance)
			door_confirm(service);
	}
}

void door_look(struct daemon *daemon)
{
	if (daemon->doorbell)
		doorbell_drain(daemon->doorbell);
}

/* --- open and closed --- */

/* What the kernel has of it is not what it should have, for now. */
static void stays(struct service *service, const struct error *err)
{
	log_line(&service->daemon->log, LOG_WARNING,
		(struct log_about){.service = service->def.name}, "%s", err->message);
	heal_soon(service->daemon);
}

/* Routes before packets: what a client sends in answer to the guest has one way only then, and nothing
 * of it overtakes another. Then what waits, in order; then what was on its way here meanwhile. */
void door_open(struct service *service)
{
	struct error err = ERROR_INIT;
	struct instance *instance = service->instance;
	struct daemon *daemon = service->daemon;
	if (!daemon->doorbell || !instance->tap[0])
		return;
	instance->open = true;
	door_is_silent(service);
	if (instance_tap_use(service->backend->ops) == LINK_TAP_BY_NAME)
		link_catch_up(daemon->link, instance->tap);
	for (size_t i = 0; i < ADDRESSES_MAX; i++)
		if (ip_address_is_set(&instance->addresses[i]) &&
			link_open(daemon->link, &instance->addresses[i], &err) < 0)
			stays(service, &err);
	service->door.replayed +=
		doorbell_replay(daemon->doorbell, &service->door.lot, &service->mac);
	doorbell_drain(daemon->doorbell);
}

void door_announce(struct service *service)
{
	const struct instance *instance = service->instance;
	for (size_t i = 0; instance->open && i < ADDRESSES_MAX; i++)
		if (ip_address_is_set(&instance->addresses[i]))
			doorbell_announce_soon(
				service->daemon->doorbell, &instance->addresses[i], &service->mac);
}

/* During the last look, neighbours may believe it: whatever they send to it then, is use. */
static void on_claim(void *ctx, bool answer)
{
	struct service *service = ctx;
	struct instance *instance = service->instance;
	if (answer)
		instance->unanswered = false;
	else if (instance->leaving != LEAVING_NOT)
		instance->flowed = true;
	else
		door_confirm(service);
}

static void hear(struct service *service)
{
	struct instance *instance = service->instance;
	struct error err = ERROR_INIT;
	instance->unanswered = false;
	if (doorbell_hear(service->daemon->doorbell, instance->tap, &service->mac, on_claim,
		    service, &instance->claims, &err) < 0)
		log_line(&service->daemon->log, LOG_WARNING,
			(struct log_about){.service = service->def.name}, "%s", err.message);
}

void door_is_silent(struct service *service)
{
	claims_end(service->instance->claims);
	service->instance->claims = NULL;
}

void door_ask(struct service *service)
{
	struct instance *instance = service->instance;
	bool by_ipv4 = ip_address_is_set(&instance->ipv4);
	if (!instance->claims)
		return;
	instance->unanswered = true;
	doorbell_ask(service->daemon->doorbell, by_ipv4 ? &instance->ipv4 : &instance->ipv6,
		&service->mac);
}

typedef void (*announce_fn)(
	struct doorbell *doorbell, const struct ip_address *address, const struct mac_address *mac);

/* Unless another guest has it: that of a service of the same name, which was removed and made again
 * before this guest had gone. */
static void announce_host(
	const struct service *service, const struct ip_address *address, announce_fn announce)
{
	const struct service *owner = door_owner(service->daemon, address);
	if (owner && owner != service && owner->instance && owner->instance->open)
		return;
	announce(service->daemon->doorbell, address, NULL);
}

/* What neighbours send to the guest after the last look would be lost: so they are told before that
 * begins, and not soon. */
void door_close(struct service *service)
{
	struct instance *instance = service->instance;
	struct daemon *daemon = service->daemon;
	struct error err = ERROR_INIT;
	if (!instance->open)
		return;
	instance->open = false;
	hear(service);
	for (size_t i = 0; i < ADDRESSES_MAX; i++) {
		if (!ip_address_is_set(&instance->addresses[i]))
			continue;
		if (link_close(daemon->link, &instance->addresses[i], &err) < 0)
			stays(service, &err);
		announce_host(service, &instance->addresses[i], doorbell_announce);
	}
}

void door_confirm(struct service *service)
{
	const struct instance *instance = service->instance;
	if (!service->daemon->doorbell || !instance->tap[0] || instance->open)
		return;
	for (size_t i = 0; i < ADDRESSES_MAX; i++)
		if (ip_address_is_set(&instance->addresses[i]))
			announce_host(service, &instance->addresses[i], doorbell_announce_soon);
}

void door_refuse(struct service *service)
{
	struct doorbell *doorbell = service->daemon->doorbell;
	if (doorbell)
		doorbell_refuse(doorbell, &service->door.lot, PACKET_ANSWER_HOST);
}

void door_clear(struct service *service)
{
	struct doorbell *doorbell = service->daemon->doorbell;
	if (doorbell)
		doorbell_clear(doorbell, &service->door.lot);
}
