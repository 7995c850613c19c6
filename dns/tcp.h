/* SPDX-License-Identifier: ISC */
#ifndef DNS_TCP_H
#define DNS_TCP_H

#include <sys/queue.h>
#include <uv.h>

#include "dns/handles.h"
#include "dns/respond.h"
#include "dns/source.h"

TAILQ_HEAD(tcp_list, tcp_connection);

/* All connections of a server, of whichever listening socket (RFC 7766). */
struct tcp {
	uv_loop_t *loop;
	struct responder *responder;
	struct handles *handles;
	struct tcp_list connections; /* the longest without activity first */
	uv_timer_t timer;            /* for the first of them */
	unsigned count, max;
	uint64_t idle; /* ms */
	struct source_counts sources;
};

/* Limits and times as in struct dns_config. The loop uses *tcp until its handles are closed. */
void tcp_init(struct tcp *tcp, uv_loop_t *loop, const struct dns_config *config,
	struct responder *responder, struct handles *handles);
/* Closes the connections, in a later loop turn; what waits for their clients is forgotten. */
void tcp_finish(struct tcp *tcp);

/* Serves an accepted connection, or closes it where there are too many. Owns `fd`. */
void tcp_open(struct tcp *tcp, int fd, const union client_address *source);

/* For a connection that closes: it is no longer one of these. */
void tcp_leave(struct tcp_connection *connection);

/* Sends the answer of a query that waited; the query must not be on its connection's list any
 * more. A connection whose client does not read is closed. */
void tcp_answer(struct tcp_connection *connection, const struct waiting_query *entry,
	const struct late_answer *late);

#endif
