/* SPDX-License-Identifier: ISC */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "daemon/control_internal.h"
#include "daemon/instance.h"
#include "daemon/json_text.h"
#include "daemon/openapi.h"

/* --- status --- */

#define COUNTER(field)                                                                             \
	{                                                                                          \
#field, offsetof(struct dns_counters, field)                                       \
	}

static json_t *dns_json(const struct dns_counters *counters)
{
	static const struct {
		const char *name;
		size_t offset;
	} fields[] = {COUNTER(udp_queries), COUNTER(tcp_queries), COUNTER(malformed),
		COUNTER(answered), COUNTER(refused), COUNTER(nxdomain), COUNTER(nodata),
		COUNTER(servfail), COUNTER(unsupported), COUNTER(truncated), COUNTER(forwarded),
		COUNTER(forward_failed), COUNTER(forward_forged), COUNTER(forward_loops),
		COUNTER(slipped), COUNTER(limited), COUNTER(prohibited), COUNTER(cookies_good),
		COUNTER(cookies_bad), COUNTER(held), COUNTER(dropped), COUNTER(tcp_connections),
		COUNTER(tcp_refused)};
	json_t *object = json_object();
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		uint64_t value;
		memcpy(&value, (const char *)counters + fields[i].offset, sizeof(value));
		json_object_set_new(object, fields[i].name, json_integer((json_int_t)value));
	}
	return object;
}

static json_t *wake_json(const struct guard_counters *c)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "started", (json_int_t)c->passed,
		"prohibited", (json_int_t)c->prohibited, "unverified", (json_int_t)c->unverified,
		"over_source", (json_int_t)c->over_source, "over_service",
		(json_int_t)c->over_service, "over_total", (json_int_t)c->over_total);
}

static json_t *admission_json(const struct admissions *a)
{
	const struct admission_counters *c = &a->counters;
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "queued",
		(json_int_t)a->queued, "starting", (json_int_t)a->starting, "memory",
		(json_int_t)a->memory, "waited", (json_int_t)c->waited, "expired",
		(json_int_t)c->expired, "evicted_resting", (json_int_t)c->evicted_resting,
		"evicted_awake", (json_int_t)c->evicted_awake, "broken", (json_int_t)c->broken);
}

static json_t *capabilities_json(unsigned mask)
{
	json_t *list = json_array();
	char text[80], *rest = text, *word;
	launcher_capabilities_print(mask, text);
	while ((word = strsep(&rest, ", ")))
		if (*word)
			json_array_append_new(list, json_string(word));
	return list;
}

static json_t *backends_json(const struct backends *backends)
{
	json_t *list = json_array();
	for (const struct backend *b = backends->first; b; b = b->next) {
		char text[512] = "";
		b->ops->describe(b->launcher, text, sizeof(text));
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:o, s:b, s:o, s:o}", "name", b->ops->name, "summary",
				b->ops->summary, "description", json_text(text), "usable",
				!b->failure[0], "failure", json_text(b->failure), "capabilities",
				capabilities_json(b->ops->capabilities(b->launcher))));
	}
	return list;
}

/* Where it was read from: `summonctl rehearse` reads it, too. */
static json_t *config_json(const struct daemon *daemon)
{
	CLEANUP(free)
	char *path = daemon->config_path ? realpath(daemon->config_path, NULL) : NULL;
	return json_text(path ? path : daemon->config_path ? daemon->config_path : "");
}

void control_get_status(void *ctx, struct http_request *request)
{
	struct control *control = ctx;
	struct daemon *daemon = control->daemon;
	int awake = 0, services = 0;
	struct service *service, *next;
	HASH_ITER(hh, daemon->registry.by_name, service, next)
	{
		awake += service->state == STATE_AWAKE;
		services += service->first == service;
	}
	http_respond(request, 200,
		json_pack("{s:s, s:o, s:I, s:b, s:i, s:i, s:{s:o, s:o, s:o, s:o}, s:o}", "version",
			SUMMOND_VERSION, "config", config_json(daemon), "uptime_ns",
			(json_int_t)(clock_monotonic() - daemon->started_at), "serving",
			(int)daemon->serving, "services", services, "awake", awake, "counters",
			"dns", dns_json(dns_server_counters(daemon->dns)), "doorbell",
			control_doorbell_json(daemon), "wake", wake_json(&daemon->guard.counters),
			"admission", admission_json(&daemon->admission), "backends",
			backends_json(&daemon->backends)));
}

void control_get_openapi(void *ctx, struct http_request *request)
{
	(void)ctx;
	char *text = malloc(openapi_length);
	if (!text) {
		http_respond_error(request, 500, "out of memory");
		return;
	}
	memcpy(text, openapi_text, openapi_length);
	http_respond_text(request, "application/json", text, openapi_length);
}

/* --- check: is everything as it should be, and what is to be done where it is not --- */

static void add(json_t *list, const char *name, const char *level, const char *message)
{
	json_array_append_new(list,
		json_pack("{s:s, s:b, s:s, s:o}", "name", name, "ok", strcmp(level, "ok") == 0,
			"level", level, "message", json_text(message)));
}

static void check_dns(struct daemon *daemon, json_t *list)
{
	char text[256];
	for (size_t i = 0; i < daemon->config->dns.listen_count; i++) {
		char address[IP_ADDRESS_TEXT];
		const struct sockaddr_storage *at = &daemon->config->dns.listen[i];
		struct ip_address ip = ip_address_from_sockaddr((const struct sockaddr *)at);
		snprintf(text, sizeof(text), "answers on %s port %u, UDP and TCP",
			ip_address_print(&ip, address), dns_server_port(daemon->dns, i));
		add(list, "dns", "ok", text);
	}
	snprintf(text, sizeof(text), "serves %zu zones%s", daemon->config->zone_count,
		daemon->config->zone_count ? "" : ": add a zone to summond.conf");
	add(list, "zones", daemon->config->zone_count ? "ok" : "warning", text);
}

