/* SPDX-License-Identifier: ISC */
#include "dns/tsig.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "dns/wire.h"

#define CLASS_ANY 255
#define FUDGE     300                 /* seconds, as RFC 8945 section 10 recommends */
#define FIXED     10                  /* type, class, TTL, length */
#define MAC_MIN   (TSIG_MAC_SIZE / 2) /* section 5.2.2.1 */

static const uint8_t algorithm[] = "\x0bhmac-sha256";

/* NULL: there is none of that name. */
static const struct tsig_key *find_key(const struct tsig_keys *keys, const struct name *name)
{
	for (size_t i = 0; i < keys->count; i++)
		if (name_compare(keys->key[i].name.bytes, name->bytes) == 0)
			return &keys->key[i];
	return NULL;
}

int tsig_keys_init(
	struct tsig_keys *keys, const struct dns_tsig_key *configs, size_t count, struct error *err)
{
	*keys = (struct tsig_keys){.key = calloc(count + 1, sizeof(*keys->key))};
	if (!keys->key)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		struct tsig_key *key = &keys->key[i];
		int rc = name_parse(configs[i].name, &key->name, err);
		if (rc == 0 && find_key(keys, &key->name))
			rc = error_set(err, -EINVAL, "it is given twice");
		if (rc == 0 && (configs[i].secret_size < 16 ||
				       configs[i].secret_size > sizeof(key->secret)))
			rc = error_set(err, -EINVAL,
				"its secret has %zu bytes: it must have 16 to %u",
				configs[i].secret_size, DNS_TSIG_SECRET_MAX);
		if (rc < 0) {
			tsig_keys_finish(keys);
			return error_prefix(err, rc, "TSIG key '%.60s'", configs[i].name);
		}
		memcpy(key->secret, configs[i].secret, configs[i].secret_size);
		key->secret_size = configs[i].secret_size;
		keys->count++;
	}
	return 0;
}

void tsig_keys_finish(struct tsig_keys *keys)
{
	if (keys->key)
		OPENSSL_cleanse(keys->key, keys->count * sizeof(*keys->key));
	free(keys->key);
	*keys = (struct tsig_keys){0};
}

int dns_tsig_secret_parse(const char *text, struct dns_tsig_key *out, struct error *err)
{
	uint8_t decoded[DNS_TSIG_SECRET_MAX + 4];
	size_t length = strlen(text), padding = 0;
	while (padding < 2 && padding < length && text[length - 1 - padding] == '=')
		padding++;
	/* Not quoted in the message: it is a secret. */
	if (length == 0 || length % 4 != 0 || length / 4 * 3 > sizeof(decoded) ||
		EVP_DecodeBlock(decoded, (const uint8_t *)text, (int)length) < 0)
		return error_set(err, -EINVAL,
			"the secret is no base64 of 16 to %u bytes: make one with `openssl rand "
			"-base64 32`",
			DNS_TSIG_SECRET_MAX);
	size_t size = length / 4 * 3 - padding;
	if (size < 16 || size > DNS_TSIG_SECRET_MAX)
		return error_set(err, -EINVAL, "the secret has %zu bytes: it must have 16 to %u",
			size, DNS_TSIG_SECRET_MAX);
	memcpy(out->secret, decoded, size);
	out->secret_size = size;
	return 0;
}

static void put48(uint8_t *at, uint64_t value)
{
	wire_put16(at, (uint16_t)(value >> 32));
	wire_put32(at + 2, (uint32_t)value);
}

static uint64_t get48(const uint8_t *at)
{
	return (uint64_t)wire_get16(at) << 32 | wire_get32(at + 2);
}

/* --- the MAC: RFC 8945 section 4.3 --- */

struct digest {
	uint8_t bytes[2 + TSIG_MAC_SIZE + (64 << 10) + 600];
	size_t size;
};

static void digest_put(struct digest *digest, const void *bytes, size_t size)
{
	memcpy(digest->bytes + digest->size, bytes, size);
	digest->size += size;
}

/* With the length in front, as the MAC of a request, or of the answer before. */
static void digest_mac(struct digest *digest, const struct tsig *tsig)
{
	uint8_t length[2];
	if (tsig->mac_size == 0)
		return;
	wire_put16(length, tsig->mac_size);
	digest_put(digest, length, sizeof(length));
	digest_put(digest, tsig->mac, tsig->mac_size);
}

