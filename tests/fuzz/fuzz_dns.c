/* SPDX-License-Identifier: ISC */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ldns/ldns.h>

#include "base/units.h"
#include "dns/respond.h"
#include "dns/transfer.h"
#include "dns/wire.h"
#include "tests/fuzz/cost.h"
#include "tests/fuzz/judge.h"

/*
 * From the bytes of a query to those of its answer. The first byte says how the daemon replies, over
 * what the query came, and whether it is signed with a key of ours (with the time in it, no input can
 * be); the rest is the packet. What must hold for every input is checked, and
 * ldns reads along: as a second opinion on what was asked, and as the client on what was answered.
 */
#define MODE_REPLY    0x03
#define MODE_TCP      0x04
#define MODE_EXPLAIN  0x08
#define MODE_NO_WAIT  0x10
#define MODE_NO_ZONES 0x20
#define MODE_SIGNED   0x40
#define MODE_TSIG     0x80

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct scene {
	struct responder responder;
	struct dns_query_id id;
	uint8_t mode;
	bool asked;
	size_t tsig;                /* where the signature begins that was appended; 0: none */
	uint8_t mac[TSIG_MAC_SIZE]; /* of it */
};

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "does not hold: %s\n", what);
	abort();
}

static enum dns_reply reply_of_mode(uint8_t mode)
{
	static const enum dns_reply replies[] = {
		DNS_REPLY_ADDRESS, DNS_REPLY_SERVFAIL, DNS_REPLY_REFUSED, DNS_REPLY_LATER};
	return replies[mode & MODE_REPLY];
}

static enum dns_reply answer_ask(void *ctx, const struct dns_ask *ask, struct dns_ede *ede)
{
	struct scene *scene = ctx;
	must(ask->qtype == DNS_TYPE_A || ask->qtype == DNS_TYPE_AAAA ||
			(ask->qtype == DNS_TYPE_HTTPS && ask->service == 7),
		"only what wakes is asked");
	must(ask->service == 7 || ask->service == 8, "only services are asked");
	scene->asked = true;
	scene->id = ask->id;
	if (scene->mode & MODE_EXPLAIN) {
		if (ask->service == 7)
			*ask->answer_as = 9;
		ede->present = true;
		ede->code = 22;
		memset(ede->text, 'x', sizeof(ede->text) - 1);
	}
	return reply_of_mode(scene->mode);
}

static void use_zones(struct scene *scene)
{
	static const struct dns_name_server servers[] = {
		{"ns1", {AF_INET, {192, 0, 2, 1}}, {AF_INET6, {0xfd, [15] = 1}}},
		{"ns.other.net.", {0}, {0}},
	};
	static const char *const keys[] = {"key"};
	struct dns_zone_config zones[] = {
		{.origin = "example.test", .servers = servers, .server_count = 2, .ttl = 60},
		{.origin = "test", .servers = servers, .server_count = 2, .ttl = 30},
	};
	zones[0].transfer = zones[1].transfer = keys;
	zones[0].transfer_count = zones[1].transfer_count = 1;
	struct dns_key *key = NULL;
	if (scene->mode & MODE_SIGNED) {
		must(dns_key_create(&key, NULL) == 0, "a key");
		dns_key_set_active(key, true, 1);
		zones[0].keys = &key;
		zones[0].key_count = 1;
	}
	must(names_set_zones(&scene->responder.names, zones, 2, NULL) == 0, "zones");
	if (key)
		dns_key_release(key);
}

static const struct dns_tsig_key tsig_key = {
	.name = "key", .secret = "0123456789abcdef", .secret_size = 16};

/* Appends a good signature to the packet, as far as it is one. */
static size_t sign(struct scene *scene, uint8_t *bytes, size_t size)
{
	struct tsig tsig = {.name = "\3key", .name_size = 5, .secret_size = 16, .first = true};
	if (!(scene->mode & MODE_TSIG) || size < DNS_HEADER_SIZE || size > UINT16_MAX ||
		wire_get16(bytes + 10) == UINT16_MAX)
		return size;
	memcpy(tsig.secret, tsig_key.secret, 16);
	scene->tsig = size;
	size = tsig_sign(&tsig, bytes, size, clock_real() / NS_PER_S);
	memcpy(scene->mac, tsig.mac, TSIG_MAC_SIZE);
	return size;
}

