/* SPDX-License-Identifier: ISC */
#ifndef POLICIES_INSTANCES_H
#define POLICIES_INSTANCES_H

#include "policies/decide.h"

/*
 * Which of a service's machines is whose: pure functions, as those of decide.h. A service of
 * `instances = per-client:N` or `shared:N` has N machines, here its seats, numbered from 0.
 *
 * per-client: a client has a seat to itself for as long as anything of its machine is left, also at
 * rest. It gets a free one, the one that it had last if that is free, or else the one that was free
 * for the longest time, of those whose starts do not fail if there are any. Where none is free, it
 * gets the one that has been at rest for the longest time, which begins anew; where none is at rest
 * either, it gets none.
 *
 * shared: a hash of the client's address puts the seats in an order of its own (rendezvous hashing),
 * and the client gets the first whose starts do not fail. So it keeps its seat whatever others do,
 * clients spread evenly, a machine wakes when one of its own clients asks, and with one seat more or
 * less only the clients of that one move.
 */

/* "one", "per-client:3", "shared:4". */
bool instances_parse(const char *text, struct policy_instances *out);
bool instances_print(const struct policy_instances *instances, char text[POLICY_VALUE_MAX + 1]);

/* Who counts as one client: an IPv4 address, or an IPv6 network of 64 bits. */
struct ip_address instances_client(const struct ip_address *address);

struct seat {
	enum load_state state;
	bool failing;             /* no start of it is tried now */
	struct ip_address client; /* whose it is; "none": it is free */
	struct ip_address before; /* free: whose it was last */
	bool direct;              /* the client itself has sent packets to it */
	uint64_t used_at;         /* when it was given to a client, or asked for by it */
};

struct seating {
	bool found;
	bool anew;      /* what rests there is another client's, and is to be destroyed first */
	unsigned index; /* of the seat */
};

/* `client` is of instances_client(); `seed` makes the order of seats hard to guess. */
struct seating decide_seat(enum policy_sharing how, const struct seat *seats, unsigned count,
	const struct ip_address *client, uint64_t seed);

enum visit {
	VISIT_WELCOME, /* of whom the seat is, or it may be: a user of the resolver that asked */
	VISIT_TAKES,   /* the seat is free, and its own now */
	VISIT_STRANGER,
};

/* per-client: a packet from `client` to a machine that is not awake. A client that has a seat is a
 * stranger at any other; at a seat whose client sends packets itself everybody else is one. */
enum visit decide_visit(
	const struct seat *seats, unsigned count, unsigned index, const struct ip_address *client);

#endif
