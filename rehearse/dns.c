/* SPDX-License-Identifier: ISC */
#include "dns/dns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "rehearse/rehearsal.h"

/* In the place of the DNS server: queries are those of the trace, of clients that are where they
 * say; answers are counted. Every name is in a zone. */

struct held {
	uint32_t generation; /* of this place; odd: in use */
	uint32_t service, next_free;
	uint64_t since;
};

#define NOBODY UINT32_MAX

struct dns_server {
	struct rehearsal *rehearsal;
	dns_ask_fn ask;
	struct dns_counters counters;
	uint32_t first_free, used, max;
	struct held held[];
};

int dns_server_create(uv_loop_t *loop, const struct dns_config *config, dns_ask_fn ask, void *ctx,
	struct dns_server **out, struct error *err)
{
	(void)loop;
	uint32_t max = config->max_waiting ? config->max_waiting : 4096;
	struct dns_server *server = calloc(1, sizeof(*server) + max * sizeof(server->held[0]));
	if (!server)
		return error_set(err, -ENOMEM, "out of memory");
	server->rehearsal = rehearsal_of(ctx);
	server->ask = ask;
	server->max = max;
	server->first_free = NOBODY;
	*out = server;
	return 0;
}

void dns_server_destroy(struct dns_server *server, void (*closed)(void *ctx), void *ctx)
{
	free(server);
	if (closed)
		closed(ctx);
}

/* --- queries and answers --- */

static uint32_t next_place(const struct dns_server *server)
{
	if (server->first_free != NOBODY)
		return server->first_free;
	return server->used < server->max ? server->used : NOBODY;
}

static void keep(struct dns_server *server, uint32_t place, uint32_t service)
{
	struct held *held = &server->held[place];
	if (place == server->first_free)
		server->first_free = held->next_free;
	else
		server->used++;
	held->generation++;
	held->service = service;
	held->since = clock_monotonic();
}

/* The policies' own words without what differs from time to time. */
static void refuse(struct dns_server *server, uint32_t service, const char *text)
{
	char reason[128];
	snprintf(reason, sizeof(reason), "%.*s", (int)strcspn(text, ",;:"), text);
	rehearsal_refuse(server->rehearsal, service, QUERIES_REFUSED, reason);
}

/* Of what was answered with the address at once: whether it is because the guest is there. */
static void answered_now(struct dns_server *server, const struct service *service)
{
	bool woke = service->summon && service->policy->policy.answer == POLICY_ANSWER_AT_ONCE;
	if (service->state != STATE_AWAKE && !woke) {
		rehearsal_count(server->rehearsal, service->def.id, QUERIES_NO_WAKE);
		return;
	}
	rehearsal_count(server->rehearsal, service->def.id, QUERIES_AT_ONCE);
	rehearsal_answered(server->rehearsal, service->def.id, 0);
}

static bool is_asked_for(
	const struct rehearsal *rehearsal, const struct service *service, uint16_t type)
{
	enum { A = 1, AAAA = 28, HTTPS = 65 };
	return (type == A && ip_address_is_set(&service->def.ipv4)) ||
	       (type == AAAA && ip_address_is_set(&service->def.ipv6)) ||
	       (type == HTTPS && rehearsal->https);
}

