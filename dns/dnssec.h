/* SPDX-License-Identifier: ISC */
#ifndef DNS_DNSSEC_H
#define DNS_DNSSEC_H

#include <openssl/evp.h>
#include <stdatomic.h>

#include "dns/block.h"
#include "dns/dns.h"
#include "dns/key.h"

/*
 * Online signing (RFC 4034, 4035) with ECDSA P-256 and SHA-256 (RFC 6605). There is one kind of
 * key: each signs the DNSKEY records, and the active one everything else.
 */
#define DNSSEC_ALGORITHM      13
#define DNSSEC_KEY_FLAGS      257 /* zone key, secure entry point */
#define DNSSEC_PROTOCOL       3
#define DNSSEC_PUBLIC_SIZE    64
#define DNSSEC_SIGNATURE_SIZE 64
#define DNSSEC_DNSKEY_SIZE    (4 + DNSSEC_PUBLIC_SIZE)

struct dns_key {
	EVP_PKEY *pkey;
	atomic_uint users;
	uint16_t tag;
	bool active;
	uint64_t created_at, changed_at;    /* real time, seconds; of `active` */
	uint8_t dnskey[DNSSEC_DNSKEY_SIZE]; /* the data of its DNSKEY record */
};

/* The data of the key's DS record for the parent, with SHA-256. */
#define DNSSEC_DS_SIZE (4 + 32)
int dns_key_ds(const struct dns_key *key, const struct name *zone, uint8_t ds[DNSSEC_DS_SIZE],
	struct error *err);

/*
 * Signatures that were made, by the digest of what they sign: what is the same has the same
 * signature, and nothing ever has to be forgotten. Bounded; the oldest goes.
 */
struct signatures;

struct signatures *signatures_create(void); /* NULL without memory */
void signatures_destroy(struct signatures *signatures);

/* What stands in an RRSIG besides the records: whose they are, and the TTL of their set, which the
 * TTL that is sent may be below of. */
struct sign_subject {
	const struct block *block;
	const struct name *owner, *origin;
	uint32_t ttl;
	uint32_t now;    /* real time, seconds; 0: the clock's */
	bool known_only; /* none is made */
};

/* The largest block of RRSIG records of `keys` keys, with its struct. */
#define SIGN_MAX_SIZE (BLOCK_RECORD_FIXED + 18 + NAME_MAX_SIZE + DNSSEC_SIGNATURE_SIZE)

/* Writes the data of the RRSIG records of each key into `out` (SIGN_MAX_SIZE bytes a key), as the
 * bytes of a block; returns their size, or 0 where OpenSSL failed, or one is not known. */
size_t sign(struct signatures *signatures, const struct sign_subject *subject,
	struct dns_key *const *keys, size_t count, uint8_t *out);

#endif
