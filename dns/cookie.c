/* SPDX-License-Identifier: ISC */
#include "dns/cookie.h"

#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <string.h>
#include <sys/random.h>

#include "dns/wire.h"

/* The layout of RFC 9018 section 4: the client's part, then ours. */
#define CLIENT_SIZE 8
#define VERSION_AT  8 /* then three reserved bytes */
#define TIME_AT     12
#define HASH_AT     16
#define HASH_SIZE   8
#define VERSION     1

/* RFC 9018 section 4.3, in seconds. */
#define MAX_AGE   3600
#define MAX_AHEAD 300
#define RENEW_AGE 1800

#define SECRET_LIFE (24 * 3600)

_Static_assert(crypto_shorthash_siphash24_KEYBYTES == DNS_COOKIE_SECRET_SIZE &&
		       crypto_shorthash_siphash24_BYTES == HASH_SIZE,
	"the secret and the hash are those of SipHash-2-4");

static int make_secret(struct cookies *cookies, uint32_t now)
{
	uint8_t secret[DNS_COOKIE_SECRET_SIZE];
	if (getrandom(secret, sizeof(secret), GRND_NONBLOCK) != sizeof(secret))
		return -EAGAIN;
	memcpy(cookies->secret[1], cookies->secret[0], sizeof(secret));
	memcpy(cookies->secret[0], secret, sizeof(secret));
	cookies->count += cookies->count < 2;
	cookies->rolled_at = now;
	return 0;
}

int cookies_init(struct cookies *cookies, uint32_t now)
{
	*cookies = (struct cookies){0};
	return make_secret(cookies, now);
}

int cookies_give(struct cookies *cookies, const uint8_t (*secrets)[DNS_COOKIE_SECRET_SIZE],
	unsigned count, uint32_t now)
{
	if (count == 0)
		return cookies->given ? cookies_init(cookies, now) : 0;
	if (count > 2)
		return -EINVAL;
	cookies->given = true;
	cookies->count = count;
	memcpy(cookies->secret, secrets, count * sizeof(*secrets));
	return 0;
}

/* `cookie` holds all but the hash; reserved bits are hashed as they are. */
static void hash_cookie(const uint8_t cookie[HASH_AT], const struct sockaddr *source,
	const uint8_t *secret, uint8_t out[HASH_SIZE])
{
	uint8_t text[HASH_AT + sizeof(struct in6_addr)];
	bool ipv4 = source->sa_family == AF_INET;
	const void *address =
		ipv4 ? (const void *)&((const struct sockaddr_in *)(const void *)source)->sin_addr
		     : &((const struct sockaddr_in6 *)(const void *)source)->sin6_addr;
	size_t size = ipv4 ? sizeof(struct in_addr) : sizeof(struct in6_addr);
	memcpy(text, cookie, HASH_AT);
	memcpy(text + HASH_AT, address, size);
	crypto_shorthash_siphash24(out, text, HASH_AT + size, secret);
}

/* The secret that the cookie was made with; count where it is none of ours. */
static unsigned find_secret(
	const struct cookies *cookies, const uint8_t *cookie, const struct sockaddr *source)
{
	uint8_t hash[HASH_SIZE];
	unsigned i;
	for (i = 0; i < cookies->count; i++) {
		hash_cookie(cookie, source, cookies->secret[i], hash);
		if (sodium_memcmp(hash, cookie + HASH_AT, HASH_SIZE) == 0)
			break;
	}
	return i;
}

/* In the arithmetic of serial numbers (RFC 1982): the clock runs over in 2106. */
static int32_t age_of(const uint8_t *cookie, uint32_t now)
{
	uint32_t made = (uint32_t)wire_get16(cookie + TIME_AT) << 16;
	return (int32_t)(now - (made | wire_get16(cookie + TIME_AT + 2)));
}

/* *fresh: it may be sent back as it is. */
static enum cookie_state judge(const struct cookies *cookies, const struct query *query,
	const struct sockaddr *source, uint32_t now, bool *fresh)
{
	*fresh = false;
	if (query->cookie_size == CLIENT_SIZE)
		return COOKIE_CLIENT;
	if (query->cookie_size != EDNS_COOKIE_REPLY || query->cookie[VERSION_AT] != VERSION)
		return COOKIE_BAD;
	int32_t age = age_of(query->cookie, now);
	if (age > MAX_AGE || age < -MAX_AHEAD)
		return COOKIE_BAD;
	unsigned secret = find_secret(cookies, query->cookie, source);
	*fresh = secret == 0 && age < RENEW_AGE;
	return secret < cookies->count ? COOKIE_GOOD : COOKIE_BAD;
}

enum cookie_state cookies_check(struct cookies *cookies, const struct query *query,
	const struct sockaddr *source, uint32_t now, uint8_t reply[EDNS_COOKIE_REPLY])
{
	if (query->cookie_size == 0)
		return COOKIE_NONE;
	if (!cookies->given && now - cookies->rolled_at >= SECRET_LIFE)
		make_secret(cookies, now); /* without randomness the old one stays a while */
	bool fresh;
	enum cookie_state state = judge(cookies, query, source, now, &fresh);
	if (fresh) {
		memcpy(reply, query->cookie, EDNS_COOKIE_REPLY);
		return state;
	}
	memcpy(reply, query->cookie, CLIENT_SIZE);
	memset(reply + VERSION_AT, 0, TIME_AT - VERSION_AT);
	reply[VERSION_AT] = VERSION;
	wire_put32(reply + TIME_AT, now);
	hash_cookie(reply, source, cookies->secret[0], reply + HASH_AT);
	return state;
}
