/* SPDX-License-Identifier: ISC */
#ifndef TESTS_LINK_NET_H
#define TESTS_LINK_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/address.h"
#include "launcher/link/link.h"

/* What the tests of the links share: a network of their own, and a fake guest. */

#define GUEST_MAC                                                                                  \
	{                                                                                          \
		.bytes = { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 }                                    \
	}

/* Moves this program into a new network namespace with the loopback device up. Where that is not
 * permitted, says so as a skipped TAP plan and ends the program. */
void net_isolate(void);

/* Runs ip(8), the judge of what our code did; a failure fails the test. */
void net_ip(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Does the output of `ip ...` contain `text`? */
bool net_ip_says(const char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool net_exists(const char *device);
unsigned net_count(const char *prefix); /* devices whose name starts so */
unsigned net_files(void);               /* descriptors of ours, and a few more */

struct ip_address net_address(const char *text);
struct ip_prefix net_prefix(const char *text);

/* Turns the loop until `done` is true, at most some seconds long; returns `done`'s last word. */
bool net_run_until(uv_loop_t *loop, bool (*done)(void *ctx), void *ctx);
/* Turns the loop until nothing is left to do; fails the test where that does not end. */
void net_run_out(uv_loop_t *loop);

/* A link with bridge "sbr0", 10.77.0.1/16, fd77::1/64 and taps "stap<n>". */
struct link *net_link(uv_loop_t *loop, unsigned spare_taps);
/* link_tap_take() as for QEMU. */
int net_take(struct link *link, char name[IFNAMSIZ], struct error *err);
/* As the daemon does for a guest that is ready: its neighbour, and then its route. */
int net_link_up(struct link *link, const struct ip_address *address, const struct mac_address *mac,
	struct error *err);
void net_link_end(uv_loop_t *loop, struct link *link);

/* Opens the tap by name as a hypervisor does. A read gives up after some seconds. */
int net_tap_open(const char *name);
/* Waits until the kernel has told the bridge that somebody holds the tap: what is sent to it before
 * is lost. */
void net_tap_await(const char *name);
/* Sends an Ethernet frame from `mac` (to everybody, of a protocol that nobody speaks). */
void net_tap_send(int fd, const struct mac_address *mac);
/* Reads frames until one for UDP port `port` comes: its bytes from the Ethernet header on. */
size_t net_tap_receive_udp(int fd, uint16_t port, uint8_t *frame, size_t size);

/* Of a doorbell beside which no guest has an address (struct doorbell_config). */
bool net_no_guests(void *ctx, const struct ip_address *address, struct mac_address *mac);

/* Sends a small UDP packet from an unbound socket: 0 or a negative errno. */
int net_send_udp(const struct ip_address *address, uint16_t port);

#endif
