/* SPDX-License-Identifier: ISC */
#include "tests/dns/scene.h"

/* Forwarding to upstreams that the test plays, with real sockets on loopback. */

#define FOREIGN "www.other.net"
#define GOOD(id)                                                                                   \
	id " 8180 0001 0001 0000 0000 03'www'05'other'03'net'00 0001 0001 c00c 0001 0001 "         \
	   "00000005 "                                                                             \
	   "0004 c0000207"

static const struct dns_counters *counters(const struct scene *scene)
{
	return dns_server_counters(scene->fixture->server);
}

static void queries_are_passed_on(void **state)
{
	(void)state;
	struct scene *scene = create(1, (struct dns_config){0});
	int udp = client(scene, SOCK_DGRAM), tcp = client(scene, SOCK_STREAM);
	ask_udp(udp, 0x1234, FOREIGN);
	struct received got = receive(scene, 0);
	answer(scene, 0, &got, 0);
	expect_bytes(scene, udp, false, GOOD("1234"));
	fixture_ask_tcp(tcp, 0x4321, FOREIGN, DNS_TYPE_A);
	got = receive(scene, 0);
	answer(scene, 0, &got, 0);
	expect_bytes(scene, tcp, true, GOOD("4321"));
	/* Our own names are not, nor is what nobody wants looked up. */
	ask_udp(udp, 1, "nope.example.test");
	expect_rcode(scene, udp, 1, DNS_RCODE_NXDOMAIN);
	uint8_t query[64];
	size_t size = bytes_query(query, 2, FOREIGN, DNS_TYPE_A);
	query[2] = 0;
	fixture_send(udp, query, size);
	expect_rcode(scene, udp, 2, DNS_RCODE_REFUSED);
	assert_int_equal(counters(scene)->forwarded, 2);
	close(udp);
	close(tcp);
	destroy(scene);
}

static void nothing_can_be_foreseen(void **state)
{
	(void)state;
	enum { COUNT = 12 };
	struct scene *scene = create(1, (struct dns_config){0});
	int fd = client(scene, SOCK_DGRAM);
	struct received got[COUNT];
	unsigned same_id = 0, same_port = 0, same_name = 0;
	for (uint16_t i = 0; i < COUNT; i++) {
		ask_udp(fd, 7, FOREIGN);
		got[i] = receive(scene, 0);
		answer(scene, 0, &got[i], 0);
		expect_bytes(scene, fd, false, GOOD("0007"));
		if (i == 0)
			continue;
		same_id += memcmp(got[i].bytes, got[0].bytes, 2) == 0;
		same_port += got[i].from.sin_port == got[0].from.sin_port;
		same_name += memcmp(got[i].bytes + 12, got[0].bytes + 12, 15) == 0;
	}
	/* Once may be chance (one of 2^11 for the name), but not four times. */
	assert_true(same_id < 4 && same_port < 4 && same_name < 4);
	close(fd);
	destroy(scene);
}

static void forged_answers_are_not_taken(void **state)
{
	(void)state;
	struct scene *scene = create(1, (struct dns_config){.forward_timeout = 60 * NS_PER_S});
	int fd = client(scene, SOCK_DGRAM);
	uint8_t bytes[1024];
	ask_udp(fd, 1, FOREIGN);
	struct received got = receive(scene, 0), forged = got;
	/* Another address, another id, another question, half of one. */
	reply(scene, 1, &got, bytes, make_answer(&got, DNS_RCODE_NXDOMAIN, 0, bytes));
	forged.bytes[0] ^= 1;
	answer(scene, 0, &forged, DNS_RCODE_NXDOMAIN);
	forged = got;
	forged.bytes[13] ^= 1;
	answer(scene, 0, &forged, DNS_RCODE_NXDOMAIN);
	reply(scene, 0, &got, bytes, 17);
	for (int i = 0; i < 20; i++)
		fixture_turn(scene->fixture);
	assert_int_equal(counters(scene)->forward_forged, 3);
	answer(scene, 0, &got, 0);
	expect_bytes(scene, fd, false, GOOD("0001"));
	/* Many of them are an attack: then it is asked over TCP. */
	ask_udp(fd, 2, FOREIGN);
	got = forged = receive(scene, 0);
	forged.bytes[0] ^= 1;
	for (int i = 0; i < 8; i++)
		answer(scene, 0, &forged, DNS_RCODE_NXDOMAIN);
	got = receive_tcp(scene, 0);
	reply_tcp(scene, &got, bytes, make_answer(&got, 0, 0, bytes));
	expect_bytes(scene, fd, false, GOOD("0002"));
	close(fd);
	destroy(scene);
}

