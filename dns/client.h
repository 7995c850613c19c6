/* SPDX-License-Identifier: ISC */
#ifndef DNS_CLIENT_H
#define DNS_CLIENT_H

#include <netinet/in.h>
#include <sys/socket.h>

struct tcp_connection;
struct udp_socket;

union client_address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* The address that a datagram was sent to, on a socket bound to all: the answer comes from it. */
union client_local {
	struct in_pktinfo in;
	struct in6_pktinfo in6;
};

/* Where a query came from and its answer goes. */
struct client {
	union client_address source;
	union client_local local; /* UDP only */
	struct udp_socket *udp;   /* one of these two is set */
	struct tcp_connection *tcp;
};

#endif
