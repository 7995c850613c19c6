/* SPDX-License-Identifier: ISC */
#include "guest-kernel/net/addresses.h"

#include <string.h>

#include <lwip/def.h>

#include "guest-kernel/kernel/words.h"

struct reading {
	struct net_addresses *out;
	const char *wrong;
};

/* Takes the LENGTH from ADDRESS/LENGTH, and leaves ADDRESS in `text`; `whole` is the length of a bare
 * address. */
static bool split_prefix(
	const char *value, size_t size, char text[64], uint32_t whole, uint32_t *length)
{
	*length = whole;
	if (size >= 64)
		return false;
	memcpy(text, value, size);
	text[size] = '\0';
	char *slash = strchr(text, '/');
	if (!slash)
		return true;
	*slash = '\0';
	return number_read(slash + 1, 0, whole, length);
}

static bool read_ip(void *context, const char *value, size_t size)
{
	struct reading *reading = context;
	struct net_addresses *out = reading->out;
	char text[64];
	uint32_t length;
	ip4_addr_t ip;
	if (size == 0)
		return true;
	if (out->ip_count == NET_ADDRESSES)
		reading->wrong = "ip= comes more than four times";
	else if (!split_prefix(value, size, text, 32, &length) || !ip4addr_aton(text, &ip))
		reading->wrong = "ip= is not an address like 10.77.0.5/16";
	if (reading->wrong)
		return false;
	if (out->ip_count == 0)
		ip4_addr_set_u32(&out->mask, length ? lwip_htonl(UINT32_MAX << (32 - length)) : 0);
	out->ip[out->ip_count++] = ip;
	return true;
}

/* lwIP takes every IPv6 prefix for one of 64 bits; a shorter or longer one is refused, not
 * misread. */
static bool read_ip6(void *context, const char *value, size_t size)
{
	struct reading *reading = context;
	struct net_addresses *out = reading->out;
	char text[64];
	uint32_t length;
	ip6_addr_t ip;
	if (size == 0)
		return true;
	if (out->ip6_count == NET_ADDRESSES)
		reading->wrong = "ip6= comes more than four times";
	else if (!split_prefix(value, size, text, 128, &length) || length != 64 ||
		 !ip6addr_aton(text, &ip))
		reading->wrong =
			"ip6= is not an address like fd00::5/64 (the prefix must be of 64 bits)";
	if (reading->wrong)
		return false;
	out->ip6[out->ip6_count++] = ip;
	return true;
}

const char *addresses_read(const char *line, struct net_addresses *out)
{
	struct reading reading = {.out = out};
	char text[64];
	*out = (struct net_addresses){0};
	word_each(line, "ip", read_ip, &reading);
	if (!reading.wrong)
		word_each(line, "ip6", read_ip6, &reading);
	if (reading.wrong)
		return reading.wrong;
	if (word_value(line, "gw", text, sizeof(text)) && text[0] &&
		!ip4addr_aton(text, &out->gateway))
		return "gw= is not an address like 10.77.0.1";
	if (word_value(line, "gw6", text, sizeof(text)) && text[0] &&
		!ip6addr_aton(text, &out->gateway6))
		return "gw6= is not an address like fd00::1";
	return NULL;
}
