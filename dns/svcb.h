/* SPDX-License-Identifier: ISC */
#ifndef DNS_SVCB_H
#define DNS_SVCB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The parameters of SVCB and HTTPS records (RFC 9460 section 2.2), each a key, a length and a value. ldns
 * takes what is none, and whoever reads that takes the whole answer for malformed.
 */
enum svcb_key { /* section 14.3.2 */
	SVCB_MANDATORY = 0,
	SVCB_ALPN = 1,
	SVCB_NO_DEFAULT_ALPN = 2,
	SVCB_PORT = 3,
	SVCB_IPV4 = 4,
	SVCB_IPV6 = 6,
	SVCB_DOHPATH = 7, /* RFC 9461 section 5 */
	SVCB_INVALID = 65535,
};

/* The bytes that the parameter at `at` takes, its head with it; 0: it does not fit. */
size_t svcb_next(const uint8_t *parameters, size_t size, size_t at);
/* Requires that they are right. */
bool svcb_has(const uint8_t *parameters, size_t size, uint16_t key);
/* NULL, or what is wrong with them, in words for a person. */
const char *svcb_find_fault(const uint8_t *parameters, size_t size);

#endif
