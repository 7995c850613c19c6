/* SPDX-License-Identifier: ISC */
#include "tests/dns/fixture.h"

/*
 * What RFC 8906 asks of a server, RFC 9619, 6891 and others, byte by byte over UDP and over TCP;
 * and that no answer is ever answered: fed back, each of them meets silence, so that two servers
 * cannot keep one another busy.
 */

#define WANTED_OPT(options) " 00 0029 04d0 00000000 " options
#define CLIENT_OPT(options) " 00 0029 1000 00000000 " options
#define DATA                " c00c 0001 0001 00000005 0004 0a4d0005"
#define NODATA              "1234 8500 0001 0000 0001 0000"

static const struct sample {
	const char *what, *query, *udp, *tcp; /* tcp NULL: the same; "": silence */
} samples[] = {
	{"a name that is there", HEAD WWW "0001 0001",
		"1234 8500 0001 0001 0000 0000" WWW "0001 0001" DATA, NULL},
	{"in any spelling", HEAD "03'wWW'07'EXAMPLE'04'test'00 0001 0001",
		"1234 8500 0001 0001 0000 0000 03'wWW'07'EXAMPLE'04'test'00 0001 0001" DATA, NULL},
	{"a type that it has not", HEAD WWW "000f 0001", NODATA WWW "000f 0001" SOA("10"), NULL},
	{"a type that nobody knows", HEAD WWW "03e8 0001", NODATA WWW "03e8 0001" SOA("10"), NULL},
	{"header bits of no meaning", "1234 07f0 0001 0000 0000 0000" WWW "0001 0001",
		"1234 8500 0001 0001 0000 0000" WWW "0001 0001" DATA, NULL},
	{"EDNS", HEAD_EDNS WWW "0001 0001" CLIENT_OPT("0000"),
		"1234 8500 0001 0001 0000 0001" WWW "0001 0001" DATA WANTED_OPT("0000"), NULL},
	{"EDNS flags that nobody knows", HEAD_EDNS WWW "0001 0001 00 0029 1000 00007fff 0000",
		"1234 8500 0001 0001 0000 0001" WWW "0001 0001" DATA WANTED_OPT("0000"), NULL},
	{"an EDNS option that nobody knows",
		HEAD_EDNS WWW "0001 0001" CLIENT_OPT("0006 fde9 0002 abcd"),
		"1234 8500 0001 0001 0000 0001" WWW "0001 0001" DATA WANTED_OPT("0000"), NULL},
	{"DO", HEAD_EDNS WWW "0001 0001 00 0029 1000 00008000 0000",
		"1234 8500 0001 0001 0000 0001" WWW "0001 0001" DATA " 00 0029 04d0 00008000 0000",
		NULL},
	{"EDNS version 1", HEAD_EDNS WWW "0001 0001 00 0029 1000 00010000 0000",
		"1234 8100 0001 0000 0000 0001" WWW "0001 0001 00 0029 04d0 01000000 0000", NULL},
	{"EDNS version 1 with DO and an option",
		HEAD_EDNS WWW "0001 0001 00 0029 1000 00018000 0004 fde9 0000",
		"1234 8100 0001 0000 0000 0001" WWW "0001 0001 00 0029 04d0 01008000 0000", NULL},
	{"NSID", HEAD_EDNS WWW "0001 0001" CLIENT_OPT("0004 0003 0000"),
		"1234 8500 0001 0001 0000 0001" WWW
		"0001 0001" DATA WANTED_OPT("0007 0003 0003 'ns1'"),
		NULL},
	{"keepalive, which is for TCP", HEAD_EDNS WWW "0001 0001" CLIENT_OPT("0004 000b 0000"),
		"1234 8500 0001 0001 0000 0001" WWW "0001 0001" DATA WANTED_OPT("0000"),
		"1234 8500 0001 0001 0000 0001" WWW
		"0001 0001" DATA WANTED_OPT("0006 000b 0002 0064")},
	{"an opcode that is not served", "1234 2900 0001 0000 0000 0000" WWW "0001 0001",
		"1234 a904 0000 0000 0000 0000", NULL},
	{"an opcode that nobody knows", "1234 7900 0000 0000 0000 0000",
		"1234 f904 0000 0000 0000 0000", NULL},
	{"no question", "1234 0100 0000 0000 0000 0001" CLIENT_OPT("0000"),
		"1234 8101 0000 0000 0000 0000", NULL},
	{"two questions", "1234 0100 0002 0000 0000 0000" WWW "0001 0001" WWW "001c 0001",
		"1234 8101 0000 0000 0000 0000", NULL},
	{"records in a query", "1234 0100 0001 0001 0000 0000" WWW "0001 0001" DATA,
		"1234 8101 0000 0000 0000 0000", NULL},
	{"an RCODE in a query", "1234 0102 0001 0000 0000 0000" WWW "0001 0001",
		"1234 8101 0000 0000 0000 0000", NULL},
	{"a pointer in the question", HEAD "03'www' c00c 0001 0001",
		"1234 8101 0000 0000 0000 0000", NULL},
	{"two OPT records",
		"1234 0100 0001 0000 0000 0002" WWW "0001 0001" CLIENT_OPT("0000")
			CLIENT_OPT("0000"),
		"1234 8101 0001 0000 0000 0000" WWW "0001 0001", NULL},
	{"an OPT with an owner", HEAD_EDNS WWW "0001 0001 01'x'" CLIENT_OPT("0000"),
		"1234 8101 0001 0000 0000 0000" WWW "0001 0001", NULL},
	{"an option that does not fit", HEAD_EDNS WWW "0001 0001" CLIENT_OPT("0004 fde9 0001"),
		"1234 8101 0001 0000 0000 0000" WWW "0001 0001", NULL},
	{"a byte too many", HEAD WWW "0001 0001 00",
		"1234 8101 0001 0000 0000 0000" WWW "0001 0001", NULL},
	{"a cookie of an impossible size",
		HEAD_EDNS WWW "0001 0001" CLIENT_OPT("0009 000a 0005 0102030405"),
		"1234 8101 0001 0000 0000 0000" WWW "0001 0001", NULL},
	{"class CH", HEAD "02'id'06'server'00 0010 0003",
		"1234 8500 0001 0001 0000 0000 02'id'06'server'00 0010 0003 c00c 0010 0003 "
		"00000000 "
		"0004 03'ns1'",
		NULL},
	{"class CH, and what is not told", HEAD "07'version'04'bind'00 0010 0003",
		"1234 8105 0001 0000 0000 0000 07'version'04'bind'00 0010 0003", NULL},
	{"another class", HEAD WWW "0001 00ff", "1234 8105 0001 0000 0000 0000" WWW "0001 00ff",
		NULL},
	{"a name in no zone", HEAD_EDNS "03'com'00 0001 0001" CLIENT_OPT("0000"),
		"1234 8105 0001 0000 0000 0001 03'com'00 0001 0001" WANTED_OPT(
			"0022 000f 001e 0014 'not in a zone of this server'"),
		NULL},
	{"an answer", "1234 8500 0001 0001 0000 0000" WWW "0001 0001" DATA, "", NULL},
	{"an answer of another opcode", "1234 a904 0000 0000 0000 0000", "", NULL},
	{"half a header", "1234 0100 0001", "", NULL},
	{"nothing but an id", "1234", "", NULL},
};

