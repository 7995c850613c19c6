/* SPDX-License-Identifier: ISC */
#ifndef DNS_DELIVER_H
#define DNS_DELIVER_H

#include "dns/respond.h"

/* Sends a waiting query its answer. Nothing happens where the query is gone. Not from within
 * respond(), whose answer may stand in the same place. */
void deliver(struct responder *responder, struct dns_query_id id, const struct late_answer *late);

#endif