static void check_wake(struct daemon *daemon, json_t *list)
{
	char text[256];
	const struct guard_counters *c = &daemon->guard.counters;
	uint64_t over = c->over_source + c->over_service + c->over_total;
	snprintf(text, sizeof(text),
		"%s; %" PRIu64 " starts by queries, refused: %" PRIu64 " by network, %" PRIu64
		" by budget",
		daemon->config->wake.verify ? "UDP clients show that they are at their address"
					    : "wake.verify is off: forged queries start guests",
		c->passed, c->prohibited, over);
	add(list, "wake", daemon->config->wake.verify && over == 0 ? "ok" : "warning", text);
}

static void check_limits(struct daemon *daemon, json_t *list)
{
	char text[256];
	const struct dns_counters *c = dns_server_counters(daemon->dns);
	bool any = c->limited + c->tcp_refused > 0;
	snprintf(text, sizeof(text),
		"%" PRIu64 " answers beyond the rate limit, %" PRIu64
		" connections beyond their share, %" PRIu64 " queries from networks that may not%s",
		c->limited + c->slipped, c->tcp_refused, c->prohibited,
		any ? ": an attack, or a limit that is too low" : "");
	add(list, "limits", any ? "warning" : "ok", text);
}

static void check_backends(struct daemon *daemon, json_t *list)
{
	const struct backends *backends = &daemon->backends;
	char usual[320];
	snprintf(usual, sizeof(usual), "%s runs services that name none%s%s",
		backends_default(backends, daemon->config), backends->why[0] ? "; " : "",
		backends->why);
	add(list, "backend", "ok", usual);
	for (const struct backend *b = daemon->backends.first; b; b = b->next) {
		char text[512] = "";
		b->ops->describe(b->launcher, text, sizeof(text));
		add(list, b->ops->name, b->failure[0] ? "error" : "ok",
			b->failure[0] ? b->failure : text);
	}
}

static void check_network(struct daemon *daemon, json_t *list)
{
	char text[256], address[IP_PREFIX_TEXT];
	const struct config *config = daemon->config;
	snprintf(text, sizeof(text), "guests are on bridge %s, their gateway is %s",
		config->network.bridge, ip_prefix_print(&config->network.address, address));
	if (daemon->link && daemon->heal.failure[0])
		add(list, "network", "error", daemon->heal.failure);
	else
		add(list, "network", daemon->link ? "ok" : "warning",
			daemon->link ? text : "network.enabled is false: guests have no link");
}

static void check_doorbell(struct daemon *daemon, json_t *list)
{
	char text[768];
	if (daemon->doorbell) {
		const char *level = control_doorbell_check(daemon, text, sizeof(text));
		add(list, "doorbell", level, text);
	}
}

static void check_connections(struct daemon *daemon, json_t *list)
{
	if (!daemon->link)
		return;
	bool able = daemon->conntrack.netlink.fd >= 0;
	bool used = able && conntrack_is_used();
	add(list, "connections", "ok",
		used   ? "open TCP connections keep a guest awake, as the kernel tracks them"
		: able ? "the kernel tracks no connections now: without a firewall rule that asks "
			 "for it, only traffic keeps a guest awake"
		       : "the kernel cannot track connections: only traffic keeps a guest awake");
}

static void check_services(struct daemon *daemon, json_t *list)
{
	char text[768];
	unsigned failing = 0;
	struct service *service, *next;
	HASH_ITER(hh, daemon->registry.by_name, service, next)
	{
		if (!service->load.failures)
			continue;
		failing++;
		snprintf(text, sizeof(text), "%s failed %u times: %s", service->def.name,
			service->load.failures, service->last_error);
		add(list, "service", "error", text);
	}
	snprintf(text, sizeof(text), "%u of %u fail to start", failing,
		(unsigned)HASH_COUNT(daemon->registry.by_name));
	add(list, "services", failing ? "error" : "ok", text);
}

/* Files are looked at on the storage thread: a file system may take its time. */
struct check {
	struct http_request *request;
	json_t *list;
	char image[4096];
	bool there;
};

static int check_files(struct store *store, void *ctx, struct error *err)
{
	struct check *check = ctx;
	(void)store;
	(void)err;
	check->there = access(check->image, R_OK) == 0;
	return 0;
}

static void check_done(void *ctx, int rc, const struct error *err)
{
	struct check *check = ctx;
	char text[4200];
	(void)rc;
	(void)err;
	snprintf(text, sizeof(text), "%s%s", check->image,
		check->there ? "" : " is not there: set images");
	add(check->list, "images", check->there ? "ok" : "warning", text);
	http_respond(check->request, 200, json_pack("{s:o}", "checks", check->list));
	free(check);
}

void control_get_check(void *ctx, struct http_request *request)
{
	static void (*const checks[])(struct daemon *, json_t *) = {check_dns, check_wake,
		check_limits, check_backends, check_network, check_doorbell, check_connections,
		check_services};
	struct control *control = ctx;
	struct error err = ERROR_INIT;
	struct check *check = calloc(1, sizeof(*check));
	if (!check) {
		http_respond_error(request, 500, "out of memory");
		return;
	}
	check->request = request;
	check->list = json_array();
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		checks[i](control->daemon, check->list);
	instance_image_path(control->daemon->config, "website", check->image, sizeof(check->image));
	int rc = storage_run(control->daemon->storage, check_files, check_done, check, &err);
	if (rc < 0) {
		http_respond_error(request, control_status(rc), "%s", err.message);
		json_decref(check->list);
		free(check);
	}
}
