/* SPDX-License-Identifier: ISC */
#ifndef TESTS_FUZZ_JUDGE_H
#define TESTS_FUZZ_JUDGE_H

#include <string.h>

#include <ldns/ldns.h>

#include "dns/packet.h"

static inline const char *judge_packet(const ldns_pkt *packet, const struct query *query)
{
	const ldns_rr *question = ldns_rr_list_rr(ldns_pkt_question(packet), 0);
	const ldns_rdf *name = question ? ldns_rr_owner(question) : NULL;
	if (!name || ldns_rdf_size(name) != query->name_size)
		return "size of the name";
	if (memcmp(ldns_rdf_data(name), query->question, query->name_size) != 0)
		return "name";
	if (ldns_rr_get_type(question) != query->type)
		return "type";
	if (ldns_rr_get_class(question) != LDNS_RR_CLASS_IN)
		return "class IN";
	if (ldns_pkt_id(packet) != query->id)
		return "id";
	if (ldns_pkt_rd(packet) != (query->flags & 1) ||
		ldns_pkt_cd(packet) != !!(query->checks & 0x10))
		return "flags";
	if (ldns_pkt_edns(packet) != query->edns)
		return "EDNS";
	if (query->edns && ldns_pkt_edns_do(packet) != query->dnssec_ok)
		return "DO";
	return NULL;
}

/* A second opinion on a query that packet_read took for an ordinary one: what ldns sees otherwise;
 * NULL: nothing. */
static inline const char *judge_query(const uint8_t *bytes, size_t size, const struct query *query)
{
	ldns_pkt *packet = NULL;
	if (ldns_wire2pkt(&packet, bytes, size) != LDNS_STATUS_OK)
		return "no packet at all";
	const char *what = judge_packet(packet, query);
	ldns_pkt_free(packet);
	return what;
}

#endif
