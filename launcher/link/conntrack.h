/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_CONNTRACK_H
#define LAUNCHER_LINK_CONNTRACK_H

#include <stdbool.h>
#include <uv.h>

#include "base/address.h"
#include "launcher/link/netlink.h"

/*
 * Open TCP connections of guests, as the kernel tracks them: those that the host forwards, and its
 * own; not those between hosts of one bridge. It tracks where a firewall rule asks for it, and only
 * then.
 *
 * The kernel is asked for all of them at once, on a thread: there may be a million, of others too, and
 * it goes through all of its table for one guest's as well.
 */
struct conntrack_list {
	struct ip_address *items; /* sorted; an address as often as it has connections */
	size_t count, capacity;
	int failure;       /* a negative errno: not known */
	uint64_t asked_at; /* monotonic; 0: never */
};

struct conntrack {
	struct netlink netlink;       /* the thread's, while busy */
	struct ip_prefix networks[2]; /* the guests' */
	size_t most;                  /* of connections that are kept */
	uv_loop_t *loop;
	uv_work_t work;
	bool busy, again, closing;
	struct conntrack_list next; /* the thread's, while busy */
	struct conntrack_list known;
};

/* -EPROTONOSUPPORT and the like where the kernel has none. `networks`: of others nothing is kept; each
 * may be none. `conntrack` stays where it is until the loop has ended. */
int conntrack_open(struct conntrack *conntrack, uv_loop_t *loop, const struct ip_prefix networks[2],
	struct error *err);
void conntrack_close(struct conntrack *conntrack);

/* Whether what is known was true at `since` (monotonic) or later; where it was not, it is asked for, and
 * known in a later turn of the loop. Nothing can be known of a kernel that tracks nothing: then true. */
bool conntrack_knows(struct conntrack *conntrack, uint64_t since);
/* How many TCP connections from or to the address were open, or closed on one side only, when it was
 * known last; 1 where that could not be read, as where there are too many, or the table changed all the
 * time. A negative errno where the kernel tells nothing. */
int conntrack_count(const struct conntrack *conntrack, const struct ip_address *address);
/* Whether anything at all is tracked now. */
bool conntrack_is_used(void);

#endif
