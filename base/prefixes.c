/* SPDX-License-Identifier: ISC */
#include "base/prefixes.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned __int128 key;

#define DEEPEST 130 /* prefixes that contain one another: one of each length, and the outside */

static key key_of(const uint8_t *bytes, size_t size)
{
	key value = 0;
	for (size_t i = 0; i < size; i++)
		value = value << 8 | bytes[i];
	return value;
}

static unsigned width_of(const struct ip_prefix *prefix)
{
	return prefix->address.family == AF_INET ? 32 : 128;
}

/* The bits behind the prefix. */
static key host_mask(const struct ip_prefix *prefix)
{
	unsigned bits = width_of(prefix) - prefix->length;
	return bits == 128 ? ~(key)0 : ((key)1 << bits) - 1;
}

static key first_of(const struct ip_prefix *prefix)
{
	return key_of(prefix->address.bytes, width_of(prefix) / 8) & ~host_mask(prefix);
}

/* By family, then by where they begin, the longer behind the shorter. */
static int compare(const void *left, const void *right)
{
	const struct ip_prefix *a = &((const struct prefix_rule *)left)->prefix;
	const struct ip_prefix *b = &((const struct prefix_rule *)right)->prefix;
	if (a->address.family != b->address.family)
		return a->address.family == AF_INET ? -1 : 1;
	key x = first_of(a), y = first_of(b);
	if (x != y)
		return x < y ? -1 : 1;
	return a->length - b->length;
}

static int check(const struct prefix_rule *rules, size_t count, struct error *err)
{
	char text[IP_PREFIX_TEXT];
	for (size_t i = 1; i < count; i++)
		if (compare(&rules[i - 1], &rules[i]) == 0 && rules[i - 1].yes != rules[i].yes)
			return error_set(err, -EEXIST, "%s is both allowed and denied",
				ip_prefix_print(&rules[i].prefix, text));
	return 0;
}

/* The ranges of one family while they are made. */
struct sweep {
	struct prefix_range *ranges;
	size_t count;
	struct {
		key last;
		bool yes;
	} open[DEEPEST]; /* the prefixes that contain the present place; the first is the outside */
	unsigned depth;
};

/* From here on it is the innermost prefix that counts. */
static void begin_range(struct sweep *sweep, key first)
{
	struct prefix_range *last = sweep->count ? &sweep->ranges[sweep->count - 1] : NULL;
	bool yes = sweep->open[sweep->depth].yes;
	if (last && last->first == first)
		last->yes = yes;
	else if (!last || last->yes != yes)
		sweep->ranges[sweep->count++] = (struct prefix_range){first, yes};
}

/* Leaves the prefixes that end before `first`. */
static void leave(struct sweep *sweep, key first)
{
	while (sweep->depth > 0 && sweep->open[sweep->depth].last < first) {
		key next = sweep->open[sweep->depth].last + 1;
		sweep->depth--;
		begin_range(sweep, next);
	}
}

static size_t build_family(
	const struct prefix_rule *rules, size_t count, bool otherwise, struct prefix_range *ranges)
{
	struct sweep sweep = {.ranges = ranges};
	sweep.open[0].last = ~(key)0;
	sweep.open[0].yes = otherwise;
	begin_range(&sweep, 0);
	for (size_t i = 0; i < count; i++) {
		key first = first_of(&rules[i].prefix);
		leave(&sweep, first);
		/* The same prefix again changes nothing. */
		if (i == 0 || compare(&rules[i - 1], &rules[i]) != 0)
			sweep.depth++;
		sweep.open[sweep.depth].last = first | host_mask(&rules[i].prefix);
		sweep.open[sweep.depth].yes = rules[i].yes;
		begin_range(&sweep, first);
	}
	/* The last address of a family has nothing behind it. */
	while (sweep.depth > 0 && sweep.open[sweep.depth].last == ~(key)0)
		sweep.depth--;
	leave(&sweep, ~(key)0);
	return sweep.count;
}

int prefixes_build(struct prefix_rule *rules, size_t count, bool otherwise,
	struct prefix_range *ranges, struct prefixes *out, struct error *err)
{
	size_t ipv4 = 0;
	qsort(rules, count, sizeof(*rules), compare);
	int rc = check(rules, count, err);
	if (rc < 0)
		return rc;
	while (ipv4 < count && rules[ipv4].prefix.address.family == AF_INET)
		ipv4++;
	*out = (struct prefixes){.otherwise = otherwise};
	out->ranges[0] = ranges;
	out->count[0] = build_family(rules, ipv4, otherwise, ranges);
	out->ranges[1] = ranges + out->count[0];
	out->count[1] = build_family(rules + ipv4, count - ipv4, otherwise, out->ranges[1]);
	return 0;
}

static bool search(const struct prefix_range *ranges, size_t count, key value)
{
	size_t low = 0;
	while (count > 1) {
		size_t half = count / 2;
		low += ranges[low + half].first <= value ? half : 0;
		count -= half;
	}
	return ranges[low].yes;
}

bool prefixes_match(const struct prefixes *prefixes, const struct sockaddr *address)
{
	const void *any = address;
	if (address->sa_family == AF_INET && prefixes->count[0] > 0)
		return search(prefixes->ranges[0], prefixes->count[0],
			ntohl(((const struct sockaddr_in *)any)->sin_addr.s_addr));
	if (address->sa_family == AF_INET6 && prefixes->count[1] > 0)
		return search(prefixes->ranges[1], prefixes->count[1],
			key_of(((const struct sockaddr_in6 *)any)->sin6_addr.s6_addr, 16));
	return prefixes->otherwise;
}
