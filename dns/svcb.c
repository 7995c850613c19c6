/* SPDX-License-Identifier: ISC */
#include "dns/svcb.h"

#include "dns/wire.h"

#define HEAD_SIZE 4 /* a key and a length */

size_t svcb_next(const uint8_t *parameters, size_t size, size_t at)
{
	if (size - at < HEAD_SIZE)
		return 0;
	size_t next = HEAD_SIZE + wire_get16(parameters + at + 2);
	return next <= size - at ? next : 0;
}

bool svcb_has(const uint8_t *parameters, size_t size, uint16_t key)
{
	for (size_t at = 0; at < size; at += svcb_next(parameters, size, at))
		if (wire_get16(parameters + at) == key)
			return true;
	return false;
}

/* Section 7.1.1: protocols, each with its length, none empty. */
static bool are_protocols(const uint8_t *value, size_t size)
{
	size_t at = 0;
	while (at < size && value[at] > 0)
		at += 1u + value[at];
	return size > 0 && at == size;
}

static const char *judge_value(uint16_t key, const uint8_t *value, size_t size)
{
	switch (key) {
	case SVCB_ALPN:
		return are_protocols(value, size)
			       ? NULL
			       : "alpn= has names of protocols, as in alpn=h2,h3";
	case SVCB_NO_DEFAULT_ALPN:
		return size == 0 ? NULL : "no-default-alpn has no value";
	case SVCB_PORT:
		return size == 2 && wire_get16(value) > 0 ? NULL
							  : "port= has a number from 1 to 65535";
	case SVCB_IPV4:
		return size > 0 && size % 4 == 0 ? NULL : "ipv4hint= has IPv4 addresses";
	case SVCB_IPV6:
		return size > 0 && size % 16 == 0 ? NULL : "ipv6hint= has IPv6 addresses";
	case SVCB_INVALID:
		return "key65535 is none";
	default:
		return NULL;
	}
}

/* Section 8: keys that are there, in ascending order, each once, and not this one. */
static bool is_right_mandatory(const uint8_t *parameters, size_t size)
{
	const uint8_t *value = parameters + HEAD_SIZE;
	const size_t value_size = wire_get16(parameters + 2);
	uint16_t last = SVCB_MANDATORY;
	for (size_t at = 0; at + 2 <= value_size; at += 2) {
		const uint16_t key = wire_get16(value + at);
		if (key <= last || !svcb_has(parameters, size, key))
			return false;
		last = key;
	}
	return value_size > 0 && value_size % 2 == 0;
}

const char *svcb_find_fault(const uint8_t *parameters, size_t size)
{
	int last = -1;
	for (size_t at = 0, next; at < size; at += next) {
		next = svcb_next(parameters, size, at);
		const uint16_t key = next > 0 ? wire_get16(parameters + at) : 0;
		if (next == 0 || key <= last)
			return "a parameter is there twice, or cut short";
		const char *fault = judge_value(key, parameters + at + HEAD_SIZE, next - HEAD_SIZE);
		if (fault)
			return fault;
		last = key;
	}
	if (svcb_has(parameters, size, SVCB_NO_DEFAULT_ALPN) &&
		!svcb_has(parameters, size, SVCB_ALPN))
		return "no-default-alpn wants alpn= beside it";
	/* The lowest key comes first. */
	if (svcb_has(parameters, size, SVCB_MANDATORY) && !is_right_mandatory(parameters, size))
		return "mandatory= names other parameters that are there, each once";
	return NULL;
}
