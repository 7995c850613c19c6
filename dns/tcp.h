/* SPDX-License-Identifier: ISC */
#ifndef DNS_TCP_H
#define DNS_TCP_H

#include <sys/queue.h>
#include <uv.h>

#include "dns/handles.h"
#include "dns/respond.h"

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
};

/* `max` connections at once; `idle` in ns. The loop uses *tcp until its handles are closed. */
void tcp_init(struct tcp *tcp, uv_loop_t *loop, struct responder *responder,
	struct handles *handles, unsigned max, uint64_t idle);
/* Closes the connections, in a later loop turn; what waits for their clients is forgotten. */
void tcp_finish(struct tcp *tcp);

/* Listens on a bound socket, which is owned from here on, also on failure. */
int tcp_listen(struct tcp *tcp, int fd, uv_tcp_t **out);
/* Frees in a later loop turn. NULL is fine. */
void tcp_listener_destroy(uv_tcp_t *listener);

/* Sends the answer of a query that waited; the query must not be on its connection's list any
 * more. A connection whose client does not read is closed. */
void tcp_answer(struct tcp_connection *connection, const struct waiting_query *entry,
	enum dns_reply reply, const struct dns_ede *ede);

#endif
