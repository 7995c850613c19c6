/* SPDX-License-Identifier: ISC */
#include "dns/dns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "dns/accept.h"
#include "dns/deliver.h"
#include "dns/forward.h"
#include "dns/handles.h"
#include "dns/listen.h"
#include "dns/notify.h"
#include "dns/respond.h"
#include "dns/tcp.h"
#include "dns/udp.h"

struct listener {
	struct udp_socket *udp;
	struct tcp_listener *tcp;
	uint16_t port;
};

struct dns_server {
	struct handles handles;
	struct responder responder;
	struct tcp tcp;
	struct forward forward;
	struct notifier *notifier;
	void (*closed)(void *ctx);
	void *closed_ctx;
	size_t listener_count;
	struct listener listeners[];
};

static void on_last_closed(struct handles *handles)
{
	struct dns_server *server =
		(struct dns_server *)((char *)handles - offsetof(struct dns_server, handles));
	void (*closed)(void *ctx) = server->closed;
	void *ctx = server->closed_ctx;
	responder_finish(&server->responder);
	free(server);
	if (closed)
		closed(ctx);
}

void dns_server_destroy(struct dns_server *server, void (*closed)(void *ctx), void *ctx)
{
	if (!server)
		return;
	server->closed = closed;
	server->closed_ctx = ctx;
	for (size_t i = 0; i < server->listener_count; i++) {
		udp_destroy(server->listeners[i].udp);
		tcp_listener_destroy(server->listeners[i].tcp);
	}
	forward_finish(&server->forward);
	notifier_destroy(server->notifier);
	tcp_finish(&server->tcp);
}

static int add_listener(struct dns_server *server, uv_loop_t *loop,
	const struct sockaddr_storage *address, struct error *err)
{
	struct listener *listener = &server->listeners[server->listener_count];
	struct listen_pair pair;
	int rc = listen_open(address, &pair, err);
	if (rc < 0)
		return rc;
	server->listener_count++;
	listener->port = pair.port;
	rc = udp_create(loop, &pair, &server->responder, &server->handles, &listener->udp);
	if (rc < 0)
		close(pair.tcp);
	else
		rc = tcp_listener_create(&server->tcp, pair.tcp, &listener->tcp);
	if (rc < 0)
		return error_set(err, rc, "cannot listen on port %u: %s", pair.port, strerror(-rc));
	return 0;
}

