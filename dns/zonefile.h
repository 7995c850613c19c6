/* SPDX-License-Identifier: ISC */
#ifndef DNS_ZONEFILE_H
#define DNS_ZONEFILE_H

#include "dns/name.h"
#include "dns/records.h"

/*
 * Reads the text of a zone (RFC 1035 section 5; unknown types as in RFC 3597) and adds its records.
 * `ttl` is for those that have none before any $TTL. $INCLUDE, classes other than IN, records
 * outside of the zone, DNAME, and signatures of others (zones are signed here) are refused. Blocks;
 * any thread. -EINVAL, or the errno of reading: the message names file and line.
 */
int zonefile_read(const char *path, const struct name *origin, uint32_t ttl,
	struct records *records, struct error *err);

#endif
