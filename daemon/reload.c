/* SPDX-License-Identifier: ISC */
#include "daemon/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "base/cleanup.h"
#include "daemon/daemon.h"
#include "daemon/keys.h"

/* What of a zone is in files, and what else the DNS server wants to know. */
static int read_zone(const struct config *config, const struct config_zone *zone,
	struct dns_zone_config *out, struct key_set *keys, struct error *err)
{
	char origin[254];
	int rc = dns_name_canonical(zone->origin, origin, err);
	if (rc >= 0)
		rc = keys_read(config->state_dir, origin, keys, err);
	*out = (struct dns_zone_config){
		.origin = zone->origin,
		.primary = zone->primary,
		.mailbox = zone->mailbox,
		.servers = zone->servers,
		.server_count = zone->server_count,
		.ttl = zone->ttl,
		.negative_ttl = zone->negative_ttl,
		/* Grows with each change, across restarts, without being kept anywhere. */
		.serial = (uint32_t)time(NULL),
		.file = zone->file,
		.keys = keys->key,
		.key_count = keys->count,
		.transfer = zone->transfer,
		.transfer_count = zone->transfer_count,
		.notify = zone->notify,
		.notify_count = zone->notify_count,
	};
	return rc;
}

int reload_read_zones(const struct config *config, struct dns_zones **out, struct error *err)
{
	CLEANUP(free)
	struct dns_zone_config *zones = calloc(config->zone_count + 1, sizeof(*zones));
	CLEANUP(free) struct key_set *keys = calloc(config->zone_count + 1, sizeof(*keys));
	int rc = zones && keys ? 0 : error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; rc >= 0 && i < config->zone_count; i++)
		rc = read_zone(config, &config->zones[i], &zones[i], &keys[i], err);
	if (rc >= 0)
		rc = dns_zones_create(zones, config->zone_count, out, err);
	for (size_t i = 0; keys && i < config->zone_count; i++)
		keys_release(&keys[i]);
	return rc;
}

