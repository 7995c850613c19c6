/* SPDX-License-Identifier: ISC */
#include "daemon/boot.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "base/units.h"
#include "daemon/control.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"
#include "daemon/leftovers.h"
#include "daemon/reload.h"
#include "daemon/resolv.h"
#include "daemon/summon.h"
#include "daemon/word.h"
#include "daemon/tiers.h"

/* --- definitions out of the store; before the loop runs, so blocking is fine --- */

struct loading {
	struct daemon *daemon;
	struct store *store;
	struct error *err;
};

static int load_policy(void *ctx, const struct policy *policy)
{
	struct loading *loading = ctx;
	return registry_put_policy(&loading->daemon->registry, policy, loading->err);
}

static int load_reserved(void *ctx, const char *name, const struct ip_address *address)
{
	struct loading *loading = ctx;
	struct daemon *daemon = loading->daemon;
	struct addresses *addresses =
		address->family == AF_INET ? &daemon->addresses : &daemon->addresses6;
	return addresses_reserve(addresses, address, name, loading->err);
}

/* What an earlier life knew of it. */
static void remember(struct service *service, struct store *store)
{
	tiers_remember(service, store);
	seats_recall(service);
}

/* A service that this configuration cannot serve is left out, with a word; its row stays. */
static int load_service(void *ctx, const struct store_service *service)
{
	struct loading *loading = ctx;
	struct daemon *daemon = loading->daemon;
	backends_need(&daemon->backends, daemon, service->backend);
	if (!backend_by_name(&daemon->backends, service->backend)) {
		log_line(&daemon->log, LOG_ERROR, (struct log_about){.service = service->name},
			"is not served: its backend '%s' is not configured", service->backend);
		return 0;
	}
	int rc = registry_put_service(&daemon->registry, service, loading->err);
	if (rc == -ENOENT) {
		log_line(&daemon->log, LOG_ERROR, (struct log_about){.service = service->name},
			"is not served: %s", loading->err->message);
		return 0;
	}
	if (rc >= 0)
		remember(service_by_id(&daemon->registry, service->id), loading->store);
	return rc;
}

static void reserve_gateways(struct daemon *daemon)
{
	const struct config *config = daemon->config;
	addresses_init(&daemon->addresses, &config->network.pool);
	addresses_init(&daemon->addresses6, &config->network.pool6);
	addresses_reserve(
		&daemon->addresses, &config->network.address.address, "(the gateway)", NULL);
	if (ip_address_is_set(&config->network.address6.address))
		addresses_reserve(&daemon->addresses6, &config->network.address6.address,
			"(the gateway)", NULL);
}

static int load_definitions(struct daemon *daemon, struct store *store, struct error *err)
{
	struct loading loading = {daemon, store, err};
	reserve_gateways(daemon);
	int rc = store_each_policy(store, load_policy, &loading, err);
	if (rc >= 0)
		rc = store_each_reserved(store, load_reserved, &loading, err);
	if (rc >= 0)
		rc = store_each_service(store, load_service, &loading, err);
	return rc;
}

/* --- the parts, in order --- */

static int make_dir(const char *path, mode_t mode, struct error *err)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return error_set(
			err, -errno, "cannot make the folder %s: %s", path, strerror(errno));
	return 0;
}

static int make_dirs(struct daemon *daemon, struct error *err)
{
	int rc = make_dir(daemon->config->state_dir, 0755, err);
	return rc < 0 ? rc : make_dir(daemon->config->run_dir, 0755, err);
}

static int open_store(struct daemon *daemon, struct store **store, struct error *err)
{
	char path[4096];
	if ((size_t)snprintf(path, sizeof(path), "%s/summond.db", daemon->config->state_dir) >=
		sizeof(path))
		return error_set(err, -ENAMETOOLONG, "state_dir is too long a path");
	int rc = store_open(path, store, err);
	if (rc < 0)
		return rc;
	snprintf(daemon->identity, sizeof(daemon->identity), "%s", store_identity(*store));
	return 0;
}

