/* SPDX-License-Identifier: ISC */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/cookie.h"
#include "tests/fuzz/cost.h"

/*
 * Cookies of clients. The input: how (1 byte), the time (4), the address (16), and the cookie.
 * MODE_OURS puts a cookie of ours in place of the input's, of which the first byte left says which
 * bit is flipped (0xff: none), to see that each counts.
 */
#define MODE_IPV4 0x01
#define MODE_OURS 0x02
#define HEAD      21

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "does not hold: %s\n", what);
	abort();
}

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static enum cookie_state check(struct cookies *cookies, const uint8_t *cookie, size_t size,
	const union address *address, uint32_t now, uint8_t *reply)
{
	struct query query = {.cookie_size = (uint8_t)size};
	memcpy(query.cookie, cookie, size);
	return cookies_check(cookies, &query, &address->any, now, reply);
}

/* Whatever came, the cookie we give is good afterwards, for this client and no other. */
static void check_reply(struct cookies *cookies, const uint8_t *reply, const uint8_t *cookie,
	const union address *address, uint32_t now)
{
	uint8_t again[EDNS_COOKIE_REPLY];
	union address other = *address;
	other.in.sin_addr.s_addr ^= 1;
	other.in6.sin6_addr.s6_addr[5] ^= 1;
	must(memcmp(reply, cookie, 8) == 0, "the client's part comes back");
	must(check(cookies, reply, EDNS_COOKIE_REPLY, address, now, again) == COOKIE_GOOD, "good");
	must(memcmp(reply, again, sizeof(again)) == 0, "and fresh");
	must(check(cookies, reply, EDNS_COOKIE_REPLY, &other, now, again) == COOKIE_BAD, "not his");
}

static void run(uint8_t mode, const union address *address, uint32_t now, const uint8_t *cookie,
	size_t size)
{
	static const uint8_t secrets[2][DNS_COOKIE_SECRET_SIZE] = {{1, 2, 3}, {4, 5, 6}};
	struct cookies cookies = {0};
	uint8_t ours[EDNS_COOKIE_REPLY], reply[EDNS_COOKIE_REPLY];
	must(cookies_give(&cookies, secrets, 2, now) == 0, "secrets");
	unsigned bit = size > 0 ? cookie[0] : 0xff;
	if (mode & MODE_OURS) {
		check(&cookies, (const uint8_t *)"a client", 8, address, now, ours);
		if (bit < 8 * sizeof(ours))
			ours[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cookie = ours;
		size = sizeof(ours);
	}
	struct cost before = cost_now();
	enum cookie_state state = check(&cookies, cookie, size, address, now, reply);
	cost_note(before);
	must((state == COOKIE_NONE) == (size == 0), "none is none");
	must((state == COOKIE_CLIENT) == (size == 8), "a client's alone");
	if (mode & MODE_OURS)
		must((state == COOKIE_GOOD) == (bit >= 8 * sizeof(ours)), "every bit counts");
	if (state != COOKIE_NONE)
		check_reply(&cookies, reply, cookie, address, now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	union address address = {.in6 = {.sin6_family = AF_INET6}};
	if (size < HEAD)
		return 0;
	memcpy(&address.in6.sin6_addr, data + 5, 16);
	if (data[0] & MODE_IPV4) {
		address = (union address){.in = {.sin_family = AF_INET}};
		memcpy(&address.in.sin_addr, data + 5, 4);
	}
	uint32_t now;
	memcpy(&now, data + 1, sizeof(now));
	size_t left = size - HEAD;
	/* The reader of packets lets no other sizes through. */
	if (left != 0 && left != 8 && (left < 16 || left > 40) && !(data[0] & MODE_OURS))
		return 0;
	run(data[0], &address, now, data + HEAD, left);
	return 0;
}
