/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/address.h"
#include "base/error.h"
#include "base/prefixes.h"
#include "dns/dns.h"
#include "launcher/launcher.h"
#include "policies/budget.h"

/* A list as it was written; what several say together is compiled into struct prefixes. */
struct config_prefixes {
	struct prefix_rule *rules;
	size_t count;
};

/*
 * The configuration: summond.conf (see base/config_syntax.h), then conf.d/ beside it in the order
 * of names, then SUMMOND_<SECTION>_<KEY> from the environment. Read once into plain fields; all
 * that they point to is owned by the config.
 */
struct config_zone {
	char *origin, *primary, *mailbox; /* the last two may be NULL */
	char *file;                       /* static records, or NULL */
	uint32_t ttl, negative_ttl;       /* seconds */
	struct dns_name_server *servers;
	size_t server_count;
	struct config_prefixes allow, deny;
	struct prefixes access; /* of allow and deny */
	const char **transfer;  /* names of keys */
	size_t transfer_count;
	struct sockaddr_storage *notify;
	size_t notify_count;
};

/* `backend "libvirt" { key = value }`: handed to the backend as it stands. */
struct config_backend {
	char *name;
	struct launcher_setting *settings;
	size_t setting_count;
};

#define CONFIG_COOKIE_SECRETS 2
#define CONFIG_UPSTREAMS      8

struct config {
	char *state_dir, *run_dir;
	struct {
		char *socket;
		mode_t mode;
		char *group; /* or NULL */
		uint64_t max_upload;
	} control;
	struct {
		struct sockaddr_storage *listen;
		size_t listen_count;
		unsigned max_waiting, max_tcp, waiting_per_source, tcp_per_source;
		uint64_t tcp_idle; /* ns */
		int cookies;       /* enum dns_cookie_mode */
		uint8_t cookie_secrets[CONFIG_COOKIE_SECRETS][DNS_COOKIE_SECRET_SIZE];
		unsigned cookie_secret_count;
		unsigned rate_limit, rate_slip;
		struct config_prefixes unlimited;
		struct prefixes exempt;   /* of unlimited */
		char *identity, *version; /* or NULL */
	} dns;
	struct {
		bool enabled, mix_case;
		struct sockaddr_storage upstreams[CONFIG_UPSTREAMS];
		unsigned upstream_count; /* 0: those of resolv_conf */
		char *resolv_conf;
		struct config_prefixes allow, deny;
		struct prefixes clients; /* of allow and deny */
		uint64_t timeout;        /* ns */
		unsigned max;
	} forward;
	struct {
		struct config_prefixes allow, deny, trusted;
		struct prefixes access, trusts; /* of allow and deny; of trusted */
		bool verify;
		struct budget_rate per_source, per_service, total;
	} wake;
	struct config_zone *zones;
	size_t zone_count;
	struct dns_tsig_key *tsig_keys;
	size_t tsig_key_count;
	struct {
		bool enabled;
		char *bridge, *tap_prefix, *doorbell;
		struct ip_prefix address, address6, pool, pool6; /* those for IPv6 may be "none" */
		unsigned spare_taps;
	} network;
	char *default_backend;
	struct config_backend *backends;
	size_t backend_count;
	char *images; /* folder of our own guest images */
	struct {
		uint64_t memory;
	} guest;
	struct {
		uint64_t summons, transitions;
		uint64_t flush; /* ns */
	} journal;
	struct {
		unsigned waiters_per_service, services;
		unsigned parked_per_service, parked; /* packets that wait for a guest */
		uint64_t parked_bytes;
		uint64_t memory; /* of all guests; 0: no limit */
		uint64_t evict_idle;
		unsigned starts;
		unsigned breaker; /* failures; 0: none */
		uint64_t breaker_for;
	} limits;
	struct {
		int level; /* enum log_level: 0 debug .. 3 error */
		bool json;
	} log;
};

/* One problem a call, "file:line: option: what is wrong and what would be right". */
typedef void (*config_problem_fn)(void *ctx, const char *problem);

#define CONFIG_PROBLEMS_MAX 20

/* All problems found, up to so many, go to `problem` (may be NULL); the first is in *err too. `path`
 * NULL: the defaults and the environment. -EINVAL, or the errno of reading a file. */
int config_load(const char *path, config_problem_fn problem, void *ctx, struct config **out,
	struct error *err);
void config_destroy(struct config *config);

/* Whether `next` can take the place of `running` without a restart; else -EBUSY, and the error
 * names the option. Zones, and the options whose help says so, can. */
int config_reloadable(const struct config *running, const struct config *next, struct error *err);

/* Every option with its default and a line of help, for --help-config and the man page. */
void config_print_options(FILE *stream);

#endif
