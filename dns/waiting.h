/* SPDX-License-Identifier: ISC */
#ifndef DNS_WAITING_H
#define DNS_WAITING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "dns/client.h"
#include "dns/dns.h"
#include "dns/packet.h"
#include "dns/source.h"
#include "dns/tsig.h"

LIST_HEAD(waiting_list, waiting_query);

/* The queries that go when their TCP connection goes. */
struct waiting_owner {
	struct waiting_list list;
	unsigned count;
};

/* A query that was put off, with all that its answer needs. */
struct waiting_query {
	LIST_ENTRY(waiting_query) link; /* of its owner's list, or the free list */
	struct waiting_owner *owner;    /* NULL over UDP */
	uint32_t generation;            /* 0: was never used */
	bool used;
	uint32_t service;
	uint32_t answer_as; /* as in dns_ask; the service itself: its own addresses */
	uint64_t network;   /* of the client */
	struct client client;
	struct query query; /* its question points below */
	struct tsig tsig;   /* where the query has one */
	uint8_t question[QUESTION_MAX_SIZE];
};

/* The table of all of these: allocated once, bounded. */
struct waiting {
	struct waiting_query *entries;
	uint32_t max, touched; /* entries from `touched` on were never used */
	struct waiting_list free;
	struct source_counts sources;
};

/* The id of no query. */
#define WAITING_NONE ((struct dns_query_id){0, 0})

/* At most `max`, and `max_source` of one network (0: all). 0 or -ENOMEM. */
int waiting_init(struct waiting *waiting, uint32_t max, uint32_t max_source);
void waiting_finish(struct waiting *waiting);

/* The id that the next waiting_put will give; WAITING_NONE where the table is full, or the client's
 * network has its share. */
struct dns_query_id waiting_next(struct waiting *waiting, const struct client *client);
/* Keeps a query, and a copy of its signature, and returns what it keeps, which is answered as `service`
 * unless told otherwise; requires that waiting_next found room. `owner` and `tsig` may be NULL. */
struct waiting_query *waiting_put(struct waiting *waiting, const struct client *client,
	const struct query *query, const struct tsig *tsig, uint32_t service,
	struct waiting_owner *owner);
/* NULL where the query is gone. */
struct waiting_query *waiting_find(const struct waiting *waiting, struct dns_query_id id);
/* Takes the query from its owner. */
void waiting_detach(struct waiting_query *entry);
void waiting_release(struct waiting *waiting, struct waiting_query *entry);
/* Releases all that the owner has. */
void waiting_forget(struct waiting *waiting, struct waiting_owner *owner);

#endif
