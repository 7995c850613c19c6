/* SPDX-License-Identifier: ISC */
#ifndef BASE_PREFIXES_H
#define BASE_PREFIXES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/error.h"

/*
 * Yes or no for any address, by a list of prefixes: of those that contain the address the longest
 * decides, wherever it stands in the list. Compiled into ranges, so that asking costs a search
 * among them and no more, however long the list is.
 */
struct prefix_rule {
	struct ip_prefix prefix;
	bool yes;
};

struct prefix_range {
	unsigned __int128 first; /* up to the first of the next range */
	bool yes;
};

struct prefixes {
	struct prefix_range *ranges[2]; /* IPv4, IPv6 */
	size_t count[2];
	bool otherwise; /* for an address in none, and for what is no address */
};

/* How many ranges `count` rules come to at most. */
#define PREFIXES_ROOM(count) (2 * (count) + 2)

/* Sorts `rules` on the way. `ranges` has room for PREFIXES_ROOM(count) and stays the caller's, as
 * long as *out is used. -EEXIST names a prefix that stands there with yes and with no. */
int prefixes_build(struct prefix_rule *rules, size_t count, bool otherwise,
	struct prefix_range *ranges, struct prefixes *out, struct error *err);

/* One of all zero says no to all. */
bool prefixes_match(const struct prefixes *prefixes, const struct sockaddr *address);

#endif