struct peer {
	struct fixture *fixture;
	int udp, tcp;
};

static void send_bytes(const struct peer *peer, bool tcp, const uint8_t *bytes, size_t size)
{
	uint8_t frame[2 + 1024];
	wire_put16(frame, (uint16_t)size);
	memcpy(frame + 2, bytes, size);
	if (tcp)
		fixture_send(peer->tcp, frame, 2 + size);
	else
		fixture_send(peer->udp, bytes, size);
}

static size_t receive_bytes(const struct peer *peer, bool tcp, uint8_t *out, size_t max)
{
	return tcp ? fixture_receive_frame(peer->fixture, peer->tcp, out, max)
		   : fixture_receive(peer->fixture, peer->udp, out, max);
}

/* Silence is known from the answer to the next query: answers keep their order here. */
static void expect_silence(const struct peer *peer, bool tcp)
{
	uint8_t query[64], answer[512];
	size_t size = bytes_query(query, 0x7777, "nope.test", DNS_TYPE_A);
	send_bytes(peer, tcp, query, size);
	assert_true(receive_bytes(peer, tcp, answer, sizeof(answer)) > DNS_HEADER_SIZE);
	assert_int_equal(wire_get16(answer), 0x7777);
}

static void check(const struct peer *peer, const struct sample *sample, bool tcp)
{
	const struct dns_counters *counters = dns_server_counters(peer->fixture->server);
	uint8_t query[512], wanted[512], got[1024];
	size_t size = bytes_read(sample->query, query, sizeof(query));
	size_t wanted_size =
		bytes_read(tcp && sample->tcp ? sample->tcp : sample->udp, wanted, sizeof(wanted));
	uint64_t dropped = counters->dropped;
	send_bytes(peer, tcp, query, size);
	if (wanted_size == 0) {
		expect_silence(peer, tcp);
		assert_int_equal(counters->dropped, dropped + 1);
		return;
	}
	size = receive_bytes(peer, tcp, got, sizeof(got));
	if (size != wanted_size || memcmp(got, wanted, size) != 0) {
		print_bytes("got ", got, size);
		print_bytes("want", wanted, wanted_size);
		fail_msg("%s, over %s", sample->what, tcp ? "TCP" : "UDP");
	}
	/* And back to the sender. */
	send_bytes(peer, tcp, got, size);
	expect_silence(peer, tcp);
	assert_int_equal(counters->dropped, dropped + 1);
}

static void run(bool tcp)
{
	const struct dns_config config = {.identity = "ns1"};
	struct peer peer = {.fixture = fixture_create("127.0.0.1", config)};
	peer.udp = fixture_connect(peer.fixture, "127.0.0.1", SOCK_DGRAM);
	peer.tcp = fixture_connect(peer.fixture, "127.0.0.1", SOCK_STREAM);
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
		check(&peer, &samples[i], tcp);
	close(peer.udp);
	close(peer.tcp);
	fixture_destroy(peer.fixture);
}

static void over_udp(void **state)
{
	(void)state;
	run(false);
}

static void over_tcp(void **state)
{
	(void)state;
	run(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(over_udp),
		cmocka_unit_test(over_tcp),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
