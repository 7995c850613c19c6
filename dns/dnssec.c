/* SPDX-License-Identifier: ISC */
#include "dns/dnssec.h"

#include <openssl/ecdsa.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dns/wire.h"

/* A signature is made for a day, and holds for a week more: a resolver's clock may be wrong, and a
 * secondary or a cache late. */
#define PERIOD      86400u
#define VALID       (8 * PERIOD)
#define BEFORE      3600u
#define RRSIG_FIXED 18

/* --- what was signed already --- */

#define CACHE_SETS 16384 /* a power of two */
#define CACHE_WAYS 4

struct entry {
	uint8_t digest[SHA256_DIGEST_LENGTH]; /* of the signed data */
	uint8_t signature[DNSSEC_SIGNATURE_SIZE];
	uint16_t tag;
	uint32_t used; /* 0: empty */
};

struct signatures {
	EVP_MD *sha256;
	EVP_MD_CTX *digest; /* of the one that is made at a time */
	uint32_t clock;
	struct entry entry[CACHE_SETS][CACHE_WAYS];
};

struct signatures *signatures_create(void)
{
	/* Pages that are never used are never touched. */
	struct signatures *signatures = calloc(1, sizeof(*signatures));
	if (!signatures)
		return NULL;
	signatures->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	signatures->digest = EVP_MD_CTX_new();
	if (signatures->sha256 && signatures->digest)
		return signatures;
	signatures_destroy(signatures);
	return NULL;
}

void signatures_destroy(struct signatures *signatures)
{
	if (!signatures)
		return;
	EVP_MD_CTX_free(signatures->digest);
	EVP_MD_free(signatures->sha256);
	free(signatures);
}

/* The entry of the digest, or the one to be overwritten. */
static struct entry *find(
	struct signatures *signatures, const uint8_t *digest, uint16_t tag, bool *found)
{
	size_t set = wire_get32(digest) & (CACHE_SETS - 1);
	struct entry *oldest = &signatures->entry[set][0];
	for (unsigned i = 0; i < CACHE_WAYS; i++) {
		struct entry *entry = &signatures->entry[set][i];
		*found = entry->used && entry->tag == tag &&
			 memcmp(entry->digest, digest, sizeof(entry->digest)) == 0;
		if (*found)
			return entry;
		if (entry->used < oldest->used)
			oldest = entry;
	}
	return oldest;
}

/* --- making one --- */

/* RFC 6605 section 4: the two numbers, each of 32 bytes. */
static bool split(const uint8_t *der, size_t size, uint8_t out[DNSSEC_SIGNATURE_SIZE])
{
	ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)size);
	bool ok = signature &&
		  BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, DNSSEC_SIGNATURE_SIZE / 2) > 0 &&
		  BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + DNSSEC_SIGNATURE_SIZE / 2,
			  DNSSEC_SIGNATURE_SIZE / 2) > 0;
	ECDSA_SIG_free(signature);
	return ok;
}

static bool make(const struct dns_key *key, const uint8_t *digest, uint8_t *out)
{
	uint8_t der[80];
	size_t size = sizeof(der);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
	bool ok = ctx && EVP_PKEY_sign_init(ctx) > 0 &&
		  EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) > 0 &&
		  EVP_PKEY_sign(ctx, der, &size, digest, SHA256_DIGEST_LENGTH) > 0 &&
		  split(der, size, out);
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static bool obtain(struct signatures *signatures, const struct dns_key *key, const uint8_t *digest,
	bool known_only, uint8_t *out)
{
	bool found;
	struct entry *entry = find(signatures, digest, key->tag, &found);
	if (!found && known_only)
		return false;
	if (!found) {
		entry->used = 0;
		if (!make(key, digest, entry->signature))
			return false;
		memcpy(entry->digest, digest, sizeof(entry->digest));
		entry->tag = key->tag;
	}
	if (++signatures->clock == 0)
		signatures->clock = 1;
	entry->used = signatures->clock;
	memcpy(out, entry->signature, DNSSEC_SIGNATURE_SIZE);
	return true;
}

/* --- what is signed: RFC 4034 section 3.1.8.1 --- */

static unsigned count_labels(const struct name *name)
{
	bool wildcard = name->bytes[0] == 1 && name->bytes[1] == '*';
	return name->labels - wildcard;
}

/* Signatures of different names end at different times of the day, so that not all are made anew
 * at once. */