static void another_spelling_is_asked_over_tcp(void **state)
{
	(void)state;
	struct scene *scene = create(1, (struct dns_config){.forward_timeout = 60 * NS_PER_S});
	int fd = client(scene, SOCK_DGRAM);
	uint8_t bytes[1024];
	ask_udp(fd, 1, FOREIGN);
	struct received got = receive(scene, 0);
	for (size_t i = 13; i < 13 + 13; i++) /* an upstream that knows small letters only */
		got.bytes[i] |= got.bytes[i] >= 'A' ? 0x20 : 0;
	got.bytes[13] ^= 0x20;
	answer(scene, 0, &got, 0);
	got = receive_tcp(scene, 0);
	reply_tcp(scene, &got, bytes, make_answer(&got, 0, 0, bytes));
	expect_bytes(scene, fd, false, GOOD("0001"));
	close(fd);
	destroy(scene);
}

static void what_is_cut_is_asked_over_tcp(void **state)
{
	(void)state;
	static uint8_t bytes[UINT16_MAX], got[UINT16_MAX];
	struct scene *scene = create(1, (struct dns_config){.forward_timeout = 60 * NS_PER_S});
	int udp = client(scene, SOCK_DGRAM), tcp = client(scene, SOCK_STREAM);
	static const size_t more[] = {0, 7000, 9000, 60000};
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		ask_udp(udp, 1, FOREIGN);
		struct received query = receive(scene, 0);
		/* Who asks the same meanwhile gets the same. */
		fixture_ask_tcp(tcp, 2, FOREIGN, DNS_TYPE_A);
		uint64_t before = counters(scene)->forwarded;
		for (int turn = 0; turn < HANG_MS && counters(scene)->forwarded == before; turn++)
			fixture_turn(scene->fixture);
		query.bytes[2] |= DNS_FLAG_TC;
		answer(scene, 0, &query, 0);
		query = receive_tcp(scene, 0);
		size_t size = make_answer(&query, 0, more[i], bytes);
		reply_tcp(scene, &query, bytes, size);
		if (more[i] == 0)
			expect_bytes(scene, udp, false, GOOD("0001"));
		else
			expect_bytes(scene, udp, false,
				"0001 8380 0001 0000 0000 0000 03'www'05'other'03'net'00 0001 "
				"0001");
		assert_int_equal(
			fixture_receive_frame(scene->fixture, tcp, got, sizeof(got)), size);
		assert_int_equal(wire_get16(got), 2);
		assert_memory_equal(got + 12 + 19, bytes + 12 + 19, size - 12 - 19);
	}
	close(udp);
	close(tcp);
	destroy(scene);
}

static void another_upstream_is_tried(void **state)
{
	(void)state;
	struct scene *scene = create(2, (struct dns_config){.forward_timeout = 50 * NS_PER_MS});
	int fd = client(scene, SOCK_DGRAM);
	/* The first is silent. */
	ask_udp(fd, 1, FOREIGN);
	receive(scene, 0);
	struct received got = receive(scene, 1);
	answer(scene, 1, &got, 0);
	expect_bytes(scene, fd, false, GOOD("0001"));
	/* Who has answered is asked first now; it fails. */
	ask_udp(fd, 2, FOREIGN);
	got = receive(scene, 1);
	answer(scene, 1, &got, DNS_RCODE_SERVFAIL);
	got = receive(scene, 0);
	answer(scene, 0, &got, DNS_RCODE_NXDOMAIN);
	expect_rcode(scene, fd, 2, DNS_RCODE_NXDOMAIN);
	close(fd);
	destroy(scene);
}

