/* SPDX-License-Identifier: ISC */
#ifndef TESTS_DNS_WORLD_H
#define TESTS_DNS_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "dns/respond.h"
#include "dns/wire.h"
#include "tests/dns/bytes.h"

/* Two zones, one within the other, a few services, and a daemon that says what a test wants: the
 * server without its sockets, for tests of single bytes. */

#define IPV4(a, b, c, d) ((struct ip_address){AF_INET, {a, b, c, d}})
#define NONE             ((struct ip_address){0})

/* What the fake daemon says, and what it was asked. */
struct daemon {
	enum dns_reply reply;
	struct dns_ede ede;
	struct dns_ask asked;
	uint32_t answer_as; /* 0: it does not care */
	unsigned count;
};

static inline enum dns_reply answer_ask(void *ctx, const struct dns_ask *ask, struct dns_ede *ede)
{
	struct daemon *daemon = ctx;
	assert_false(ede->present);
	daemon->asked = *ask;
	daemon->count++;
	if (daemon->answer_as)
		*ask->answer_as = daemon->answer_as;
	*ede = daemon->ede;
	return daemon->reply;
}

struct world {
	struct responder responder;
	struct daemon daemon;
	struct client client;
};

static const struct ip_address v6 = {AF_INET6, {0xfd, [15] = 5}};

/* More of one family than a service may have. */
static const struct ip_address five[] = {{AF_INET, {10, 0, 0, 1}}, {AF_INET, {10, 0, 0, 2}},
	{AF_INET, {10, 0, 0, 3}}, {AF_INET, {10, 0, 0, 4}}, {AF_INET, {10, 0, 0, 5}}};

static const struct dns_name_server servers[] = {
	{"ns1.example.test", {AF_INET, {192, 0, 2, 1}}, {AF_INET6, {0xfd, [15] = 1}}},
	{"ns.other.net.", {AF_INET, {9, 9, 9, 9}}, {0}},
};
static const struct dns_name_server parent_servers[] = {{"ns", {0}, {0}}};

static const struct dns_zone_config zones[] = {
	{.origin = "Example.Test.",
		.servers = servers,
		.server_count = 2,
		.ttl = 3600,
		.negative_ttl = 60},
	{.origin = "test",
		.mailbox = "dns.admin@example.test",
		.servers = parent_servers,
		.server_count = 1,
		.ttl = 30,
		.negative_ttl = 300},
};

static inline int set_up_with(void **state, const struct dns_config *config)
{
	struct world *world = calloc(1, sizeof(*world));
	const struct ip_address v4 = IPV4(10, 77, 0, 5), apex = IPV4(10, 77, 0, 6);
	struct names *names = &world->responder.names;
	world->client.source.in.sin_family = AF_INET;
	if (responder_init(&world->responder, config, answer_ask, &world->daemon, NULL) < 0 ||
		names_set_zones(names, zones, 2, NULL) < 0 ||
		names_put_service(names, 7, "www.example.test", &v4, 1, 5, NULL) < 0 ||
		names_put_service(names, 8, "a.b.c.example.test",
			(const struct ip_address[]){v4, v6}, 2, 5, NULL) < 0 ||
		names_put_service(names, 9, "example.test", &apex, 1, 5, NULL) < 0 ||
		names_put_service(names, 10, "out.side", &v4, 1, 5, NULL) < 0)
		return -1;
	*state = world;
	return 0;
}

static inline int set_up(void **state)
{
	return set_up_with(state, &(struct dns_config){.max_waiting = 2});
}

static inline int tear_down(void **state)
{
	struct world *world = *state;
	responder_finish(&world->responder);
	free(world);
	return 0;
}

static inline size_t ask_bytes(struct world *world, const uint8_t *bytes, size_t size, uint8_t *out)
{
	struct request request = {
		.client = &world->client,
		.bytes = bytes,
		.size = size,
		.received_at = 42,
		.may_wait = true,
	};
	return respond(&world->responder, &request, out);
}

static inline size_t ask(struct world *world, const char *query, uint8_t *out)
{
	uint8_t bytes[1024];
	return ask_bytes(world, bytes, bytes_read(query, bytes, sizeof(bytes)), out);
}

static inline void print_bytes(const char *what, const uint8_t *bytes, size_t size)
{
	fprintf(stderr, "# %s:", what);
	for (size_t i = 0; i < size; i++)
		fprintf(stderr, "%s%02x", i % 2 ? "" : " ", bytes[i]);
	fprintf(stderr, "\n");
}

static inline void expect(struct world *world, const char *query, const char *answer)
{
	uint8_t out[ANSWER_MAX_TCP], wanted[2048];
	size_t wanted_size = bytes_read(answer, wanted, sizeof(wanted));
	size_t size = ask(world, query, out);
	if (size != wanted_size || memcmp(out, wanted, size) != 0) {
		print_bytes("got ", out, size);
		print_bytes("want", wanted, wanted_size);
		fail_msg("for %s", query);
	}
}

#define HEAD      "1234 0100 0001 0000 0000 0000"
#define HEAD_EDNS "1234 0100 0001 0000 0000 0001"
#define OPT       " 00 0029 04d0 00000000 0000"
#define EXAMPLE   "07'example'04'test'00"
#define WWW       "03'www'" EXAMPLE
#define SOA_TIMES " 00000001 00003840 00000e10 00093a80 "
/* The negative SOA of example.test, whose name begins at the byte given. */
#define SOA(at)                                                                                    \
	" c0" at " 0006 0001 0000003c 0027 03'ns1'c0" at " 0a'hostmaster'c0" at SOA_TIMES          \
	"0000003"                                                                                  \
	"c"
/* That of test, below which the mailbox is. */
#define PARENT_SOA(at)                                                                             \
	" c0" at " 0006 0001 0000001e 002d 02'ns'c0" at " 09'dns.admin'07'example'c0" at SOA_TIMES \
	"0000012c"

static inline unsigned rcode_of(struct world *world, const char *name)
{
	uint8_t query[300], out[ANSWER_MAX_UDP];
	assert_true(ask_bytes(world, query, bytes_query(query, 1, name, 1), out) > 0);
	return out[3];
}

#endif
