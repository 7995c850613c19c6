/* SPDX-License-Identifier: ISC */
#ifndef TESTS_DNS_FIXTURE_H
#define TESTS_DNS_FIXTURE_H

#include "dns/dns.h"
#include "tests/dns/world.h"

/* A server with the zones and services of world.h on a port of its own, and a loop that the test
 * turns while it waits. */
struct fixture {
	uv_loop_t loop;
	struct dns_server *server;
	struct daemon daemon;
	bool closed;
	int family;
	uint16_t port;
};

/* Nothing but a hang takes this long. */
#define HANG_MS 20000

/* Only what a test wants otherwise is set in `config`; `listen` is the address in text. */
struct fixture *fixture_create(const char *listen, struct dns_config config);
void fixture_destroy(struct fixture *fixture);

/* Turns the loop once, waiting for at most a few milliseconds. */
void fixture_turn(struct fixture *fixture);
/* Turns it until `fd` is ready. */
void fixture_wait(struct fixture *fixture, int fd, short events);
/* Turns it until the daemon was asked so often. */
void fixture_wait_asked(struct fixture *fixture, unsigned count);

/* A non-blocking socket that is connected to the server at the address. */
int fixture_connect(struct fixture *fixture, const char *address, int type);
/* One datagram, or one TCP answer without its length. */
size_t fixture_receive(struct fixture *fixture, int fd, uint8_t *out, size_t max);
size_t fixture_receive_frame(struct fixture *fixture, int fd, uint8_t *out, size_t max);
void fixture_send(int fd, const void *bytes, size_t size);
/* Asks over TCP for a name of plain text. */
void fixture_ask_tcp(int fd, uint16_t id, const char *name, uint16_t type);
/* Turns the loop until the server has closed the connection, reading what still comes. */
void fixture_wait_closed(struct fixture *fixture, int fd);

#endif