int dns_server_create(uv_loop_t *loop, const struct dns_config *config, dns_ask_fn ask, void *ctx,
	struct dns_server **out, struct error *err)
{
	if (config->listen_count == 0)
		return error_set(err, -EINVAL, "no address to listen on: give at least one");
	struct dns_server *server =
		calloc(1, sizeof(*server) + config->listen_count * sizeof(server->listeners[0]));
	if (!server)
		return error_set(err, -ENOMEM, "out of memory");
	int rc = responder_init(&server->responder, config, ask, ctx, err);
	if (rc < 0) {
		free(server);
		return rc;
	}
	server->handles.last_closed = on_last_closed;
	tcp_init(&server->tcp, loop, config, &server->responder, &server->handles);
	rc = forward_init(
		&server->forward, loop, config, &server->responder, &server->handles, err);
	if (rc < 0) {
		dns_server_destroy(server, NULL, NULL);
		return rc;
	}
	server->notifier = notifier_create(loop, &server->handles);
	if (!server->notifier) {
		dns_server_destroy(server, NULL, NULL);
		return error_set(err, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < config->listen_count; i++) {
		rc = add_listener(server, loop, &config->listen[i], err);
		if (rc < 0) {
			dns_server_destroy(server, NULL, NULL);
			return rc;
		}
	}
	*out = server;
	return 0;
}

uint16_t dns_server_port(const struct dns_server *server, size_t index)
{
	return index < server->listener_count ? server->listeners[index].port : 0;
}

static int use_zones(struct dns_server *server, struct dns_zones *zones, struct error *err)
{
	struct names *names = &server->responder.names;
	int rc = names_use_zones(names, zones, err);
	for (size_t i = 0; rc == 0 && i < names->zone_count; i++)
		if (names->zones[i]->changed)
			notifier_tell(server->notifier, names->zones[i]);
	return rc;
}

/* Rules that were made and are not in force yet. */
struct made {
	struct access access;
	struct tsig_keys tsig_keys;
	struct cookies cookies;
};

static void made_finish(struct made *made)
{
	access_finish(&made->access);
	tsig_keys_finish(&made->tsig_keys);
}

static int make(const struct dns_server *server, const struct dns_rules *rules, struct made *out,
	struct error *err)
{
	*out = (struct made){.cookies = server->responder.cookies};
	int rc = access_set(&out->access, rules->access, rules->access_count, err);
	if (rc == 0)
		rc = tsig_keys_init(&out->tsig_keys, rules->tsig_keys, rules->tsig_key_count, err);
	if (rc < 0)
		return rc;
	rc = cookies_give(&out->cookies, rules->cookie_secrets, rules->cookie_secret_count,
		(uint32_t)(clock_real() / NS_PER_S));
	return rc == 0 ? 0
	       : rc == -EINVAL
		       ? error_set(err, rc, "there are more than two secrets of DNS cookies")
		       : error_set(err, rc, "no randomness for the secret of DNS cookies");
}

int dns_use_rules(struct dns_server *server, struct dns_zones *zones, const struct dns_rules *rules,
	struct error *err)
{
	struct responder *responder = &server->responder;
	struct made made;
	int rc = make(server, rules, &made, err);
	if (rc < 0)
		dns_zones_destroy(zones);
	else if (zones)
		rc = use_zones(server, zones, err);
	if (rc == 0) {
		/* Nothing fails from here on: the old ones are what is thrown away. */
		const struct made old = {
			.access = responder->access, .tsig_keys = responder->names.tsig_keys};
		responder->access = made.access;
		responder->names.tsig_keys = made.tsig_keys;
		responder->cookies = made.cookies;
		responder->limiter.exempt = rules->unlimited;
		server->forward.clients = rules->forward_clients;
		made = old;
	}
	made_finish(&made);
	return rc;
}

int dns_set_zones(struct dns_server *server, const struct dns_zone_config *zones, size_t count,
	struct error *err)
{
	struct dns_zones *made = NULL;
	int rc = dns_zones_create(zones, count, &made, err);
	return rc < 0 ? rc : use_zones(server, made, err);
}

bool dns_zone_info(const struct dns_server *server, size_t index, struct dns_zone_info *out)
{
	const struct names *names = &server->responder.names;
	if (index >= names->zone_count)
		return false;
	const struct zone *zone = names->zones[index];
	name_print(&zone->origin, out->origin);
	out->serial = zone->serial;
	out->records = zone->records.count;
	out->keys = zone->keys;
	out->key_count = zone->key_count;
	return true;
}

bool dns_in_zone(const struct dns_server *server, const char *text)
{
	struct name name;
	bool exact;
	if (name_parse(text, &name, NULL) < 0)
		return false;
	return table_closest(&server->responder.names.table, &name, &exact)->zone;
}

int dns_check_service_name(const struct dns_server *server, const char *text, struct error *err)
{
	return names_check_service(&server->responder.names, text, err);
}

int dns_put_service(struct dns_server *server, uint32_t service, const char *name,
	const struct ip_address *addresses, size_t count, uint32_t ttl, struct error *err)
{
	return names_put_service(
		&server->responder.names, service, name, addresses, count, ttl, err);
}

int dns_set_service_https(struct dns_server *server, uint32_t service, const char *parameters,
	uint32_t ttl, struct error *err)
{
	return names_set_service_https(&server->responder.names, service, parameters, ttl, err);
}

int dns_put_instance(struct dns_server *server, uint32_t instance, uint32_t service,
	const struct ip_address *addresses, size_t count, uint32_t ttl, struct error *err)
{
	return names_put_instance(
		&server->responder.names, instance, service, addresses, count, ttl, err);
}

int dns_set_service_names(struct dns_server *server, uint32_t service, const char *const *names,
	size_t count, struct error *err)
{
	return names_set_service_names(&server->responder.names, service, names, count, err);
}

void dns_remove_service(struct dns_server *server, uint32_t service)
{
	names_remove_service(&server->responder.names, service);
}

void dns_answer(struct dns_server *server, struct dns_query_id id, enum dns_reply reply,
	const struct dns_ede *ede)
{
	deliver(&server->responder, id, &(struct late_answer){.reply = reply, .ede = ede});
}

bool dns_query_waiting(const struct dns_server *server, struct dns_query_id id)
{
	return waiting_find(&server->responder.waiting, id);
}

const struct dns_counters *dns_server_counters(const struct dns_server *server)
{
	return &server->responder.counters;
}
