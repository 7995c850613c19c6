/* SPDX-License-Identifier: ISC */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"

/* An IPv4 or IPv6 address by value; all zero means "none". Bytes are in network order. */
struct ip_address {
	uint8_t family; /* 0, AF_INET or AF_INET6 */
	uint8_t bytes[16];
};

/* A service has at most ADDRESSES_OF_FAMILY addresses of each family. In a list of them places may be
 * "none"; its first two are the first IPv4 and the first IPv6 address. */
#define ADDRESSES_OF_FAMILY 4
#define ADDRESSES_MAX       (2 * ADDRESSES_OF_FAMILY)

struct ip_prefix {
	struct ip_address address; /* as given: host bits may be set */
	uint8_t length;
};

struct mac_address {
	uint8_t bytes[6];
};

#define IP_ADDRESS_TEXT  46 /* INET6_ADDRSTRLEN */
#define IP_PREFIX_TEXT   50
#define MAC_ADDRESS_TEXT 18

/* "10.77.0.5", "fd00::5". No name is ever resolved. */
int ip_address_parse(const char *text, struct ip_address *out, struct error *err);
/* "10.77.0.1/16"; a bare address is a prefix of its full length. */
int ip_prefix_parse(const char *text, struct ip_prefix *out, struct error *err);
int mac_address_parse(const char *text, struct mac_address *out, struct error *err);

/* Each writes at most the *_TEXT size above, NUL included, and returns `text`; an address that is
 * "none" prints as "". */
const char *ip_address_print(const struct ip_address *address, char text[IP_ADDRESS_TEXT]);
const char *ip_prefix_print(const struct ip_prefix *prefix, char text[IP_PREFIX_TEXT]);
const char *mac_address_print(const struct mac_address *mac, char text[MAC_ADDRESS_TEXT]);

static inline bool ip_address_is_set(const struct ip_address *address)
{
	return address->family != 0;
}

size_t ip_address_size(const struct ip_address *address); /* 0, 4 or 16 */
bool ip_address_equal(const struct ip_address *a, const struct ip_address *b);
bool ip_prefix_contains(const struct ip_prefix *prefix, const struct ip_address *address);

/* Whether no host of the network can have it: the first and the last address of an IPv4 network
 * (RFC 1122, 3.2.1.3), but for the two of a link between two hosts (RFC 3021); the first of an IPv6
 * network, which is that of its routers (RFC 4291, 2.6.1), likewise (RFC 6164). */
bool ip_prefix_reserves(const struct ip_prefix *prefix, const struct ip_address *address);

/* Whether one of the list is this address, which is not "none". */
bool ip_address_listed(
	const struct ip_address list[ADDRESSES_MAX], const struct ip_address *address);

/* The address `index` places after the first of the prefix; false where it would leave it. */
bool ip_prefix_nth(const struct ip_prefix *prefix, uint64_t index, struct ip_address *out);

/* "10.0.0.1@5300", "::1@5300", "[::1]:5300", "10.0.0.1:5300"; without a port, `default_port`. */
int ip_endpoint_parse(
	const char *text, uint16_t default_port, struct sockaddr_storage *out, struct error *err);
/* An address of ours out of a socket address; "none" for any other family. */
struct ip_address ip_address_from_sockaddr(const struct sockaddr *sockaddr);
socklen_t ip_address_to_sockaddr(
	const struct ip_address *address, uint16_t port, struct sockaddr_storage *out);

#endif