static void digest_variables(struct digest *digest, const struct tsig *tsig, uint64_t time,
	uint16_t fudge, uint16_t error, const uint8_t *other, size_t other_size, bool timers_only)
{
	uint8_t fixed[8], rest[4];
	static const uint8_t class_and_ttl[6] = {0, CLASS_ANY};
	if (!timers_only) {
		digest_put(digest, tsig->name, tsig->name_size);
		digest_put(digest, class_and_ttl, sizeof(class_and_ttl));
		digest_put(digest, algorithm, sizeof(algorithm));
	}
	put48(fixed, time);
	wire_put16(fixed + 6, fudge);
	digest_put(digest, fixed, sizeof(fixed));
	if (timers_only)
		return;
	wire_put16(rest, error);
	wire_put16(rest + 2, (uint16_t)other_size);
	digest_put(digest, rest, sizeof(rest));
	digest_put(digest, other, other_size);
}

static bool make_mac(const struct tsig *tsig, const struct digest *digest, uint8_t *mac)
{
	unsigned size = 0;
	return HMAC(EVP_sha256(), tsig->secret, tsig->secret_size, digest->bytes, digest->size, mac,
		       &size) &&
	       size == TSIG_MAC_SIZE;
}

/* --- requests --- */

/* The data of a TSIG record. */
struct fields {
	uint64_t time;
	uint16_t fudge, id, error, other_size;
	const uint8_t *mac, *other;
	uint16_t mac_size;
	bool ours; /* the algorithm is */
};

static bool read_fields(const uint8_t *data, size_t size, struct fields *out)
{
	struct name name;
	size_t at = name_measure(data, size);
	if (at == 0 || size < at + 10)
		return false;
	name_fold(data, &name);
	out->ours = name.size == sizeof(algorithm) &&
		    memcmp(name.bytes, algorithm, sizeof(algorithm)) == 0;
	out->time = get48(data + at);
	out->fudge = wire_get16(data + at + 6);
	out->mac_size = wire_get16(data + at + 8);
	out->mac = data + at + 10;
	at += 10u + out->mac_size;
	if (size < at + 6)
		return false;
	out->id = wire_get16(data + at);
	out->error = wire_get16(data + at + 2);
	out->other_size = wire_get16(data + at + 4);
	out->other = data + at + 6;
	return size == at + 6 + out->other_size;
}

/* As far as the MAC goes. */
static bool is_signed_right(
	const struct tsig *tsig, const struct fields *fields, const uint8_t *bytes, size_t at)
{
	uint8_t mac[TSIG_MAC_SIZE];
	CLEANUP(free) struct digest *digest = malloc(sizeof(*digest));
	if (!digest)
		return false;
	digest->size = 0;
	digest_put(digest, bytes, at);
	/* As the message was before it was signed. */
	wire_put16(digest->bytes, fields->id);
	wire_put16(digest->bytes + 10, (uint16_t)(wire_get16(bytes + 10) - 1));
	digest_variables(digest, tsig, fields->time, fields->fudge, fields->error, fields->other,
		fields->other_size, false);
	return make_mac(tsig, digest, mac) &&
	       CRYPTO_memcmp(mac, fields->mac, fields->mac_size) == 0;
}

static int fail(struct tsig *tsig, uint16_t error)
{
	tsig->error = error;
	return DNS_RCODE_NOTAUTH;
}

/* In the order of RFC 8945 section 5.2: the key, the MAC, the time, and how much the MAC was cut. */
static int judge(struct tsig *tsig, const struct fields *fields, const uint8_t *bytes, size_t at,
	uint64_t now)
{
	if (fields->mac_size == 0)
		return fail(tsig, TSIG_BADSIG);
	if (fields->mac_size > TSIG_MAC_SIZE || fields->mac_size < MAC_MIN)
		return DNS_RCODE_FORMERR;
	if (!is_signed_right(tsig, fields, bytes, at))
		return fail(tsig, TSIG_BADSIG);
	memcpy(tsig->mac, fields->mac, fields->mac_size);
	tsig->mac_size = (uint8_t)fields->mac_size;
	uint64_t apart = now > fields->time ? now - fields->time : fields->time - now;
	if (apart > fields->fudge)
		return fail(tsig, TSIG_BADTIME);
	return fields->mac_size < TSIG_MAC_SIZE ? fail(tsig, TSIG_BADTRUNC) : 0;
}

