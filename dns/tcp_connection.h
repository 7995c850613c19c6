/* SPDX-License-Identifier: ISC */
#ifndef DNS_TCP_CONNECTION_H
#define DNS_TCP_CONNECTION_H

#include "dns/tcp.h"
#include "dns/transfer.h"

/* One connection: frames that come in, and answers that go out. tcp.c has how many of them there are,
 * and for how long. */

/* The most that a query may reasonably have; of a longer frame the rest is skipped. */
#define TCP_QUERY_MAX 4096
/* Answers that the kernel does not take yet. While less than one of the largest fits, no query is
 * read. */
#define TCP_OUT_SIZE  (32 << 10)

struct tcp_connection {
	TAILQ_ENTRY(tcp_connection) link;
	uv_tcp_t handle;
	uv_write_t write;
	struct tcp *tcp;
	struct client client;
	struct waiting_owner waiting;
	struct transfer *transfer; /* under way, or NULL: no query is served beside it */
	uint64_t active_at;        /* ms of the loop */
	uint64_t network;          /* of the client */
	bool ended;                /* the client sends no more */
	size_t in_size;            /* bytes of frames that are not served yet */
	size_t skip;               /* bytes of a frame that was too long and is still coming */
	size_t out_begin, out_end; /* bytes that are not written yet */
	size_t aside;              /* bytes of answers under way that had no room there */
	size_t writing;            /* how many of these the loop has in hand; 0: it is idle */
	uint8_t in[2 + TCP_QUERY_MAX];
	uint8_t out[TCP_OUT_SIZE];
};

/* Serves the client of `fd`, which it owns once it succeeds. A libuv error, and the connection has to be
 * closed. */
int tcp_connection_begin(struct tcp_connection *connection, int fd);
/* Closes it; memory is released in a later loop turn. Nothing where it is closing already. */
void tcp_connection_close(struct tcp_connection *connection);
/* It is used: of all it is idle for the shortest time. */
void tcp_connection_touch(struct tcp_connection *connection);
/* Nothing is under way. */
bool tcp_connection_is_idle(const struct tcp_connection *connection);

#endif
