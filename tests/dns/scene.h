/* SPDX-License-Identifier: ISC */
#ifndef TESTS_DNS_SCENE_H
#define TESTS_DNS_SCENE_H

#include "tests/dns/fixture.h"

#include <arpa/inet.h>
#include <poll.h>
#include <unistd.h>

#include "base/units.h"

/* A server that forwards, and upstreams that the test plays. */

#define UPSTREAMS 2

struct upstream {
	int udp, tcp;
	struct sockaddr_storage address;
};

struct scene {
	struct fixture *fixture;
	struct upstream upstreams[UPSTREAMS];
	struct prefixes clients;
};

/* One query as an upstream got it. */
struct received {
	uint8_t bytes[512];
	size_t size;
	int fd; /* of a TCP connection */
	struct sockaddr_in from;
};

static inline void open_upstream(struct upstream *upstream)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	do { /* until a port is free for both */
		address.sin_port = 0;
		upstream->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		upstream->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_int_equal(bind(upstream->udp, (struct sockaddr *)&address, size), 0);
		assert_int_equal(getsockname(upstream->udp, (struct sockaddr *)&address, &size), 0);
		if (bind(upstream->tcp, (struct sockaddr *)&address, size) == 0)
			break;
		close(upstream->udp);
		close(upstream->tcp);
	} while (true);
	assert_int_equal(listen(upstream->tcp, 8), 0);
	memcpy(&upstream->address, &address, sizeof(address));
}

static inline struct scene *create(size_t upstreams, struct dns_config config)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	struct sockaddr_storage addresses[UPSTREAMS];
	assert_non_null(scene);
	for (size_t i = 0; i < UPSTREAMS; i++) {
		open_upstream(&scene->upstreams[i]);
		addresses[i] = scene->upstreams[i].address;
	}
	config.upstreams = addresses;
	config.upstream_count = upstreams;
	scene->fixture = fixture_create("127.0.0.1", config);
	scene->clients.otherwise = true;
	const struct dns_rules rules = {.forward_clients = &scene->clients};
	assert_int_equal(dns_use_rules(scene->fixture->server, NULL, &rules, NULL), 0);
	return scene;
}

static inline void destroy(struct scene *scene)
{
	fixture_destroy(scene->fixture);
	for (size_t i = 0; i < UPSTREAMS; i++) {
		close(scene->upstreams[i].udp);
		close(scene->upstreams[i].tcp);
	}
	free(scene);
}

static inline int client(const struct scene *scene, int type)
{
	return fixture_connect(scene->fixture, "127.0.0.1", type);
}

static inline void ask_udp(int fd, uint16_t id, const char *name)
{
	uint8_t query[300];
	fixture_send(fd, query, bytes_query(query, id, name, DNS_TYPE_A));
}

static inline struct received receive(struct scene *scene, size_t upstream)
{
	struct received got = {.fd = -1};
	socklen_t size = sizeof(got.from);
	fixture_wait(scene->fixture, scene->upstreams[upstream].udp, POLLIN);
	ssize_t rc = recvfrom(scene->upstreams[upstream].udp, got.bytes, sizeof(got.bytes), 0,
		(struct sockaddr *)&got.from, &size);
	assert_true(rc > DNS_HEADER_SIZE);
	got.size = (size_t)rc;
	return got;
}

static inline struct received receive_tcp(struct scene *scene, size_t upstream)
{
	struct received got;
	fixture_wait(scene->fixture, scene->upstreams[upstream].tcp, POLLIN);
	got.fd = accept4(scene->upstreams[upstream].tcp, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(got.fd >= 0);
	got.size = fixture_receive_frame(scene->fixture, got.fd, got.bytes, sizeof(got.bytes));
	return got;
}

/* Makes the query an answer with one record that nobody looks into. Returns its size. */
static inline size_t make_answer(
	const struct received *query, uint8_t rcode, size_t more, uint8_t *out)
{
	static const char record[] = "c00c 0001 0001 00000005 0004 c0000207";
	memcpy(out, query->bytes, query->size);
	out[2] |= DNS_FLAG_QR;
	out[3] = 0x80 | rcode;
	out[7] = rcode == 0;
	size_t size = query->size + (rcode ? 0 : bytes_read(record, out + query->size, 64));
	memset(out + size, 'x', more);
	return size + more;
}

static inline void reply(const struct scene *scene, size_t upstream, const struct received *to,
	const uint8_t *bytes, size_t size)
{
	assert_int_equal(sendto(scene->upstreams[upstream].udp, bytes, size, 0,
				 (const struct sockaddr *)&to->from, sizeof(to->from)),
		size);
}

static inline void reply_tcp(
	struct scene *scene, const struct received *to, const uint8_t *bytes, size_t size)
{
	static uint8_t frame[2 + UINT16_MAX];
	wire_put16(frame, (uint16_t)size);
	memcpy(frame + 2, bytes, size);
	for (size_t sent = 0; sent < 2 + size;) {
		ssize_t rc = send(to->fd, frame + sent, 2 + size - sent, MSG_NOSIGNAL);
		sent += rc > 0 ? (size_t)rc : 0;
		fixture_turn(scene->fixture);
	}
	close(to->fd);
}

static inline void answer(
	struct scene *scene, size_t upstream, const struct received *to, uint8_t rcode)
{
	uint8_t bytes[1024];
	reply(scene, upstream, to, bytes, make_answer(to, rcode, 0, bytes));
}

static inline void expect_bytes(struct scene *scene, int fd, bool tcp, const char *wanted)
{
	uint8_t got[2048], bytes[2048];
	size_t size = tcp ? fixture_receive_frame(scene->fixture, fd, got, sizeof(got))
			  : fixture_receive(scene->fixture, fd, got, sizeof(got));
	size_t wanted_size = bytes_read(wanted, bytes, sizeof(bytes));
	if (size != wanted_size || memcmp(got, bytes, size) != 0) {
		print_bytes("got ", got, size);
		print_bytes("want", bytes, wanted_size);
		fail_msg("another answer");
	}
}

static inline void expect_rcode(struct scene *scene, int fd, uint16_t id, unsigned rcode)
{
	uint8_t got[2048];
	assert_true(fixture_receive(scene->fixture, fd, got, sizeof(got)) > DNS_HEADER_SIZE);
	assert_int_equal(wire_get16(got), id);
	assert_int_equal(got[3] & 15, rcode);
}

#endif
