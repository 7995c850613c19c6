/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

#include "base/error.h"

struct daemon;

/* Reads the configuration again (SIGHUP) and takes what can be changed while running: zones, log,
 * journal, limits, guest defaults. All or nothing; what is wrong goes to the log. */
void reload(struct daemon *daemon);

/* Gives the DNS server what it takes from the configuration while it runs: zones, secrets. */
int reload_dns(struct daemon *daemon, struct error *err);

#endif
