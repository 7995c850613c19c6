/* SPDX-License-Identifier: ISC */
#ifndef DNS_ACCESS_H
#define DNS_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "dns/dns.h"
#include "dns/name.h"

/* Who may ask for names of which zones. All zero: everybody for all. */
struct access {
	struct access_zone *zones; /* those that are not everybody's, the longest name first */
	size_t count;
};

/* Replaces all at once; on error (-EINVAL for a bad name, -ENOMEM) nothing has changed. */
int access_set(struct access *access, const struct dns_zone_access *zones, size_t count,
	struct error *err);
void access_finish(struct access *access);

/* Whether the client may have anything of a name (in wire format, as it was asked for). */
bool access_allows(
	const struct access *access, const uint8_t *question, const struct sockaddr *client);

#endif