/* Takes the zones in any case. All of it or, on error, nothing. */
static int set_dns(struct daemon *daemon, const struct config *config, struct dns_zones *zones,
	struct error *err)
{
	CLEANUP(free)
	struct dns_zone_access *access = calloc(config->zone_count + 1, sizeof(*access));
	struct dns_rules rules = {
		.access = access,
		.tsig_keys = config->tsig_keys,
		.tsig_key_count = config->tsig_key_count,
		.cookie_secrets = config->dns.cookie_secrets,
		.cookie_secret_count = config->dns.cookie_secret_count,
		.unlimited = &config->dns.exempt,
		.forward_clients = &config->forward.clients,
	};
	if (!access) {
		dns_zones_destroy(zones);
		return error_set(err, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < config->zone_count; i++) {
		const struct config_zone *zone = &config->zones[i];
		if (zone->allow.count + zone->deny.count > 0)
			access[rules.access_count++] =
				(struct dns_zone_access){zone->origin, &zone->access};
	}
	return dns_use_rules(daemon->dns, zones, &rules, err);
}

int reload_dns(struct daemon *daemon, struct error *err)
{
	struct dns_zones *zones = NULL;
	int rc = reload_read_zones(daemon->config, &zones, err);
	return rc < 0 ? rc : set_dns(daemon, daemon->config, zones, err);
}

static void log_problem(struct daemon *daemon, const char *problem)
{
	log_line(&daemon->log, LOG_ERROR, LOG_ABOUT_NOTHING, "%s", problem);
}

static void begin(struct daemon *daemon);
static void begin_zones(struct daemon *daemon);

/* What was asked for meanwhile begins now. */
static void end(struct daemon *daemon)
{
	struct reload *reload = &daemon->reload;
	reload->busy = false;
	if (reload->again && !daemon->ending) {
		begin(daemon);
		return;
	}
	sd_notify(0, "READY=1");
	if (reload->waiting)
		begin_zones(daemon);
}

/* What the thread has found in the configuration; else what failed after that. */
static void log_problems(struct daemon *daemon)
{
	struct reload *reload = &daemon->reload;
	if (reload->problem_count == 0)
		log_problem(daemon, reload->err.message);
	for (size_t i = 0; i < reload->problem_count; i++) {
		log_problem(daemon, reload->problems[i]);
		free(reload->problems[i]);
	}
	reload->problem_count = 0;
}

static void give_up(struct daemon *daemon)
{
	struct reload *reload = &daemon->reload;
	log_problems(daemon);
	log_problem(daemon, "the configuration was not reloaded; the old one stays");
	config_destroy(reload->next);
	reload->next = NULL;
	end(daemon);
}

static void take(struct daemon *daemon)
{
	struct reload *reload = &daemon->reload;
	/* What may not change is the same in both; the strings of each are its own. */
	config_destroy(daemon->config);
	daemon->config = reload->next;
	reload->next = NULL;
	daemon->log.level = (enum log_level)daemon->config->log.level;
	daemon->log.json = daemon->config->log.json;
	log_line(&daemon->log, LOG_INFO, LOG_ABOUT_NOTHING, "configuration reloaded");
	end(daemon);
}

/* Tells those who waited for this pass, and any others begin another. */
static void tell(struct daemon *daemon)
{
	struct reload *reload = &daemon->reload;
	for (struct reload_waiter *waiter = reload->told, *next; waiter; waiter = next) {
		next = waiter->next;
		waiter->done(waiter->ctx, reload->rc, &reload->err);
		free(waiter);
	}
	reload->told = NULL;
	if (reload->rc < 0)
		log_problem(daemon, reload->err.message);
	end(daemon);
}

/* In the thread: what it finds is logged on the loop. */
static void keep_problem(void *ctx, const char *problem)
{
	struct reload *reload = ctx;
	char *copy = reload->problem_count < CONFIG_PROBLEMS_MAX ? strdup(problem) : NULL;
	if (copy)
		reload->problems[reload->problem_count++] = copy;
}

/* The present configuration stays as it is, as long as a pass is under way. */
static void read_files(uv_work_t *work)
{
	struct daemon *daemon = work->data;
	struct reload *reload = &daemon->reload;
	reload->rc = 0;
	if (reload->whole)
		reload->rc = config_load(
			daemon->config_path, keep_problem, reload, &reload->next, &reload->err);
	if (reload->whole && reload->rc >= 0)
		reload->rc = config_reloadable(daemon->config, reload->next, &reload->err);
	if (reload->rc >= 0)
		reload->rc = reload_read_zones(reload->whole ? reload->next : daemon->config,
			&reload->zones, &reload->err);
}

static void on_files(uv_work_t *work, int status)
{
	struct daemon *daemon = work->data;
	struct reload *reload = &daemon->reload;
	struct dns_zones *zones = reload->zones;
	const struct config *config = reload->whole ? reload->next : daemon->config;
	(void)status;
	reload->zones = NULL;
	if (daemon->ending) {
		dns_zones_destroy(zones);
		reload->rc = error_set(&reload->err, -ECANCELED, "this server is about to stop");
	} else if (reload->rc >= 0) {
		reload->rc = set_dns(daemon, config, zones, &reload->err);
	}
	if (!reload->whole)
		tell(daemon);
	else if (reload->rc < 0)
		give_up(daemon);
	else
		take(daemon);
}

static int queue(struct daemon *daemon)
{
	struct reload *reload = &daemon->reload;
	reload->work.data = daemon;
	return uv_queue_work(&daemon->loop, &reload->work, read_files, on_files);
}

static void begin(struct daemon *daemon)
{
	struct reload *reload = &daemon->reload;
	reload->busy = true;
	reload->again = false;
	reload->whole = true;
	int rc = queue(daemon);
	if (rc < 0) {
		error_set(&reload->err, rc, "the configuration could not be read again");
		give_up(daemon);
	}
}

static void begin_zones(struct daemon *daemon)
{
	struct reload *reload = &daemon->reload;
	reload->busy = true;
	reload->told = reload->waiting;
	reload->waiting = NULL;
	reload->whole = false;
	/* Once queued, reload->rc is the worker's to write. */
	int rc = daemon->ending ? -ECANCELED : queue(daemon);
	if (rc < 0) {
		reload->rc = error_set(&reload->err, rc, "the zones could not be read again");
		tell(daemon);
	}
}

void reload(struct daemon *daemon)
{
	sd_notify(0, "RELOADING=1");
	if (daemon->reload.busy)
		daemon->reload.again = true;
	else
		begin(daemon);
}

int reload_zones(struct daemon *daemon, reload_done_fn done, void *ctx, struct error *err)
{
	struct reload_waiter *waiter = malloc(sizeof(*waiter));
	if (!waiter)
		return error_set(err, -ENOMEM, "out of memory");
	*waiter = (struct reload_waiter){daemon->reload.waiting, done, ctx};
	daemon->reload.waiting = waiter;
	if (!daemon->reload.busy)
		begin_zones(daemon);
	return 0;
}
