/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

#include <stdbool.h>
#include <uv.h>

#include "base/error.h"
#include "daemon/config.h"

struct daemon;
struct dns_zones;

/* Called once, on the loop thread. */
typedef void (*reload_done_fn)(void *ctx, int rc, const struct error *err);

struct reload_waiter {
	struct reload_waiter *next;
	reload_done_fn done;
	void *ctx;
};

/* A reload under way: files are read in a thread. */
struct reload {
	uv_work_t work;
	bool whole; /* the configuration too, not its zones alone */
	char *problems[CONFIG_PROBLEMS_MAX];
	size_t problem_count;
	struct config *next;
	struct dns_zones *zones;
	struct error err;
	int rc;
	bool busy, again;                     /* `again`: asked for meanwhile */
	struct reload_waiter *waiting, *told; /* for zones alone; the latter for this pass */
};

/* Reads the configuration again (SIGHUP) and takes what can be changed while running: zones, log,
 * journal, limits, guest defaults. All or nothing; what is wrong goes to the log. systemd is
 * told when it is over. */
void reload(struct daemon *daemon);

/* Reads and compiles the zones of a configuration, with their files; any thread. */
int reload_read_zones(const struct config *config, struct dns_zones **out, struct error *err);

/* Reads the zones of the present configuration again, with their files and keys. `done` comes in a
 * later turn. */
int reload_zones(struct daemon *daemon, reload_done_fn done, void *ctx, struct error *err);

/* Gives the DNS server what it takes from the configuration while it runs: zones, secrets. Blocks. */
int reload_dns(struct daemon *daemon, struct error *err);

#endif