static int make_link(struct daemon *daemon, struct error *err)
{
	const struct config *config = daemon->config;
	if (!config->network.enabled)
		return 0;
	const struct launcher_ops *backend =
		launcher_backend_find(backends_default(&daemon->backends, config));
	const struct link_config link = {
		.bridge = config->network.bridge,
		.address = config->network.address,
		.address6 = config->network.address6,
		.tap_prefix = config->network.tap_prefix,
		.spare_taps = backend && backend->tap == LAUNCHER_TAP_MADE
				      ? 0
				      : config->network.spare_taps,
		.spare_headers = backend && instance_tap_use(backend) == LINK_TAP_HEADERS,
	};
	int rc = link_create(&daemon->loop, &link, &daemon->link, err);
	if (rc >= 0)
		rc = door_bell_create(daemon, err);
	struct error why = ERROR_INIT;
	if (rc >= 0 && heal_watch(daemon, &why) < 0)
		log_line(&daemon->log, LOG_WARNING, LOG_ABOUT_NOTHING, "%s", why.message);
	if (rc >= 0)
		conntrack_open(&daemon->conntrack, &daemon->loop,
			(const struct ip_prefix[]){
				config->network.address, config->network.address6},
			NULL); /* control_status.c tells */
	return rc;
}

/* How many there are; 0 where nothing is forwarded. */
static int find_upstreams(const struct config *config,
	struct sockaddr_storage out[CONFIG_UPSTREAMS], struct error *err)
{
	const unsigned count = config->forward.upstream_count;
	if (!config->forward.enabled)
		return 0;
	memcpy(out, config->forward.upstreams, count * sizeof(*out));
	if (count > 0)
		return (int)count;
	return resolv_read(config->forward.resolv_conf, config->dns.listen,
		config->dns.listen_count, out, CONFIG_UPSTREAMS, err);
}

static int make_dns(struct daemon *daemon, struct error *err)
{
	const struct config *config = daemon->config;
	struct sockaddr_storage upstreams[CONFIG_UPSTREAMS];
	int rc = find_upstreams(config, upstreams, err);
	if (rc < 0)
		return rc;
	const struct dns_config dns = {
		.upstreams = upstreams,
		.upstream_count = (size_t)rc,
		.max_forwarded = config->forward.max,
		.forward_timeout = config->forward.timeout,
		.forward_plainly = !config->forward.mix_case,
		.listen = config->dns.listen,
		.listen_count = config->dns.listen_count,
		.max_waiting = config->dns.max_waiting,
		.max_tcp = config->dns.max_tcp,
		.max_waiting_source = config->dns.waiting_per_source,
		.max_tcp_source = config->dns.tcp_per_source,
		.tcp_idle = config->dns.tcp_idle,
		.cookies = (enum dns_cookie_mode)config->dns.cookies,
		.rate_limit = config->dns.rate_limit,
		.rate_slip = config->dns.rate_slip,
		.identity = config->dns.identity,
		.version = config->dns.version,
	};
	rc = dns_server_create(&daemon->loop, &dns, daemon_ask, daemon, &daemon->dns, err);
	return rc < 0 ? rc : reload_dns(daemon, err);
}

/* --- serving begins when all guests of an earlier life are known --- */

static void settle_link(struct daemon *daemon)
{
	struct error err = ERROR_INIT;
	if (!daemon->link)
		return;
	door_settle(daemon);
	if (link_taps_settle(daemon->link, &err) < 0 || heal_prune(daemon, &err) < 0)
		log_line(&daemon->log, LOG_WARNING, LOG_ABOUT_NOTHING, "%s", err.message);
}

/* Queries that came in too early have waited. */
static void start_serving(struct daemon *daemon)
{
	daemon->serving = true;
	for (uint32_t id = 0; id < daemon->registry.id_limit; id++) {
		struct service *service = daemon->registry.by_id[id];
		if (!service)
			continue;
		if (service->summon && service->state == STATE_AWAKE && !service->tenant.ending)
			summon_succeed(service);
		else if (service->summon)
			admission_enter(service);
		else
			service_consider(service);
	}
}

/* Without their further machines. */
static unsigned count_services(const struct registry *registry)
{
	unsigned count = 0;
	for (const struct service *s = registry->by_name; s; s = s->hh.next)
		count += s->first == s;
	return count;
}

static void on_listed(struct daemon *daemon)
{
	settle_link(daemon);
	word_sweep(daemon);
	seats_sweep(daemon);
	start_serving(daemon);
	log_line(&daemon->log, LOG_INFO, LOG_ABOUT_NOTHING,
		"serving %u services in %zu zones; control socket %s",
		count_services(&daemon->registry), daemon->config->zone_count,
		daemon->config->control.socket);
	sd_notify(0, "READY=1");
}

/* --- signals --- */

static void on_end(uv_signal_t *signal, int number)
{
	struct daemon *daemon = signal->data;
	log_line(&daemon->log, LOG_INFO, LOG_ABOUT_NOTHING, "signal %d: ending; guests live on",
		number);
	sd_notify(0, "STOPPING=1");
	daemon->ending = true;
	uv_stop(&daemon->loop);
}

