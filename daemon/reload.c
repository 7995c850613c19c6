/* SPDX-License-Identifier: ISC */
#include "daemon/reload.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "daemon/daemon.h"

static int set_zones(struct daemon *daemon, const struct config *config, struct error *err)
{
	CLEANUP(free)
	struct dns_zone_config *zones = calloc(config->zone_count + 1, sizeof(*zones));
	if (!zones)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < config->zone_count; i++) {
		const struct config_zone *zone = &config->zones[i];
		zones[i] = (struct dns_zone_config){
			.origin = zone->origin,
			.primary = zone->primary,
			.mailbox = zone->mailbox,
			.servers = zone->servers,
			.server_count = zone->server_count,
			.ttl = zone->ttl,
			.negative_ttl = zone->negative_ttl,
		};
	}
	return dns_set_zones(daemon->dns, zones, config->zone_count, err);
}

/* The zones first: they are what may be wrong. */
static int set_dns(struct daemon *daemon, const struct config *config, struct error *err)
{
	int rc = set_zones(daemon, config, err);
	if (rc < 0)
		return rc;
	rc = dns_set_cookie_secrets(
		daemon->dns, config->dns.cookie_secrets, config->dns.cookie_secret_count);
	return rc < 0 ? error_set(err, rc, "no randomness for the secret of DNS cookies") : 0;
}

int reload_dns(struct daemon *daemon, struct error *err)
{
	return set_dns(daemon, daemon->config, err);
}

static void log_problem(void *ctx, const char *problem)
{
	struct daemon *daemon = ctx;
	log_line(&daemon->log, LOG_ERROR, LOG_ABOUT_NOTHING, "%s", problem);
}

void reload(struct daemon *daemon)
{
	struct error err = ERROR_INIT;
	struct config *next = NULL;
	int rc = config_load(daemon->config_path, log_problem, daemon, &next, &err);
	if (rc >= 0) {
		rc = config_reloadable(daemon->config, next, &err);
		if (rc >= 0)
			rc = set_dns(daemon, next, &err);
		if (rc < 0)
			log_problem(daemon, err.message);
	}
	if (rc < 0) {
		log_problem(daemon, "the configuration was not reloaded; the old one stays");
		config_destroy(next);
		return;
	}
	/* What may not change is the same in both; the strings of each are its own. */
	config_destroy(daemon->config);
	daemon->config = next;
	daemon->log.level = (enum log_level)daemon->config->log.level;
	daemon->log.json = daemon->config->log.json;
	log_line(&daemon->log, LOG_INFO, LOG_ABOUT_NOTHING, "configuration reloaded");
}
