/* SPDX-License-Identifier: ISC */
#include "tests/dns/fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>

#define WWW_TEXT "www.example.test"

static void ask_udp(int fd, uint16_t id, const char *name, uint16_t type)
{
	uint8_t query[300];
	fixture_send(fd, query, bytes_query(query, id, name, type));
}

/* The id and the RCODE of the next answer. */
static unsigned receive_id(struct fixture *fixture, int fd, unsigned *rcode)
{
	uint8_t answer[2048];
	assert_true(fixture_receive(fixture, fd, answer, sizeof(answer)) >= DNS_HEADER_SIZE);
	*rcode = answer[3] & 0x0f;
	return wire_get16(answer);
}

static void expect_answer(struct fixture *fixture, int fd, uint16_t id, unsigned rcode)
{
	unsigned got;
	assert_int_equal(receive_id(fixture, fd, &got), id);
	assert_int_equal(got, rcode);
}

/* Not every machine that builds this speaks it. */
static bool has_ipv6(void)
{
	const struct sockaddr_in6 address = {
		.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
	if (fd >= 0)
		close(fd);
	return has;
}

static void queries_are_answered(void **state)
{
	(void)state;
	static const char *const addresses[] = {"127.0.0.1", "::1"};
	for (size_t i = 0; i < (has_ipv6() ? 2 : 1); i++) {
		struct fixture *fixture = fixture_create(addresses[i], (struct dns_config){0});
		int fd = fixture_connect(fixture, addresses[i], SOCK_DGRAM);
		uint8_t answer[512], wanted[128];
		ask_udp(fd, 0x1234, WWW_TEXT, DNS_TYPE_A);
		size_t size = fixture_receive(fixture, fd, answer, sizeof(answer));
		assert_int_equal(size,
			bytes_read("1234 8500 0001 0001 0000 0000 03'www'07'example'04'test'00 "
				   "0001 0001 c00c 0001 0001 00000005 0004 0a4d0005",
				wanted, sizeof(wanted)));
		assert_memory_equal(answer, wanted, size);
		assert_false(fixture->daemon.asked.tcp);
		assert_true(fixture->daemon.asked.received_at > 0);
		assert_int_equal(dns_server_counters(fixture->server)->udp_queries, 1);
		close(fd);
		fixture_destroy(fixture);
	}
}

static void later_answers_reach_their_clients(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_create("127.0.0.1", (struct dns_config){0});
	int a = fixture_connect(fixture, "127.0.0.1", SOCK_DGRAM);
	int b = fixture_connect(fixture, "127.0.0.1", SOCK_DGRAM);
	fixture->daemon.reply = DNS_REPLY_LATER;
	ask_udp(a, 1, WWW_TEXT, DNS_TYPE_A);
	fixture_wait_asked(fixture, 1);
	struct dns_query_id first = fixture->daemon.asked.id;
	ask_udp(b, 2, WWW_TEXT, DNS_TYPE_AAAA);
	fixture_wait_asked(fixture, 2);
	struct dns_query_id second = fixture->daemon.asked.id;
	assert_true(dns_query_waiting(fixture->server, first));
	dns_answer(fixture->server, second, DNS_REPLY_SERVFAIL, NULL);
	expect_answer(fixture, b, 2, DNS_RCODE_SERVFAIL);
	assert_false(dns_query_waiting(fixture->server, second));
	dns_answer(fixture->server, first, DNS_REPLY_ADDRESS, NULL);
	expect_answer(fixture, a, 1, DNS_RCODE_NOERROR);
	/* Once is enough. */
	dns_answer(fixture->server, first, DNS_REPLY_ADDRESS, NULL);
	fixture->daemon.reply = DNS_REPLY_REFUSED;
	ask_udp(a, 3, WWW_TEXT, DNS_TYPE_A);
	expect_answer(fixture, a, 3, DNS_RCODE_REFUSED);
	close(a);
	close(b);
	fixture_destroy(fixture);
}

static void waiting_is_bounded(void **state)
{
	(void)state;
	struct fixture *fixture =
		fixture_create("127.0.0.1", (struct dns_config){.max_waiting = 2});
	int fd = fixture_connect(fixture, "127.0.0.1", SOCK_DGRAM);
	fixture->daemon.reply = DNS_REPLY_LATER;
	for (uint16_t id = 1; id <= 3; id++)
		ask_udp(fd, id, WWW_TEXT, DNS_TYPE_A);
	expect_answer(fixture, fd, 3, DNS_RCODE_SERVFAIL);
	/* The server is stopped with two queries waiting. */
	fixture_destroy(fixture);
	close(fd);
}

static void one_network_has_its_share_of_the_waiting(void **state)
{
	(void)state;
	struct fixture *fixture =
		fixture_create("127.0.0.1", (struct dns_config){.max_waiting_source = 2});
	int fd = fixture_connect(fixture, "127.0.0.1", SOCK_DGRAM);
	struct dns_query_id ids[2];
	fixture->daemon.reply = DNS_REPLY_LATER;
	for (uint16_t i = 0; i < 2; i++) {
		ask_udp(fd, i, WWW_TEXT, DNS_TYPE_A);
		fixture_wait_asked(fixture, i + 1u);
		ids[i] = fixture->daemon.asked.id;
	}
	ask_udp(fd, 2, WWW_TEXT, DNS_TYPE_A);
	expect_answer(fixture, fd, 2, DNS_RCODE_SERVFAIL);
	/* Its share is free again with each answer. */
	dns_answer(fixture->server, ids[0], DNS_REPLY_ADDRESS, NULL);
	expect_answer(fixture, fd, 0, DNS_RCODE_NOERROR);
	ask_udp(fd, 3, WWW_TEXT, DNS_TYPE_A);
	fixture_wait_asked(fixture, 4);
	assert_true(dns_query_waiting(fixture->server, fixture->daemon.asked.id));
	fixture_destroy(fixture);
	close(fd);
}

static void zones_change_while_waiting(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_create("127.0.0.1", (struct dns_config){0});
	int fd = fixture_connect(fixture, "127.0.0.1", SOCK_DGRAM);
	struct dns_query_id ids[2];
	fixture->daemon.reply = DNS_REPLY_LATER;
	for (uint16_t i = 0; i < 2; i++) {
		ask_udp(fd, i, WWW_TEXT, DNS_TYPE_A);
		fixture_wait_asked(fixture, i + 1u);
		ids[i] = fixture->daemon.asked.id;
	}
	assert_true(dns_in_zone(fixture->server, "any.test"));
	assert_int_equal(dns_set_zones(fixture->server, zones, 1, NULL), 0);
	assert_false(dns_in_zone(fixture->server, "any.test"));
	assert_true(dns_in_zone(fixture->server, "any.EXAMPLE.test."));
	dns_answer(fixture->server, ids[0], DNS_REPLY_ADDRESS, NULL);
	expect_answer(fixture, fd, 0, DNS_RCODE_NOERROR);
	assert_int_equal(dns_set_zones(fixture->server, NULL, 0, NULL), 0);
	dns_answer(fixture->server, ids[1], DNS_REPLY_ADDRESS, NULL);
	expect_answer(fixture, fd, 1, DNS_RCODE_REFUSED);
	close(fd);
	fixture_destroy(fixture);
}

static void answers_are_not_answered(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_create("127.0.0.1", (struct dns_config){0});
	int fd = fixture_connect(fixture, "127.0.0.1", SOCK_DGRAM);
	uint8_t query[64];
	size_t size = bytes_query(query, 1, WWW_TEXT, DNS_TYPE_A);
	query[2] |= DNS_FLAG_QR;
	fixture_send(fd, query, size);
	fixture_send(fd, query, 5);
	ask_udp(fd, 2, WWW_TEXT, DNS_TYPE_A);
	expect_answer(fixture, fd, 2, DNS_RCODE_NOERROR);
	assert_int_equal(dns_server_counters(fixture->server)->dropped, 2);
	close(fd);
	fixture_destroy(fixture);
}

static void long_datagrams_are_malformed(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_create("127.0.0.1", (struct dns_config){0});
	int fd = fixture_connect(fixture, "127.0.0.1", SOCK_DGRAM);
	static uint8_t query[60000];
	bytes_query(query, 9, WWW_TEXT, DNS_TYPE_A);
	fixture_send(fd, query, sizeof(query));
	expect_answer(fixture, fd, 9, DNS_RCODE_FORMERR);
	close(fd);
	fixture_destroy(fixture);
}

static void bursts_are_answered_in_batches(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_create("127.0.0.1", (struct dns_config){0});
	int fd = fixture_connect(fixture, "127.0.0.1", SOCK_DGRAM);
	/* Few enough for the default buffer of the client's socket. */
	for (uint16_t id = 0; id < 100; id++)
		ask_udp(fd, id, WWW_TEXT, DNS_TYPE_A);
	for (uint16_t id = 0; id < 100; id++)
		expect_answer(fixture, fd, id, DNS_RCODE_NOERROR);
	close(fd);
	fixture_destroy(fixture);
}

/* Asks at `address` with a socket that is not connected, and checks who answers, at once and
 * late. */
static void check_source(struct fixture *fixture, const char *address)
{
	struct sockaddr_storage to, from;
	struct ip_address ip;
	char text[IP_ADDRESS_TEXT];
	uint8_t bytes[512];
	assert_int_equal(ip_address_parse(address, &ip, NULL), 0);
	socklen_t size = ip_address_to_sockaddr(&ip, fixture->port, &to);
	int fd = socket(ip.family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	for (int later = 0; later < 2; later++) {
		unsigned asked = fixture->daemon.count;
		size_t length = bytes_query(bytes, 1, WWW_TEXT, DNS_TYPE_A);
		fixture->daemon.reply = later ? DNS_REPLY_LATER : DNS_REPLY_ADDRESS;
		assert_int_equal(
			sendto(fd, bytes, length, 0, (struct sockaddr *)&to, size), length);
		fixture_wait_asked(fixture, asked + 1);
		if (later)
			dns_answer(
				fixture->server, fixture->daemon.asked.id, DNS_REPLY_ADDRESS, NULL);
		fixture_wait(fixture, fd, POLLIN);
		socklen_t from_size = sizeof(from);
		assert_true(recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from,
				    &from_size) > 0);
		struct ip_address source = ip_address_from_sockaddr((struct sockaddr *)&from);
		assert_string_equal(ip_address_print(&source, text), address);
	}
	close(fd);
}

static void wildcards_answer_from_the_asked_address(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_create("0.0.0.0", (struct dns_config){0});
	check_source(fixture, "127.0.0.1");
	check_source(fixture, "127.0.0.2");
	fixture_destroy(fixture);
	if (!has_ipv6())
		return;
	fixture = fixture_create("::", (struct dns_config){0});
	check_source(fixture, "::1");
	fixture_destroy(fixture);
}

static void a_taken_port_is_named(void **state)
{
	(void)state;
	struct fixture *fixture = fixture_create("127.0.0.1", (struct dns_config){0});
	struct sockaddr_storage addresses[2] = {0};
	struct dns_server *second;
	struct error err = ERROR_INIT;
	struct ip_address ip;
	char wanted[64];
	assert_int_equal(ip_address_parse("127.0.0.1", &ip, NULL), 0);
	ip_address_to_sockaddr(&ip, 0, &addresses[0]);
	ip_address_to_sockaddr(&ip, fixture->port, &addresses[1]);
	struct dns_config config = {.listen = addresses, .listen_count = 2};
	assert_int_equal(
		dns_server_create(&fixture->loop, &config, answer_ask, NULL, &second, &err),
		-EADDRINUSE);
	snprintf(
		wanted, sizeof(wanted), "127.0.0.1 port %u: Address already in use", fixture->port);
	assert_non_null(strstr(err.message, wanted));
	config.listen_count = 0;
	assert_int_equal(
		dns_server_create(&fixture->loop, &config, answer_ask, NULL, &second, &err),
		-EINVAL);
	fixture_destroy(fixture);
}

/* Who else could bind the address would take the queries. */
static void nobody_shares_the_address(void **state)
{
	(void)state;
	static const char *const addresses[] = {"127.0.0.1", "0.0.0.0"};
	static const int options[] = {SO_REUSEADDR, SO_REUSEPORT};
	struct fixture *fixture = fixture_create("127.0.0.1", (struct dns_config){0});
	for (int i = 0; i < 4; i++) {
		int on = 1, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		struct sockaddr_in address = {
			.sin_family = AF_INET, .sin_port = htons(fixture->port)};
		assert_int_equal(inet_pton(AF_INET, addresses[i / 2], &address.sin_addr), 1);
		assert_int_equal(setsockopt(fd, SOL_SOCKET, options[i % 2], &on, sizeof(on)), 0);
		assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), -1);
		assert_int_equal(errno, EADDRINUSE);
		close(fd);
	}
	fixture_destroy(fixture);
}