static void what_nobody_answers_is_a_failure(void **state)
{
	(void)state;
	struct scene *scene = create(1, (struct dns_config){.forward_timeout = 50 * NS_PER_MS});
	int fd = client(scene, SOCK_DGRAM);
	uint8_t query[128];
	size_t size = bytes_read(
		HEAD_EDNS "03'www'05'other'03'net'00 0001 0001" OPT, query, sizeof(query));
	fixture_send(fd, query, size);
	for (int i = 0; i < 3; i++)
		receive(scene, 0);
	expect_bytes(scene, fd, false,
		"1234 8102 0001 0000 0000 0001 03'www'05'other'03'net'00 0001 0001 00 0029 04d0 "
		"00000000 0023 000f 001f 0016 'no upstream resolver answered'");
	assert_int_equal(counters(scene)->forward_failed, 1);
	/* Of a single upstream a failure is passed on as it is. */
	ask_udp(fd, 2, FOREIGN);
	struct received got = receive(scene, 0);
	answer(scene, 0, &got, DNS_RCODE_REFUSED);
	expect_rcode(scene, fd, 2, DNS_RCODE_REFUSED);
	/* A port where nobody listens is told by the network, and ends all three tries. */
	close(scene->upstreams[0].udp);
	ask_udp(fd, 3, FOREIGN);
	expect_rcode(scene, fd, 3, DNS_RCODE_SERVFAIL);
	scene->upstreams[0].udp = -1;
	close(fd);
	destroy(scene);
}

static void the_same_is_asked_once(void **state)
{
	(void)state;
	struct scene *scene = create(1, (struct dns_config){.forward_timeout = 60 * NS_PER_S});
	int a = client(scene, SOCK_DGRAM), b = client(scene, SOCK_DGRAM);
	ask_udp(a, 1, FOREIGN);
	struct received got = receive(scene, 0);
	ask_udp(b, 2, "WWW.other.NET");
	for (int i = 0; i < HANG_MS && counters(scene)->forwarded < 2; i++)
		fixture_turn(scene->fixture);
	answer(scene, 0, &got, 0);
	expect_bytes(scene, a, false, GOOD("0001"));
	expect_bytes(scene, b, false,
		"0002 8180 0001 0001 0000 0000 03'WWW'05'other'03'NET'00 0001 0001 c00c 0001 0001 "
		"00000005 0004 c0000207");
	struct pollfd more = {.fd = scene->upstreams[0].udp, .events = POLLIN};
	assert_int_equal(poll(&more, 1, 0), 0);
	close(a);
	close(b);
	destroy(scene);
}

static void loops_are_seen(void **state)
{
	(void)state;
	struct scene *scene = create(1, (struct dns_config){.forward_timeout = 60 * NS_PER_S});
	int fd = client(scene, SOCK_DGRAM), upstream = client(scene, SOCK_DGRAM);
	ask_udp(fd, 1, FOREIGN);
	struct received got = receive(scene, 0);
	/* An upstream that asks us, as it was asked. */
	fixture_send(upstream, got.bytes, got.size);
	expect_rcode(scene, upstream, wire_get16(got.bytes), DNS_RCODE_SERVFAIL);
	expect_rcode(scene, fd, 1, DNS_RCODE_SERVFAIL);
	assert_int_equal(counters(scene)->forward_loops, 1);
	close(fd);
	close(upstream);
	destroy(scene);
}