static void set_name(struct tsig *tsig, const struct name *name)
{
	memcpy(tsig->name, name->bytes, name->size);
	tsig->name_size = name->size;
}

int tsig_verify(const struct tsig_keys *keys, const uint8_t *bytes, size_t size, size_t at,
	uint64_t now, struct tsig *tsig)
{
	struct fields fields;
	struct name name;
	size_t owner = name_measure(bytes + at, size - at);
	*tsig = (struct tsig){.first = true};
	if (owner == 0 || size - at < owner + FIXED)
		return DNS_RCODE_FORMERR;
	const uint8_t *fixed = bytes + at + owner;
	if (wire_get16(fixed + 2) != CLASS_ANY || wire_get32(fixed + 4) != 0 ||
		wire_get16(fixed + 8) != size - at - owner - FIXED ||
		!read_fields(fixed + FIXED, wire_get16(fixed + 8), &fields))
		return DNS_RCODE_FORMERR;
	name_fold(bytes + at, &name);
	set_name(tsig, &name);
	tsig->time = fields.time;
	const struct tsig_key *key = fields.ours ? find_key(keys, &name) : NULL;
	if (!key)
		return fail(tsig, TSIG_BADKEY);
	memcpy(tsig->secret, key->secret, key->secret_size);
	tsig->secret_size = (uint8_t)key->secret_size;
	return judge(tsig, &fields, bytes, at, now);
}

void tsig_forget(struct tsig *tsig)
{
	OPENSSL_cleanse(tsig->secret, sizeof(tsig->secret));
}

/* --- answers --- */

/* Errors of the key or the MAC are told unsigned: who has not shown that it knows the key gets nothing
 * signed. */
static bool is_unsigned(const struct tsig *tsig)
{
	return tsig->error == TSIG_BADKEY || tsig->error == TSIG_BADSIG;
}

static bool sign_message(struct tsig *tsig, const uint8_t *message, size_t size, uint64_t time,
	const uint8_t *other, size_t other_size)
{
	CLEANUP(free) struct digest *digest = malloc(sizeof(*digest));
	if (!digest)
		return false;
	digest->size = 0;
	digest_mac(digest, tsig);
	digest_put(digest, message, size);
	digest_variables(digest, tsig, time, FUDGE, tsig->error, other, other_size, !tsig->first);
	return make_mac(tsig, digest, tsig->mac);
}

/* Of a request at a wrong time the client hears its own time, and ours (section 5.2.3). */
static size_t other_size(const struct tsig *tsig)
{
	return tsig->error == TSIG_BADTIME ? 6 : 0;
}

static size_t mac_size(const struct tsig *tsig)
{
	return is_unsigned(tsig) ? 0 : TSIG_MAC_SIZE;
}

size_t tsig_size(const struct tsig *tsig)
{
	return tsig->name_size + FIXED + sizeof(algorithm) + 16 + mac_size(tsig) + other_size(tsig);
}

size_t tsig_sign(struct tsig *tsig, uint8_t *message, size_t size, uint64_t now)
{
	uint8_t other[6], *at = message + size;
	uint64_t time = tsig->error == TSIG_BADTIME ? tsig->time : now;
	const size_t whole = size + tsig_size(tsig), mac = mac_size(tsig), rest = other_size(tsig);
	put48(other, now);
	if (mac > 0 && !sign_message(tsig, message, size, time, other, rest))
		return 0;
	tsig->mac_size = (uint8_t)mac;
	tsig->first = false;
	memcpy(at, tsig->name, tsig->name_size);
	at += tsig->name_size;
	wire_put16(at, DNS_TYPE_TSIG);
	wire_put16(at + 2, CLASS_ANY);
	wire_put32(at + 4, 0);
	wire_put16(at + 8, (uint16_t)(sizeof(algorithm) + 16 + mac + rest));
	at += FIXED;
	memcpy(at, algorithm, sizeof(algorithm));
	at += sizeof(algorithm);
	put48(at, time);
	wire_put16(at + 6, FUDGE);
	wire_put16(at + 8, (uint16_t)mac);
	memcpy(at + 10, tsig->mac, mac);
	at += 10 + mac;
	memcpy(at, message, 2); /* the id, which who passes the message on may change */
	wire_put16(at + 2, tsig->error);
	wire_put16(at + 4, (uint16_t)rest);
	memcpy(at + 6, other, rest);
	wire_put16(message + 10, (uint16_t)(wire_get16(message + 10) + 1));
	return whole;
}
