/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <stdbool.h>
#include <uv.h>

#include "daemon/addresses.h"
#include "daemon/admission.h"
#include "daemon/backends.h"
#include "daemon/config.h"
#include "daemon/door.h"
#include "daemon/guard.h"
#include "daemon/heal.h"
#include "daemon/journal.h"
#include "daemon/log.h"
#include "daemon/reload.h"
#include "daemon/schedule.h"
#include "daemon/service.h"
#include "daemon/storage.h"
#include "dns/dns.h"
#include "launcher/link/conntrack.h"
#include "launcher/link/link.h"

/* All that the daemon is, passed down to whoever needs it. Made by main.c, in this order, and
 * unmade in the reverse. */
struct control;

struct daemon {
	uv_loop_t loop;
	const char *config_path;
	struct config *config;
	struct log log;
	struct storage *storage;
	char identity[33];
	struct journal journal;
	struct reload reload;
	struct addresses addresses, addresses6; /* the second one's pool may be "none" */
	struct registry registry;
	struct link *link;         /* NULL: guests have no network (network.enabled = false) */
	struct doorbell *doorbell; /* NULL where link is */
	struct heal heal;
	struct conntrack conntrack; /* its socket is closed where the kernel has none */
	uint64_t unknown_rings;     /* packets to addresses that are no service's */
	struct backends backends;
	struct timer *shells; /* until they are reckoned anew */
	struct dns_server *dns;
	struct guard guard;
	struct admissions admission;
	struct schedule schedule;
	struct control *control;
	uint64_t started_at; /* monotonic */
	uv_signal_t signals[3];
	uv_prepare_t prepare;
	bool serving; /* names are answered */
	bool ending;
};

/* dns: the callback of the DNS server (ask.c). `ctx` is the daemon. */
enum dns_reply daemon_ask(void *ctx, const struct dns_ask *ask, struct dns_ede *ede);

#endif
