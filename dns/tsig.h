/* SPDX-License-Identifier: ISC */
#ifndef DNS_TSIG_H
#define DNS_TSIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/dns.h"
#include "dns/name.h"

/*
 * Signed requests and answers (RFC 8945), with HMAC-SHA256 alone. A MAC that was cut is refused
 * (BADTRUNC), and one is compared in constant time.
 */
#define TSIG_MAC_SIZE 32

struct tsig_key {
	struct name name;
	uint8_t secret[DNS_TSIG_SECRET_MAX];
	size_t secret_size;
};

struct tsig_keys {
	struct tsig_key *key;
	size_t count;
};

int tsig_keys_init(struct tsig_keys *keys, const struct dns_tsig_key *configs, size_t count,
	struct error *err);
void tsig_keys_finish(struct tsig_keys *keys);

/* What a request said, and what the answers to it must. */
struct tsig {
	uint8_t name[NAME_MAX_SIZE]; /* of the key; in lower case */
	uint8_t name_size;
	uint8_t secret[DNS_TSIG_SECRET_MAX]; /* a copy: keys may change meanwhile */
	uint8_t secret_size;                 /* 0: the key is unknown */
	uint16_t error;                      /* 0, or what TSIG_BAD* says */
	uint64_t time;                       /* of the request; seconds */
	uint8_t mac[TSIG_MAC_SIZE];          /* of the request, or of the last answer */
	uint8_t mac_size;
	bool first; /* no answer was signed yet */
};

enum { TSIG_BADSIG = 16, TSIG_BADKEY = 17, TSIG_BADTIME = 18, TSIG_BADTRUNC = 22 };

/* The largest record that tsig_sign appends. */
#define TSIG_MAX_SIZE (NAME_MAX_SIZE + 10 + 13 + 16 + TSIG_MAC_SIZE + 6)

/* Reads and verifies the TSIG that is the last record of a request and begins at `at`. 0: it is
 * good; else the RCODE to answer with: FORMERR, or NOTAUTH with tsig->error. `now` in seconds.
 * *tsig has a secret in it: tsig_forget. */
int tsig_verify(const struct tsig_keys *keys, const uint8_t *bytes, size_t size, size_t at,
	uint64_t now, struct tsig *tsig);

/* The bytes that tsig_sign appends. */
size_t tsig_size(const struct tsig *tsig);
/* Appends the TSIG of an answer; returns the new size, or 0 without memory. Of an error of the key
 * or the MAC (RFC 8945 section 5.3.2) the answer is not signed. */
size_t tsig_sign(struct tsig *tsig, uint8_t *message, size_t size, uint64_t now);
void tsig_forget(struct tsig *tsig);

#endif
