/* SPDX-License-Identifier: ISC */
#ifndef DNS_SECURE_H
#define DNS_SECURE_H

#include "dns/answer.h"
#include "dns/dnssec.h"
#include "dns/table.h"
#include "dns/zone.h"

/*
 * What a client that wants DNSSEC hears in addition, from a zone that has keys: signatures, and
 * compact denials of existence (RFC 9824), which say of the one name that was asked for what it
 * has. Where memory or OpenSSL fail the answer becomes SERVFAIL: half of it would be bogus.
 */
struct secure {
	struct signatures *signatures;
	const struct zone *zone;
	struct answer *out;
};

/* A zone's name has ZONE_MAX_TYPES; here are A, AAAA, PTR, RRSIG and NSEC, too. */
#define SECURE_MAX_TYPES 64

/* Adds the signature of the part that was added last; `owner` is the name that its owner means.
 * `ttl` is that of the set in the zone, where another is said; or 0. */
void secure_sign(const struct secure *secure, const struct name *owner, uint32_t ttl);

/* Adds an NSEC record of the name with these types, in order, and NSEC and RRSIG; signed. */
void secure_deny(const struct secure *secure, const struct name *name, struct part_owner owner,
	const uint16_t *types, size_t count, enum section section);

/* The types that a node has, in order; returns how many. */
size_t secure_types(const struct node *node, uint16_t types[SECURE_MAX_TYPES]);

#endif
