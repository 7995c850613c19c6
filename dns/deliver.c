/* SPDX-License-Identifier: ISC */
#include "dns/deliver.h"

#include "dns/tcp.h"
#include "dns/udp.h"

void deliver(struct responder *responder, struct dns_query_id id, const struct late_answer *late)
{
	struct waiting_query *entry = waiting_find(&responder->waiting, id);
	if (!entry)
		return;
	waiting_detach(entry);
	if (entry->client.tcp)
		tcp_answer(entry->client.tcp, entry, late);
	else
		udp_answer(entry->client.udp, entry, late);
	waiting_release(&responder->waiting, entry);
}