static void on_reload(uv_signal_t *signal, int number)
{
	(void)number;
	reload(signal->data);
}

static void watch_signals(struct daemon *daemon)
{
	static const struct {
		int number;
		uv_signal_cb act;
	} watched[] = {{SIGTERM, on_end}, {SIGINT, on_end}, {SIGHUP, on_reload}};
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++) {
		uv_signal_init(&daemon->loop, &daemon->signals[i]);
		daemon->signals[i].data = daemon;
		uv_signal_start(&daemon->signals[i], watched[i].act, watched[i].number);
		uv_unref((uv_handle_t *)&daemon->signals[i]);
	}
}

/* Before the loop sleeps, what was logged meanwhile is written. */
static void on_prepare(uv_prepare_t *prepare)
{
	struct daemon *daemon = prepare->data;
	log_flush(&daemon->log);
}

static void defer_log(struct daemon *daemon)
{
	static char buffer[1 << 16];
	setvbuf(stderr, buffer, _IOFBF, sizeof(buffer));
	daemon->log.deferred = true;
	uv_prepare_init(&daemon->loop, &daemon->prepare);
	daemon->prepare.data = daemon;
	uv_prepare_start(&daemon->prepare, on_prepare);
	uv_unref((uv_handle_t *)&daemon->prepare);
}

int daemon_init(
	struct daemon *daemon, const char *config_path, struct config *config, struct error *err)
{
	struct store *store = NULL;
	uint64_t next_summon = 0;
	*daemon = (struct daemon){
		.config_path = config_path, .config = config, .conntrack.netlink.fd = -1};
	daemon->started_at = clock_monotonic();
	daemon->log = (struct log){stderr, (enum log_level)config->log.level, config->log.json};
	uv_loop_init(&daemon->loop);
	guard_init(&daemon->guard);
	watch_signals(daemon);
	defer_log(daemon);
	int rc = make_dirs(daemon, err);
	if (rc >= 0)
		rc = open_store(daemon, &store, err);
	if (rc >= 0)
		rc = history_next_summon(store, &next_summon, err);
	if (rc >= 0)
		rc = journal_init(&daemon->journal, daemon, next_summon, err);
	if (rc >= 0)
		rc = registry_init(&daemon->registry, daemon, err);
	if (rc >= 0)
		rc = history_last_generation(store, &daemon->registry.last_generation, err);
	backends_choose(&daemon->backends, config);
	if (rc >= 0)
		rc = make_link(daemon, err);
	if (rc >= 0)
		rc = make_dns(daemon, err);
	if (rc >= 0)
		rc = backends_init(&daemon->backends, daemon, on_listed, err);
	if (rc >= 0)
		rc = load_definitions(daemon, store, err);
	if (rc >= 0)
		leftovers_remove(daemon, store);
	if (rc >= 0)
		rc = storage_create(&daemon->loop, store, &daemon->storage, err);
	if (rc < 0) {
		store_close(store);
		return rc;
	}
	return control_create(daemon, &daemon->control, err);
}

void daemon_run(struct daemon *daemon)
{
	uv_run(&daemon->loop, UV_RUN_DEFAULT);
}

/* Definitions and what happened are on disk first; then everything is taken down in the order of
 * who might still call whom. */
void daemon_finish(struct daemon *daemon)
{
	daemon->ending = true;
	daemon->serving = false; /* a pin that becomes durable now starts nothing */
	dns_server_destroy(daemon->dns, NULL, NULL);
	journal_flush(&daemon->journal);
	storage_destroy(daemon->storage);
	daemon->storage = NULL;
	registry_finish(&daemon->registry);
	control_destroy(daemon->control);
	journal_finish(&daemon->journal);
	timer_cancel(&daemon->shells);
	admission_finish(daemon);
	schedule_finish(daemon);
	backends_finish(&daemon->backends);
	heal_finish(daemon);
	conntrack_close(&daemon->conntrack);
	doorbell_destroy(daemon->doorbell, false);
	link_destroy(daemon->link, false);
	for (size_t i = 0; i < 3; i++)
		uv_close((uv_handle_t *)&daemon->signals[i], NULL);
	uv_close((uv_handle_t *)&daemon->prepare, NULL);
	daemon->log.deferred = false;
	log_flush(&daemon->log);
	uv_run(&daemon->loop, UV_RUN_DEFAULT);
	uv_loop_close(&daemon->loop);
	backends_free(&daemon->backends);
	addresses_finish(&daemon->addresses);
	addresses_finish(&daemon->addresses6);
	config_destroy(daemon->config);
}
