/* SPDX-License-Identifier: ISC */
#ifndef DNS_LOOKUP_H
#define DNS_LOOKUP_H

#include "dns/answer.h"
#include "dns/names.h"
#include "dns/packet.h"

/* What a query that packet_read found ordinary comes to (RFC 1034 section 4.3.2). */
void answer_find(const struct names *names, const struct query *query, struct answer *out);

#endif