/* Whether ldns, as the client, takes the answer's signature for good. */
static bool is_signed_right(
	const struct scene *scene, ldns_pkt *packet, const uint8_t *out, size_t size)
{
	uint8_t data[2 + TSIG_MAC_SIZE] = {0, TSIG_MAC_SIZE};
	memcpy(data + 2, scene->mac, TSIG_MAC_SIZE);
	ldns_rdf *mac = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_INT16_DATA, sizeof(data), data);
	bool good = ldns_pkt_tsig(packet) && ldns_pkt_tsig_verify(packet, out, size, "key.",
						     "MDEyMzQ1Njc4OWFiY2RlZg==", mac);
	ldns_rdf_deep_free(mac);
	return good;
}

static void set_up(struct scene *scene)
{
	static const struct ip_address v4 = {AF_INET, {10, 0, 0, 1}};
	static const struct ip_address v6 = {AF_INET6, {0xfd, [15] = 2}};
	struct names *names = &scene->responder.names;
	static const struct dns_config config = {
		.max_waiting = 2, .identity = "ns1", .version = "1"};
	must(responder_init(&scene->responder, &config, answer_ask, scene, NULL) == 0,
		"there is memory");
	must(tsig_keys_init(&names->tsig_keys, &tsig_key, 1, NULL) == 0, "a key for signatures");
	must(names_put_service(names, 7, "www.example.test",
		     (const struct ip_address[]){v4, {AF_INET, {10, 0, 0, 2}}}, 2, 5, NULL) == 0,
		"put");
	must(names_set_service_https(names, 7, "alpn=h2", 5, NULL) == 0, "HTTPS");
	must(names_put_instance(names, 9, 7, &v6, 1, 5, NULL) == 0, "another machine");
	must(names_put_service(
		     names, 8, "a.b.c.test", (const struct ip_address[]){v4, v6}, 2, 5, NULL) == 0,
		"put");
	if (!(scene->mode & MODE_NO_ZONES))
		use_zones(scene);
}

/* The RCODE of the reader is answered, but for signatures that are none. */
static bool is_right_rcode(
	const struct scene *scene, const struct query *query, int verdict, int rcode)
{
	bool forged = query->tsig > 0 && query->tsig != scene->tsig;
	return rcode == (verdict & 0x0f) ||
	       (forged && (rcode == DNS_RCODE_NOTAUTH || rcode == DNS_RCODE_FORMERR));
}

/* A message of a transfer, or the word that there is none: over TCP, or IXFR over UDP, which is no query
 * to the reader of packets. */
static void check_transfer(
	const struct scene *scene, const uint8_t *bytes, const uint8_t *out, size_t size)
{
	const int rcode = out[3] & 0x0f;
	ldns_pkt *packet = NULL;
	must(size <= (scene->mode & MODE_TCP ? RESPOND_MAX_TCP : ANSWER_MAX_UDP),
		"the answer keeps its limit");
	must(ldns_wire2pkt(&packet, out, size) == LDNS_STATUS_OK, "ldns reads the answer");
	must(ldns_pkt_qr(packet) && ldns_pkt_id(packet) == wire_get16(bytes), "it is the answer");
	must(rcode == DNS_RCODE_REFUSED || rcode == DNS_RCODE_NOTAUTH ||
			rcode == DNS_RCODE_FORMERR || (rcode == 0 && scene->tsig > 0),
		"a transfer, or why not");
	must(ldns_pkt_ancount(packet) == 0 || (scene->tsig > 0 && ldns_pkt_tsig(packet)),
		"nothing is given away");
	must(ldns_pkt_size(packet) == size, "nothing behind the answer");
	ldns_pkt_free(packet);
}

