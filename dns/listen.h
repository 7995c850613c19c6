/* SPDX-License-Identifier: ISC */
#ifndef DNS_LISTEN_H
#define DNS_LISTEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"

/* UDP and TCP of one address, bound to the same port, non-blocking; owned by the caller. */
struct listen_pair {
	int udp;     /* queries come in by it */
	int udp_out; /* answers leave by it: nothing comes in */
	int tcp;
	uint16_t port;
	bool wildcard; /* bound to all addresses: the UDP socket tells which one was asked */
};

/* Where the port is 0, finds one that is free for both. Errors name the address. */
int listen_open(const struct sockaddr_storage *address, struct listen_pair *out, struct error *err);

#endif