static void questions_are_bounded(void **state)
{
	(void)state;
	struct scene *scene = create(
		1, (struct dns_config){.forward_timeout = 60 * NS_PER_S, .max_forwarded = 2});
	int fd = client(scene, SOCK_DGRAM), tcp = client(scene, SOCK_STREAM);
	ask_udp(fd, 1, "one.net");
	fixture_ask_tcp(tcp, 2, "two.net", DNS_TYPE_A);
	receive(scene, 0);
	struct received got = receive(scene, 0);
	ask_udp(fd, 3, "three.net");
	expect_rcode(scene, fd, 3, DNS_RCODE_SERVFAIL);
	/* Who has gone is not answered, and all the others are. */
	close(tcp);
	for (int i = 0; i < 20; i++)
		fixture_turn(scene->fixture);
	answer(scene, 0, &got, 0);
	/* The server stops with a question under way. */
	destroy(scene);
	close(fd);
}

static void clients_may_be_refused(void **state)
{
	(void)state;
	struct scene *scene = create(1, (struct dns_config){0});
	const struct prefixes nobody = {.otherwise = false};
	int fd = client(scene, SOCK_DGRAM);
	uint8_t query[128];
	size_t size = bytes_read(
		HEAD_EDNS "03'www'05'other'03'net'00 0001 0001" OPT, query, sizeof(query));
	const struct dns_rules rules = {.forward_clients = &nobody}, none = {0};
	assert_int_equal(dns_use_rules(scene->fixture->server, NULL, &rules, NULL), 0);
	fixture_send(fd, query, size);
	expect_bytes(scene, fd, false,
		"1234 8105 0001 0000 0000 0001 03'www'05'other'03'net'00 0001 0001 00 0029 04d0 "
		"00000000 002e 000f 002a 0012 'no recursion for clients of this network'");
	assert_int_equal(dns_use_rules(scene->fixture->server, NULL, &none, NULL), 0);
	ask_udp(fd, 1, FOREIGN);
	expect_rcode(scene, fd, 1, DNS_RCODE_REFUSED);
	ask_udp(fd, 2, "nope.example.test");
	expect_rcode(scene, fd, 2, DNS_RCODE_NXDOMAIN);
	close(fd);
	destroy(scene);
}

static void this_server_is_no_upstream(void **state)
{
	(void)state;
	static const struct {
		const char *listen, *upstream, *message;
	} bad[] = {
		{"127.0.0.1@5399", "127.0.0.1@5399", "127.0.0.1 port 5399 is this server itself"},
		{"0.0.0.0@5399", "127.0.0.1@5399", "is this server itself"},
	};
	uv_loop_t loop;
	assert_int_equal(uv_loop_init(&loop), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sockaddr_storage listen, upstream;
		struct dns_server *server;
		struct error err = ERROR_INIT;
		assert_int_equal(ip_endpoint_parse(bad[i].listen, 0, &listen, NULL), 0);
		assert_int_equal(ip_endpoint_parse(bad[i].upstream, 0, &upstream, NULL), 0);
		const struct dns_config config = {.listen = &listen,
			.listen_count = 1,
			.upstreams = &upstream,
			.upstream_count = 1};
		assert_int_equal(dns_server_create(&loop, &config, answer_ask, NULL, &server, &err),
			-EINVAL);
		assert_non_null(strstr(err.message, bad[i].message));
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queries_are_passed_on),
		cmocka_unit_test(nothing_can_be_foreseen),
		cmocka_unit_test(forged_answers_are_not_taken),
		cmocka_unit_test(another_spelling_is_asked_over_tcp),
		cmocka_unit_test(what_is_cut_is_asked_over_tcp),
		cmocka_unit_test(another_upstream_is_tried),
		cmocka_unit_test(what_nobody_answers_is_a_failure),
		cmocka_unit_test(the_same_is_asked_once),
		cmocka_unit_test(loops_are_seen),
		cmocka_unit_test(questions_are_bounded),
		cmocka_unit_test(clients_may_be_refused),
		cmocka_unit_test(this_server_is_no_upstream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
