/* SPDX-License-Identifier: ISC */
#include "dns/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "base/cleanup.h"
#include "dns/client.h"

/* Bursts wait in the kernel, not in us. */
#define SOCKET_BUFFER_SIZE (4 << 20)

/* What a TCP client that does not read may hold of the kernel's memory, by way of the listening
 * socket. */
#define TCP_SEND_BUFFER_SIZE (64 << 10)

/* A datagram to oneself is there at once, but for a machine that is very busy. */
#define RECEIVED_WITHIN_MS 100

/* Ports that were free for UDP but not for TCP. */
#define MAX_PORT_TRIES 64

static void set_option(int fd, int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof(value));
}

/* All of these only make good things better, so that a kernel without them will do. */
static void tune_udp(int fd, int family)
{
	set_option(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER_SIZE);
	set_option(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER_SIZE);
	/* Beyond net.core.[rw]mem_max, where we may. */
	set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER_SIZE);
	set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER_SIZE);
	/* A forged "fragmentation needed" must not shrink what we send (RFC 9715). */
	if (family == AF_INET)
		set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
	else
		set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT);
}

/* With `shared`, beside another socket of the address that allows it, too. */
static int open_socket(const struct sockaddr_storage *address, int type, bool wildcard, bool shared)
{
	int on = 1, family = address->ss_family;
	socklen_t size =
		family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	CLEANUP(close) int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return -errno;
	if (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	if (type == SOCK_DGRAM && wildcard &&
		(family == AF_INET ? setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on))
				   : setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on,
					     sizeof(on))) < 0)
		return -errno;
	if (type == SOCK_DGRAM)
		tune_udp(fd, family);
	else
		set_option(fd, SOL_SOCKET, SO_SNDBUF, TCP_SEND_BUFFER_SIZE);
	if (bind(fd, (const struct sockaddr *)address, size) < 0)
		return -errno;
	return steal_fd(&fd);
}

static bool is_wildcard(const struct sockaddr_storage *address)
{
	static const uint8_t zero[16];
	struct ip_address ip = ip_address_from_sockaddr((const struct sockaddr *)address);
	return memcmp(ip.bytes, zero, sizeof(zero)) == 0;
}

/* The port stands at the same place for both families. */
static in_port_t *port_of(struct sockaddr_storage *address)
{
	return &((struct sockaddr_in *)address)->sin_port;
}

/* Whether the empty datagram is there, which it takes; no query is empty. */
static bool receives(int fd, int timeout_ms)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	if (poll(&ready, 1, timeout_ms) <= 0)
		return false;
	if (recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT) == 0)
		recv(fd, NULL, 0, MSG_DONTWAIT);
	return true;
}

/* Which of the two receives. Where none does (no loopback, or one that is filtered), the one that was
 * bound last is believed to. */
static void take_roles(int first, int last, const struct sockaddr_storage *bound, socklen_t size,
	struct listen_pair *out)
{
	bool sent = sendto(last, NULL, 0, MSG_DONTWAIT, (const struct sockaddr *)bound, size) == 0;
	bool swapped = sent && !receives(last, RECEIVED_WITHIN_MS) && receives(first, 0);
	out->udp = swapped ? first : last;
	out->udp_out = swapped ? last : first;
}

/*
 * Answers leave by a socket of their own. The one that queries come in by is watched, and the kernel
 * tells a watcher of every datagram that has left; and what sending writes to would lie beside what
 * arriving queries write to, often from another CPU.
 *
 * Of two sockets with one address, Linux gives to the one that was bound last, which nothing promises:
 * so it is tried. Nobody else is let in: the first is bound alone, and both share their address only
 * until the second is bound.
 */
static int open_udp(const struct sockaddr_storage *address, struct sockaddr_storage *bound,
	struct listen_pair *out)
{
	socklen_t size = sizeof(*bound);
	CLEANUP(close) int first = open_socket(address, SOCK_DGRAM, out->wildcard, false);
	if (first < 0)
		return first;
	if (getsockname(first, (struct sockaddr *)bound, &size) < 0)
		return -errno;
	set_option(first, SOL_SOCKET, SO_REUSEADDR, 1);
	int last = open_socket(bound, SOCK_DGRAM, out->wildcard, true);
	if (last < 0)
		return last;
	set_option(last, SOL_SOCKET, SO_REUSEADDR, 0);
	set_option(first, SOL_SOCKET, SO_REUSEADDR, 0);
	take_roles(steal_fd(&first), last, bound, size, out);
	/* What is sent to everybody comes to both: nobody will read it here. */
	set_option(out->udp_out, SOL_SOCKET, SO_RCVBUF, 0);
	return 0;
}

static int open_pair(const struct sockaddr_storage *address, struct listen_pair *out)
{
	struct sockaddr_storage bound = *address;
	int rc = open_udp(address, &bound, out);
	if (rc < 0)
		return rc;
	out->tcp = open_socket(&bound, SOCK_STREAM, out->wildcard, true);
	if (out->tcp < 0) {
		close(out->udp);
		close(out->udp_out);
		return out->tcp;
	}
	out->port = ntohs(*port_of(&bound));
	return 0;
}

int listen_open(const struct sockaddr_storage *address, struct listen_pair *out, struct error *err)
{
	struct listen_pair pair = {.wildcard = is_wildcard(address)};
	struct sockaddr_storage copy = *address;
	char text[IP_ADDRESS_TEXT];
	if (address->ss_family != AF_INET && address->ss_family != AF_INET6)
		return error_set(err, -EINVAL, "a listen address is neither IPv4 nor IPv6");
	int rc = open_pair(address, &pair);
	if (*port_of(&copy) == 0)
		for (int tries = 1; rc == -EADDRINUSE && tries < MAX_PORT_TRIES; tries++)
			rc = open_pair(address, &pair);
	if (rc < 0) {
		struct ip_address ip = ip_address_from_sockaddr((struct sockaddr *)&copy);
		return error_set(err, rc, "cannot listen on %s port %u: %s",
			ip_address_print(&ip, text), ntohs(*port_of(&copy)), strerror(-rc));
	}
	*out = pair;
	return 0;
}
