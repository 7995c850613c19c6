/* SPDX-License-Identifier: ISC */
#ifndef DNS_FORWARD_H
#define DNS_FORWARD_H

#include <sys/queue.h>
#include <uv.h>

#include "base/prefixes.h"
#include "dns/client.h"
#include "dns/handles.h"
#include "dns/respond.h"

/*
 * Queries for names of others, passed on to upstream resolvers for clients that may have that. An
 * answer is checked to be one to what was asked, and is not interpreted beyond that; nothing is
 * kept. Clients that ask the same at the same time wait for one query: a query that comes back to
 * us in a loop joins itself, and ends with its time.
 */
#define FORWARD_MAX_UPSTREAMS 8

LIST_HEAD(forwarding_list, forwarding);

struct forward {
	uv_loop_t *loop;
	struct responder *responder;
	struct handles *handles;
	union client_address upstreams[FORWARD_MAX_UPSTREAMS];
	unsigned upstream_count; /* 0: nothing is forwarded */
	unsigned preferred;      /* who answered last */
	const struct prefixes *clients;
	struct forwarding_list list;
	unsigned count, max;
	uint64_t timeout; /* of one try, ms */
	bool mix;         /* the letters of names */
};

/* Attaches itself to the responder. An upstream that is one of the `listen` addresses, or this
 * machine at one of their ports, is -EINVAL. The loop uses *forward until its handles are closed.
 */
int forward_init(struct forward *forward, uv_loop_t *loop, const struct dns_config *config,
	struct responder *responder, struct handles *handles, struct error *err);
/* Ends all that is under way, without answers. */
void forward_finish(struct forward *forward);

#endif