/* `asked`: the size of the query. */
static void check_answer(const struct scene *scene, const struct query *query, int verdict,
	size_t asked, const uint8_t *out, size_t size)
{
	ldns_pkt *packet = NULL;
	size_t limit = answer_limit(query, scene->mode & MODE_TCP);
	/* A signature has to fit. */
	if (query->tsig > 0 && scene->mode & MODE_TCP)
		limit += TSIG_MAX_SIZE;
	else if (query->tsig > 0 && asked > limit)
		limit = asked;
	must(size <= limit, "the answer keeps its limit");
	must(ldns_wire2pkt(&packet, out, size) == LDNS_STATUS_OK, "ldns reads the answer");
	must(ldns_pkt_qr(packet) && !ldns_pkt_ra(packet), "QR and no RA");
	must(ldns_pkt_id(packet) == query->id, "the id comes back");
	must(out[2] << 8 >> 11 == (query->flags | DNS_FLAG_QR) >> 3, "the opcode comes back");
	must(ldns_pkt_rd(packet) == (query->flags & DNS_FLAG_RD), "RD comes back");
	must(query->question_size == 0 ||
			memcmp(out + DNS_HEADER_SIZE, query->question, query->question_size) == 0,
		"the question comes back byte for byte");
	must(ldns_pkt_edns(packet) == query->edns, "EDNS for EDNS");
	bool special = query->qclass == DNS_CLASS_CH && verdict == DNS_RCODE_REFUSED;
	must(verdict == 0 || special ||
			(ldns_pkt_ancount(packet) == 0 && ldns_pkt_nscount(packet) == 0),
		"no records for what is no query");
	must(verdict == 0 || special || is_right_rcode(scene, query, verdict, out[3] & 0x0f),
		"the RCODE of the reader");
	must((ldns_pkt_tsig(packet) != NULL) <= (query->tsig > 0), "signed where asked so");
	must(query->tsig == 0 || query->tsig != scene->tsig ||
			is_signed_right(scene, packet, out, size),
		"a good signature for a good one");
	/* A whole answer has no byte that is no record. */
	must(ldns_pkt_size(packet) == size, "nothing behind the answer");
	ldns_pkt_free(packet);
}

/* All of a transfer over TCP. */
static void run_transfer(struct scene *scene, const struct request *request, uint8_t *out)
{
	struct transfer *transfer = NULL;
	bool more = true;
	size_t size = transfer_begin(&scene->responder, request, &transfer, out);
	must(size > 0, "an answer");
	check_transfer(scene, request->bytes, out, size);
	for (int i = 0; transfer && more; i++) {
		size = transfer_next(transfer, out, &more);
		must(size > 0 && i < 10, "a small zone ends");
		check_transfer(scene, request->bytes, out, size);
	}
	transfer_destroy(transfer);
}

static void run(struct scene *scene, const uint8_t *bytes, size_t size)
{
	static struct tcp_connection *const some = (struct tcp_connection *)(uintptr_t)8;
	const struct client client = {.tcp = scene->mode & MODE_TCP ? some : NULL};
	struct request request = {
		.client = &client,
		.bytes = bytes,
		.size = size,
		.may_wait = !(scene->mode & MODE_NO_WAIT),
	};
	struct query query = {0};
	uint8_t *out = malloc(client.tcp ? RESPOND_MAX_TCP : ANSWER_MAX_UDP);
	must(out != NULL, "there is memory");
	if (client.tcp && transfer_asked(bytes, size)) {
		run_transfer(scene, &request, out);
		free(out);
		return;
	}
	int verdict = packet_read(bytes, size, &query);
	/* What we take for an ordinary query must be that to another reader too, and mean the
	 * same. What a signature consists of is judged later. */
	if (verdict == 0 && (query.tsig == 0 || query.tsig == scene->tsig))
		must(!judge_query(bytes, size, &query), "ldns reads the same query");
	struct cost before = cost_now();
	size_t answer = respond(&scene->responder, &request, out);
	cost_note(before);
	struct waiting_query *entry = waiting_find(&scene->responder.waiting, scene->id);
	must((answer == 0) == (verdict == PACKET_DROP || entry), "dropped, put off or answered");
	must(!scene->asked || verdict == 0, "only ordinary queries are asked");
	if (entry) {
		const struct late_answer late = {.reply = scene->mode & 1};
		answer = respond_later(&scene->responder, entry, &late,
			answer_limit(&entry->query, client.tcp), out);
		waiting_release(&scene->responder.waiting, entry);
	}
	if (answer > 0 && verdict == DNS_RCODE_FORMERR && !client.tcp &&
		transfer_asked(bytes, size) == DNS_TYPE_IXFR)
		check_transfer(scene, bytes, out, answer);
	else if (answer > 0)
		check_answer(scene, &query, verdict, size, out, answer);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct scene scene = {.mode = data[0]};
	/* Of its exact size, so that a read beyond it is seen. */
	uint8_t *bytes = malloc(size - 1 + TSIG_MAX_SIZE);
	set_up(&scene);
	must(bytes != NULL, "there is memory");
	memcpy(bytes, data + 1, size - 1);
	size_t whole = sign(&scene, bytes, size - 1);
	uint8_t *exact = whole > 0 ? realloc(bytes, whole) : bytes;
	must(exact != NULL, "there is memory");
	run(&scene, exact, whole);
	free(exact);
	responder_finish(&scene.responder);
	return 0;
}
