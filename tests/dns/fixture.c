/* SPDX-License-Identifier: ISC */
#include "tests/dns/fixture.h"

#include <fcntl.h>
#include <poll.h>

#include "base/units.h"

struct fixture *fixture_create(const char *listen, struct dns_config config)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct sockaddr_storage address;
	struct error err = ERROR_INIT;
	const struct ip_address v4 = IPV4(10, 77, 0, 5);
	assert_non_null(fixture);
	assert_int_equal(uv_loop_init(&fixture->loop), 0);
	assert_int_equal(ip_endpoint_parse(listen, 0, &address, NULL), 0);
	config.listen = &address;
	config.listen_count = 1;
	if (dns_server_create(&fixture->loop, &config, answer_ask, &fixture->daemon,
		    &fixture->server, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(dns_set_zones(fixture->server, zones, 2, NULL), 0);
	assert_int_equal(dns_put_service(fixture->server, 7, "www.example.test",
				 (const struct ip_address[]){v4, v6}, 2, 5, NULL),
		0);
	fixture->family = address.ss_family;
	fixture->port = dns_server_port(fixture->server, 0);
	assert_int_not_equal(fixture->port, 0);
	return fixture;
}

static void on_closed(void *ctx)
{
	struct fixture *fixture = ctx;
	fixture->closed = true;
}

void fixture_destroy(struct fixture *fixture)
{
	dns_server_destroy(fixture->server, on_closed, fixture);
	assert_false(fixture->closed);
	/* What the daemon still answers in the turn of its end. */
	if (dns_query_waiting(fixture->server, fixture->daemon.asked.id))
		dns_answer(fixture->server, fixture->daemon.asked.id, DNS_REPLY_SERVFAIL, NULL);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_true(fixture->closed);
	assert_int_equal(uv_loop_close(&fixture->loop), 0);
	free(fixture);
}

void fixture_turn(struct fixture *fixture)
{
	struct pollfd loop = {.fd = uv_backend_fd(&fixture->loop), .events = POLLIN};
	uv_run(&fixture->loop, UV_RUN_NOWAIT);
	poll(&loop, 1, 1);
	uv_run(&fixture->loop, UV_RUN_NOWAIT);
}

static void check_hang(uint64_t since)
{
	if (clock_monotonic() - since > HANG_MS * NS_PER_MS)
		fail_msg("nothing happens any more");
}

void fixture_wait(struct fixture *fixture, int fd, short events)
{
	struct pollfd one = {.fd = fd, .events = events};
	for (uint64_t since = clock_monotonic(); poll(&one, 1, 0) == 0; check_hang(since))
		fixture_turn(fixture);
}

void fixture_wait_asked(struct fixture *fixture, unsigned count)
{
	for (uint64_t since = clock_monotonic(); fixture->daemon.count < count; check_hang(since))
		fixture_turn(fixture);
	assert_int_equal(fixture->daemon.count, count);
}

int fixture_connect(struct fixture *fixture, const char *address, int type)
{
	struct sockaddr_storage storage;
	struct ip_address ip;
	assert_int_equal(ip_address_parse(address, &ip, NULL), 0);
	socklen_t size = ip_address_to_sockaddr(&ip, fixture->port, &storage);
	int fd = socket(ip.family, type | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&storage, size), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

size_t fixture_receive(struct fixture *fixture, int fd, uint8_t *out, size_t max)
{
	fixture_wait(fixture, fd, POLLIN);
	ssize_t size = recv(fd, out, max, 0);
	assert_true(size >= 0);
	return (size_t)size;
}

static void receive_exactly(struct fixture *fixture, int fd, uint8_t *out, size_t size)
{
	for (size_t have = 0; have < size;) {
		size_t more = fixture_receive(fixture, fd, out + have, size - have);
		assert_int_not_equal(more, 0);
		have += more;
	}
}

size_t fixture_receive_frame(struct fixture *fixture, int fd, uint8_t *out, size_t max)
{
	uint8_t length[2];
	receive_exactly(fixture, fd, length, sizeof(length));
	size_t size = wire_get16(length);
	assert_true(size <= max);
	receive_exactly(fixture, fd, out, size);
	return size;
}

void fixture_send(int fd, const void *bytes, size_t size)
{
	assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), size);
}

void fixture_ask_tcp(int fd, uint16_t id, const char *name, uint16_t type)
{
	uint8_t frame[300];
	size_t size = bytes_query(frame + 2, id, name, type);
	wire_put16(frame, (uint16_t)size);
	fixture_send(fd, frame, 2 + size);
}

void fixture_wait_closed(struct fixture *fixture, int fd)
{
	uint8_t bytes[4096];
	ssize_t size;
	do {
		fixture_wait(fixture, fd, POLLIN);
		size = recv(fd, bytes, sizeof(bytes), 0);
	} while (size > 0 || (size < 0 && errno == EAGAIN));
	assert_true(size == 0 || errno == ECONNRESET);
}
