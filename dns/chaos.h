/* SPDX-License-Identifier: ISC */
#ifndef DNS_CHAOS_H
#define DNS_CHAOS_H

#include "dns/block.h"
#include "dns/packet.h"

/* What the server says of itself in class CH (RFC 4892): version.server, version.bind, id.server
 * and hostname.bind, each a TXT. */
struct chaos {
	struct block *version, *identity; /* NULL: not told */
};

/* The longest text of either: one TXT string. */
#define CHAOS_MAX_TEXT 255

/* Either may be NULL or "", which is not told. 0, -ENOMEM, or -EINVAL for one that is too long. */
int chaos_init(struct chaos *chaos, const char *version, const char *identity);
void chaos_finish(struct chaos *chaos);

/* NULL: refused. */
const struct block *chaos_find(const struct chaos *chaos, const struct query *query);

#endif
