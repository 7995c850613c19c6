/* SPDX-License-Identifier: ISC */
#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"

size_t ip_address_size(const struct ip_address *address)
{
	return address->family == AF_INET ? 4 : address->family == AF_INET6 ? 16 : 0;
}

int ip_address_parse(const char *text, struct ip_address *out, struct error *err)
{
	struct ip_address address = {0};
	if (inet_pton(AF_INET, text, address.bytes) == 1)
		address.family = AF_INET;
	else if (inet_pton(AF_INET6, text, address.bytes) == 1)
		address.family = AF_INET6;
	else
		return error_set(err, -EINVAL,
			"'%.60s' is not an IP address: write one as 10.77.0.5 or fd00::5", text);
	*out = address;
	return 0;
}

int ip_prefix_parse(const char *text, struct ip_prefix *out, struct error *err)
{
	char head[IP_PREFIX_TEXT];
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	struct ip_prefix prefix;
	if (length >= sizeof(head))
		return error_set(err, -EINVAL, "'%.60s' is not an address prefix", text);
	memcpy(head, text, length);
	head[length] = '\0';
	int rc = ip_address_parse(head, &prefix.address, err);
	if (rc < 0)
		return rc;
	uint64_t bits = ip_address_size(&prefix.address) * 8;
	if (slash && number_parse(slash + 1, 0, bits, &bits, NULL) < 0)
		return error_set(err, -EINVAL,
			"'%.60s' is not an address prefix: write one as 10.77.0.1/16 or fd00::1/64",
			text);
	prefix.length = (uint8_t)bits;
	*out = prefix;
	return 0;
}

int mac_address_parse(const char *text, struct mac_address *out, struct error *err)
{
	struct mac_address mac;
	int end = 0;
	if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac.bytes[0], &mac.bytes[1],
		    &mac.bytes[2], &mac.bytes[3], &mac.bytes[4], &mac.bytes[5], &end) != 6 ||
		end != MAC_ADDRESS_TEXT - 1 || text[end])
		return error_set(err, -EINVAL,
			"'%.40s' is not a MAC address: write one as 02:00:00:00:00:01", text);
	*out = mac;
	return 0;
}

const char *ip_address_print(const struct ip_address *address, char text[IP_ADDRESS_TEXT])
{
	if (!address->family || !inet_ntop(address->family, address->bytes, text, IP_ADDRESS_TEXT))
		text[0] = '\0';
	return text;
}

const char *ip_prefix_print(const struct ip_prefix *prefix, char text[IP_PREFIX_TEXT])
{
	char address[IP_ADDRESS_TEXT];
	snprintf(text, IP_PREFIX_TEXT, "%s/%u", ip_address_print(&prefix->address, address),
		prefix->length);
	return text;
}

const char *mac_address_print(const struct mac_address *mac, char text[MAC_ADDRESS_TEXT])
{
	const uint8_t *b = mac->bytes;
	snprintf(text, MAC_ADDRESS_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3],
		b[4], b[5]);
	return text;
}

bool ip_address_equal(const struct ip_address *a, const struct ip_address *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, ip_address_size(a)) == 0;
}

bool ip_address_listed(
	const struct ip_address list[ADDRESSES_MAX], const struct ip_address *address)
{
	for (size_t i = 0; i < ADDRESSES_MAX; i++)
		if (ip_address_equal(&list[i], address))
			return true;
	return false;
}

bool ip_prefix_contains(const struct ip_prefix *prefix, const struct ip_address *address)
{
	if (prefix->address.family != address->family)
		return false;
	size_t whole = prefix->length / 8;
	if (memcmp(prefix->address.bytes, address->bytes, whole) != 0)
		return false;
	unsigned rest = prefix->length % 8;
	if (rest == 0)
		return true;
	uint8_t mask = (uint8_t)(0xff00u >> rest);
	return ((prefix->address.bytes[whole] ^ address->bytes[whole]) & mask) == 0;
}

static bool host_bits_are(
	const struct ip_prefix *prefix, const struct ip_address *address, unsigned value)
{
	for (size_t bit = prefix->length; bit < ip_address_size(address) * 8; bit++)
		if ((address->bytes[bit / 8] >> (7 - bit % 8) & 1u) != value)
			return false;
	return true;
}

bool ip_prefix_reserves(const struct ip_prefix *prefix, const struct ip_address *address)
{
	size_t bits = ip_address_size(address) * 8;
	if (!ip_prefix_contains(prefix, address) || prefix->length + 1u >= bits)
		return false;
	return host_bits_are(prefix, address, 0) ||
	       (address->family == AF_INET && host_bits_are(prefix, address, 1));
}

bool ip_prefix_nth(const struct ip_prefix *prefix, uint64_t index, struct ip_address *out)
{
	struct ip_address address = prefix->address;
	size_t size = ip_address_size(&address);
	for (size_t bit = prefix->length; bit < size * 8; bit++)
		address.bytes[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
	for (size_t i = size; i-- > 0 && index > 0; index >>= 8) {
		uint64_t sum = address.bytes[i] + (index & 0xff);
		address.bytes[i] = (uint8_t)sum;
		/* Host bits were cleared, so a carry means that the prefix was left. */
		if (sum > 0xff)
			return false;
	}
	if (index > 0 || !ip_prefix_contains(prefix, &address))
		return false;
	*out = address;
	return true;
}

int ip_endpoint_parse(
	const char *text, uint16_t default_port, struct sockaddr_storage *out, struct error *err)
{
	char host[IP_ADDRESS_TEXT + 2];
	const char *port_text = NULL;
	size_t length = strlen(text);
	const char *at = strchr(text, '@');
	const char *colon = strrchr(text, ':');
	if (at)
		port_text = at + 1, length = (size_t)(at - text);
	else if (text[0] == '[' && colon && colon > text && colon[-1] == ']')
		port_text = colon + 1, length = (size_t)(colon - text);
	else if (colon && strchr(text, ':') == colon)
		port_text = colon + 1, length = (size_t)(colon - text);
	const char *start = text;
	if (length >= 2 && start[0] == '[' && start[length - 1] == ']')
		start++, length -= 2;
	struct ip_address address;
	uint64_t port = default_port;
	if (length >= sizeof(host))
		return error_set(err, -EINVAL, "'%.60s' is not an address and port", text);
	memcpy(host, start, length);
	host[length] = '\0';
	if (ip_address_parse(host, &address, NULL) < 0 ||
		(port_text && number_parse(port_text, 0, 65535, &port, NULL) < 0))
		return error_set(err, -EINVAL,
			"'%.60s' is not an address and port: write one as 127.0.0.1@53 or ::1@53",
			text);
	ip_address_to_sockaddr(&address, (uint16_t)port, out);
	return 0;
}

struct ip_address ip_address_from_sockaddr(const struct sockaddr *sockaddr)
{
	struct ip_address address = {0};
	if (sockaddr->sa_family == AF_INET) {
		address.family = AF_INET;
		memcpy(address.bytes,
			&((const struct sockaddr_in *)(const void *)sockaddr)->sin_addr, 4);
	} else if (sockaddr->sa_family == AF_INET6) {
		address.family = AF_INET6;
		memcpy(address.bytes,
			&((const struct sockaddr_in6 *)(const void *)sockaddr)->sin6_addr, 16);
	}
	return address;
}

socklen_t ip_address_to_sockaddr(
	const struct ip_address *address, uint16_t port, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (address->family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)out;
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, address->bytes, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, address->bytes, 16);
	return sizeof(*in6);
}