static void on_exit_of_dig(uv_process_t *process, int64_t status, int signal)
{
	(void)signal;
	*(int64_t *)process->data = status;
	uv_close((uv_handle_t *)process, NULL);
}

static size_t run_dig(struct fixture *fixture, const char *how, char *out, size_t max)
{
	char port[8];
	int pipes[2];
	uv_process_t process;
	int64_t status = -1;
	const char *args[] = {"dig", "@127.0.0.1", "-p", port, "+short", "+tries=1", how, WWW_TEXT,
		"A", WWW_TEXT, "AAAA", "example.test", "NS", NULL};
	snprintf(port, sizeof(port), "%u", fixture->port);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	uv_stdio_container_t stdio[3] = {{.flags = UV_IGNORE},
		{.flags = UV_INHERIT_FD, .data.fd = pipes[1]},
		{.flags = UV_INHERIT_FD, .data.fd = 2}};
	uv_process_options_t options = {
		.file = "dig",
		.args = (char **)(uintptr_t)args,
		.exit_cb = on_exit_of_dig,
		.stdio = stdio,
		.stdio_count = 3,
	};
	process.data = &status;
	int rc = uv_spawn(&fixture->loop, &process, &options);
	close(pipes[1]);
	if (rc == UV_ENOENT)
		uv_close((uv_handle_t *)&process, NULL);
	for (int i = 0; rc == 0 && status < 0 && i < HANG_MS; i++)
		fixture_turn(fixture);
	ssize_t size = rc == 0 ? read(pipes[0], out, max - 1) : 0;
	close(pipes[0]);
	assert_int_equal(status, rc == 0 ? 0 : -1);
	out[size > 0 ? size : 0] = '\0';
	return size > 0 ? (size_t)size : 0;
}

static void dig_agrees(void **state)
{
	(void)state;
	static const char *const ways[] = {"+notcp", "+tcp"};
	struct fixture *fixture = fixture_create("127.0.0.1", (struct dns_config){0});
	char out[512];
	bool found = true;
	for (size_t i = 0; found && i < 2; i++) {
		found = run_dig(fixture, ways[i], out, sizeof(out)) > 0;
		if (found)
			assert_string_equal(
				out, "10.77.0.5\nfd00::5\nns.other.net.\nns1.example.test.\n");
	}
	fixture_destroy(fixture);
	if (!found)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queries_are_answered),
		cmocka_unit_test(later_answers_reach_their_clients),
		cmocka_unit_test(waiting_is_bounded),
		cmocka_unit_test(one_network_has_its_share_of_the_waiting),
		cmocka_unit_test(zones_change_while_waiting),
		cmocka_unit_test(answers_are_not_answered),
		cmocka_unit_test(long_datagrams_are_malformed),
		cmocka_unit_test(bursts_are_answered_in_batches),
		cmocka_unit_test(wildcards_answer_from_the_asked_address),
		cmocka_unit_test(a_taken_port_is_named),
		cmocka_unit_test(nobody_shares_the_address),
		cmocka_unit_test(dig_agrees),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
