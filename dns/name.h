/* SPDX-License-Identifier: ISC */
#ifndef DNS_NAME_H
#define DNS_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/error.h"

/* RFC 1035 section 2.3.4, in wire format with the root's empty label. A name of one-letter labels
 * has 127 of them. */
#define NAME_MAX_SIZE   255
#define NAME_MAX_LABELS 127
#define NAME_MAX_LABEL  63

/* A name ready to be looked up: wire format in lower case (RFC 4343: ASCII only), and for each of
 * its suffixes where it begins and its hash, so that its ancestors are found without another pass.
 * Entry `labels` is the root. */
struct name {
	uint8_t size;
	uint8_t labels;
	uint8_t bytes[NAME_MAX_SIZE];
	uint8_t offset[NAME_MAX_LABELS + 1];
	uint64_t hash[NAME_MAX_LABELS + 1];
};

/* Size of the name in wire format that `bytes` begins with; 0 where it is cut, too long, or holds a
 * compression pointer or another label type. */
size_t name_measure(const uint8_t *bytes, size_t size);

/* Requires a name that name_measure accepts. */
void name_fold(const uint8_t *wire, struct name *out);

/* A host name in text, as dns_name_canonical describes it. -EINVAL: the message says why. */
int name_parse(const char *text, struct name *out, struct error *err);

/* The text of a name that name_parse made: no final dot. */
const char *name_print(const struct name *name, char text[254]);

/* The name of an address: 5.0.77.10.in-addr.arpa, ...ip6.arpa (RFC 1035 section 3.5, RFC 3596). */
void name_reverse(const struct ip_address *address, struct name *out);

/* Any name in wire format as zone files have it: what is no letter, digit, hyphen or underscore is
 * escaped (RFC 1035 section 5.1), and there is a final dot. */
#define NAME_TEXT (4 * NAME_MAX_SIZE)
const char *name_print_wire(const uint8_t *wire, char text[NAME_TEXT]);

/* The order of RFC 4034 section 6.1 of two names in wire format and lower case. */
int name_compare(const uint8_t *a, const uint8_t *b);

/* True where `name` is `ancestor` or beneath it. */
bool name_within(const struct name *name, const struct name *ancestor);

#endif