void rehearsal_query(struct rehearsal *rehearsal, struct service *service, uint16_t type,
	const struct ip_address *source)
{
	struct dns_server *server = rehearsal->daemon.dns;
	const uint32_t id = service->def.id, place = next_place(server);
	struct dns_ede ede = {.present = false};
	struct sockaddr_storage from;
	rehearsal_count(rehearsal, id, QUERIES);
	if (!is_asked_for(rehearsal, service, type)) {
		rehearsal_count(rehearsal, id, QUERIES_NO_WAKE);
		return;
	}
	ip_address_to_sockaddr(source, 0, &from);
	uint32_t as = id;
	const struct dns_ask ask = {
		.service = id,
		.answer_as = &as,
		.qtype = type,
		.verified = true,
		.received_at = clock_monotonic(),
		.source = (const struct sockaddr *)&from,
		.id = place == NOBODY
			      ? (struct dns_query_id){0, 0}
			      : (struct dns_query_id){place, server->held[place].generation + 1},
	};
	enum dns_reply reply = server->ask(&rehearsal->daemon, &ask, &ede);
	if (reply == DNS_REPLY_ADDRESS)
		answered_now(server, service_by_id(&rehearsal->daemon.registry, as));
	else if (reply == DNS_REPLY_LATER && place != NOBODY)
		keep(server, place, id);
	else if (reply == DNS_REPLY_LATER)
		refuse(server, id, "too many waiting queries");
	else
		refuse(server, id, ede.present ? ede.text : "without a reason");
}

void dns_answer(struct dns_server *server, struct dns_query_id id, enum dns_reply reply,
	const struct dns_ede *ede)
{
	if (!dns_query_waiting(server, id))
		return;
	struct held *held = &server->held[id.slot];
	held->generation++;
	held->next_free = server->first_free;
	server->first_free = id.slot;
	bool late = ede && ede->present && ede->code == DNS_EDE_NOT_READY;
	rehearsal_count(server->rehearsal, held->service,
		late                         ? QUERIES_DEADLINE
		: reply == DNS_REPLY_ADDRESS ? QUERIES_WAITED
					     : QUERIES_FAILED);
	rehearsal_answered(server->rehearsal, held->service, clock_monotonic() - held->since);
}

bool dns_query_waiting(const struct dns_server *server, struct dns_query_id id)
{
	return id.slot < server->used && (id.generation & 1) &&
	       server->held[id.slot].generation == id.generation;
}

/* --- what goes without saying --- */

bool dns_in_zone(const struct dns_server *server, const char *name)
{
	(void)server;
	(void)name;
	return true;
}

int dns_check_service_name(const struct dns_server *server, const char *name, struct error *err)
{
	(void)server;
	(void)name;
	(void)err;
	return 0;
}

int dns_put_service(struct dns_server *server, uint32_t service, const char *name,
	const struct ip_address *addresses, size_t count, uint32_t ttl, struct error *err)
{
	(void)server;
	(void)service;
	(void)name;
	(void)addresses;
	(void)count;
	(void)ttl;
	(void)err;
	return 0;
}

/* The registry knows whose other names are (run.c). */
int dns_set_service_names(struct dns_server *server, uint32_t service, const char *const *names,
	size_t count, struct error *err)
{
	(void)server, (void)service, (void)names, (void)count, (void)err;
	return 0;
}

int dns_set_service_https(struct dns_server *server, uint32_t service, const char *parameters,
	uint32_t ttl, struct error *err)
{
	(void)server, (void)service, (void)parameters, (void)ttl, (void)err;
	return 0;
}

int dns_put_instance(struct dns_server *server, uint32_t instance, uint32_t service,
	const struct ip_address *addresses, size_t count, uint32_t ttl, struct error *err)
{
	(void)server, (void)instance, (void)service, (void)addresses, (void)count, (void)ttl,
		(void)err;
	return 0;
}

void dns_remove_service(struct dns_server *server, uint32_t service)
{
	(void)server;
	(void)service;
}

const struct dns_counters *dns_server_counters(const struct dns_server *server)
{
	return &server->counters;
}

uint16_t dns_server_port(const struct dns_server *server, size_t index)
{
	(void)server;
	(void)index;
	return 0;
}

int dns_use_rules(struct dns_server *server, struct dns_zones *zones, const struct dns_rules *rules,
	struct error *err)
{
	(void)server;
	(void)rules;
	(void)err;
	dns_zones_destroy(zones);
	return 0;
}

bool dns_zone_info(const struct dns_server *server, size_t index, struct dns_zone_info *out)
{
	(void)server;
	(void)index;
	(void)out;
	return false;
}
