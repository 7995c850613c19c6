/* SPDX-License-Identifier: ISC */
#ifndef DNS_ACCEPT_H
#define DNS_ACCEPT_H

#include "dns/tcp.h"

/* A listening socket. */
struct tcp_listener;

/* Listens on a bound, non-blocking socket, which is owned from here on, also on failure. */
int tcp_listener_create(struct tcp *tcp, int fd, struct tcp_listener **out);
/* Frees in a later loop turn. NULL is fine. */
void tcp_listener_destroy(struct tcp_listener *listener);

#endif