static uint32_t period_begin(const struct sign_subject *subject)
{
	uint32_t now = subject->now ? subject->now : (uint32_t)time(NULL);
	uint32_t shift = (uint32_t)(subject->owner->hash[0] % PERIOD);
	return now - (now - shift) % PERIOD;
}

/* The RRSIG data before the signature; returns its size. */
static size_t write_head(
	const struct sign_subject *subject, const struct dns_key *key, uint32_t begin, uint8_t *out)
{
	wire_put16(out, subject->block->type);
	out[2] = DNSSEC_ALGORITHM;
	out[3] = (uint8_t)count_labels(subject->owner);
	wire_put32(out + 4, subject->ttl);
	wire_put32(out + 8, begin + VALID);
	wire_put32(out + 12, begin - BEFORE);
	wire_put16(out + 16, key->tag);
	memcpy(out + RRSIG_FIXED, subject->origin->bytes, subject->origin->size);
	return RRSIG_FIXED + subject->origin->size;
}

/* One record in canonical form, its data without compression: where the block has a pointer to the
 * origin, the origin. Returns the place behind the record in the block. */
static size_t hash_record(
	EVP_MD_CTX *ctx, const struct sign_subject *subject, size_t at, unsigned *fixup)
{
	const struct block *block = subject->block;
	size_t data = at + BLOCK_RECORD_FIXED;
	size_t end = data + wire_get16(block->bytes + data - 2), size = end - data;
	uint8_t fixed[10];
	unsigned pointers = *fixup;
	for (; pointers < block->fixup_count && block->fixup[pointers] < end; pointers++)
		size += subject->origin->size - 2u;
	memcpy(fixed, block->bytes + at + 2, 4);
	wire_put32(fixed + 4, subject->ttl);
	wire_put16(fixed + 8, (uint16_t)size);
	EVP_DigestUpdate(ctx, subject->owner->bytes, subject->owner->size);
	EVP_DigestUpdate(ctx, fixed, sizeof(fixed));
	for (; *fixup < pointers; (*fixup)++) {
		EVP_DigestUpdate(ctx, block->bytes + data, block->fixup[*fixup] - data);
		EVP_DigestUpdate(ctx, subject->origin->bytes, subject->origin->size);
		data = block->fixup[*fixup] + 2u;
	}
	EVP_DigestUpdate(ctx, block->bytes + data, end - data);
	return end;
}

static bool digest_of(struct signatures *signatures, const struct sign_subject *subject,
	const uint8_t *head, size_t head_size, uint8_t digest[SHA256_DIGEST_LENGTH])
{
	EVP_MD_CTX *ctx = signatures->digest;
	size_t at = 0;
	unsigned fixup = 0;
	if (!EVP_DigestInit_ex(ctx, signatures->sha256, NULL) ||
		!EVP_DigestUpdate(ctx, head, head_size))
		return false;
	for (unsigned i = 0; i < subject->block->count; i++)
		at = hash_record(ctx, subject, at, &fixup);
	return EVP_DigestFinal_ex(ctx, digest, NULL);
}

size_t sign(struct signatures *signatures, const struct sign_subject *subject,
	struct dns_key *const *keys, size_t count, uint8_t *out)
{
	uint32_t begin = period_begin(subject);
	uint8_t *at = out;
	for (size_t i = 0; i < count; i++) {
		uint8_t digest[SHA256_DIGEST_LENGTH];
		wire_put16(at, DNS_POINTER | DNS_HEADER_SIZE);
		wire_put16(at + 2, DNS_TYPE_RRSIG);
		wire_put16(at + 4, DNS_CLASS_IN);
		/* The TTL of what it covers, as that is sent. */
		memcpy(at + 6, subject->block->bytes + 6, 4);
		size_t head = write_head(subject, keys[i], begin, at + BLOCK_RECORD_FIXED);
		wire_put16(at + 10, (uint16_t)(head + DNSSEC_SIGNATURE_SIZE));
		if (!digest_of(signatures, subject, at + BLOCK_RECORD_FIXED, head, digest))
			return 0;
		at += BLOCK_RECORD_FIXED + head;
		if (!obtain(signatures, keys[i], digest, subject->known_only, at))
			return 0;
		at += DNSSEC_SIGNATURE_SIZE;
	}
	return (size_t)(at - out);
}
