/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <string.h>

#include "launcher/link/packet.h"
#include "launcher/link/parking.h"
#include "tests/unit/packets.h"
#include "tests/unit/random.h"

static const int versions[] = {4, 6};
#define EACH_VERSION(v) for (size_t i_ = 0, v = 4; i_ < 2; i_++, v = 6)

static struct packet good(uint8_t *data, size_t length)
{
	struct packet packet;
	assert_int_equal(packet_parse(data, length, &packet), PACKET_FINE);
	return packet;
}

static void kinds_are_told(void **state)
{
	(void)state;
	uint8_t data[256];
	static const struct {
		uint8_t flags;
		enum packet_kind kind;
	} segments[] = {
		{TCP_SYN, PACKET_TCP_SYN},
		{TCP_SYN | 0xc0, PACKET_TCP_SYN}, /* with ECN, RFC 3168 */
		{TCP_SYN | TCP_ACK, PACKET_TCP_MORE},
		{TCP_ACK, PACKET_TCP_MORE},
		{TCP_ACK | 1, PACKET_TCP_MORE},
		{0, PACKET_TCP_MORE},
		{TCP_RST, PACKET_TCP_RESET},
		{TCP_RST | TCP_ACK, PACKET_TCP_RESET},
	};
	EACH_VERSION(v)
	{
		for (size_t i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
			size_t length = packet_tcp(data, (int)v, 443, segments[i].flags, 5);
			struct packet packet = good(data, length);
			assert_int_equal(packet.kind, segments[i].kind);
			assert_int_equal(packet.port, 443);
			assert_int_equal(packet.source_port, 40000);
			assert_int_equal(packet.sequence, 0x01020304);
			assert_int_equal(packet.acknowledgement, 0x0a0b0c0d);
			assert_int_equal(packet.length, length);
		}
		assert_int_equal(good(data, packet_udp(data, (int)v, 53, 9)).kind, PACKET_UDP);
		assert_int_equal(good(data, packet_ping(data, (int)v)).kind, PACKET_PING);
		size_t length = packet_ip(data, (int)v, 132, 4);
		assert_int_equal(good(data, length + 4).kind, PACKET_OTHER);
	}
}

/* What follows the length that the IP header says is no part of the packet. */
static void padding_is_cut(void **state)
{
	(void)state;
	uint8_t data[256];
	EACH_VERSION(v)
	{
		size_t length = packet_tcp(data, (int)v, 80, TCP_SYN, 0);
		struct packet packet = good(data, length + 6);
		assert_int_equal(packet.length, length);
		assert_int_equal(packet.segment_length, 1);
	}
}

static void expect(uint8_t *data, size_t length, enum packet_fault fault)
{
	struct packet packet = {.port = 12345};
	assert_int_equal(packet_parse(data, length, &packet), fault);
	assert_int_equal(packet.port, 12345);
}

static void no_prefix_of_a_packet_is_one(void **state)
{
	(void)state;
	uint8_t data[256], *exact;
	EACH_VERSION(v)
	{
		size_t length = packet_tcp(data, (int)v, 80, TCP_SYN, 0);
		for (size_t cut = 0; cut < length; cut++) {
			exact = malloc(cut ? cut : 1);
			memcpy(exact, data, cut);
			expect(exact, cut, PACKET_MALFORMED);
			free(exact);
		}
	}
}

static void contradictions_are_refused(void **state)
{
	(void)state;
	uint8_t data[256];
	static const struct {
		size_t at;
		uint8_t value;
	} wrong4[] = {
		{0, 0x44},  /* a header of 16 bytes */
		{0, 0x4f},  /* of 60, longer than the packet */
		{0, 0x55},  /* version 5 */
		{3, 19},    /* shorter than its header */
		{9, 58},    /* ICMPv6 over IPv4 */
		{32, 0x40}, /* a TCP header of 16 bytes */
		{32, 0xf0}, /* of 60 */
		{33, TCP_SYN | TCP_RST},
		{33, TCP_SYN | 1},
	};
	for (size_t i = 0; i < sizeof(wrong4) / sizeof(wrong4[0]); i++) {
		size_t length = packet_tcp(data, 4, 80, TCP_SYN, 0);
		data[wrong4[i].at] = wrong4[i].value;
		expect(data, length, PACKET_MALFORMED);
	}
	EACH_VERSION(v)
	{
		size_t length = packet_tcp(data, (int)v, 0, TCP_SYN, 0);
		expect(data, length, PACKET_MALFORMED);
		length = packet_udp(data, (int)v, 53, 4);
		data[length - 4 - 3] = 200; /* longer than the packet */
		expect(data, length, PACKET_MALFORMED);
		data[length - 4 - 3] = 7; /* shorter than its header */
		expect(data, length, PACKET_MALFORMED);
	}
	/* To itself. */
	size_t length = packet_tcp(data, 4, 80, TCP_SYN, 0);
	memcpy(data + 12, data + 16, 4);
	expect(data, length, PACKET_MALFORMED);
}

static void nobody_is_noise(void **state)
{
	(void)state;
	uint8_t data[256];
	static const uint8_t nobody4[][4] = {
		{0, 0, 0, 0}, {127, 0, 0, 1}, {224, 0, 0, 251}, {255, 255, 255, 255}};
	static const uint8_t nobody6[][16] = {{0}, {[15] = 1}, {0xff, 2, [15] = 0x16},
		{0xff, 2, [15] = 1}, {0xfe, 0x80, [15] = 1}, {0xfe, 0xbf, [15] = 1}};
	for (size_t end = 0; end < 2; end++) {
		for (size_t i = 0; i < 4; i++) {
			size_t length = packet_tcp(data, 4, 80, TCP_SYN, 0);
			memcpy(data + 12 + 4 * end, nobody4[i], 4);
			expect(data, length, PACKET_NOISE);
		}
		for (size_t i = 0; i < 6; i++) {
			size_t length = packet_tcp(data, 6, 80, TCP_SYN, 0);
			memcpy(data + 8 + 16 * end, nobody6[i], 16);
			expect(data, length, PACKET_NOISE);
		}
	}
}

/* An IPv6 packet whose TCP header is behind `count` extension headers of 8 bytes. */
static size_t extended(uint8_t *data, uint8_t first, unsigned count)
{
	uint8_t tcp[64];
	size_t length = packet_tcp(tcp, 6, 80, TCP_SYN, 0);
	size_t at = packet_ip(data, 6, count ? first : 6, length - 40 + 8 * count);
	for (unsigned i = 0; i < count; i++, at += 8) {
		memset(data + at, 0, 8);
		data[at] = i + 1 < count ? 60 : 6;
	}
	memcpy(data + at, tcp + 40, length - 40);
	return at + length - 40;
}

static void extension_headers_are_walked(void **state)
{
	(void)state;
	uint8_t data[256];
	for (unsigned count = 0; count <= 8; count++)
		assert_int_equal(good(data, extended(data, 0, count)).kind, PACKET_TCP_SYN);
	expect(data, extended(data, 0, 9), PACKET_MALFORMED);
	size_t length = extended(data, 43, 1);
	data[41] = 200; /* longer than the packet */
	expect(data, length, PACKET_MALFORMED);
}

static void fragments_are_told(void **state)
{
	(void)state;
	uint8_t data[256];
	size_t length = packet_udp(data, 4, 53, 8);
	data[4] = 7;
	data[5] = 9;
	data[6] = 0x20; /* more follow */
	struct packet packet = good(data, length);
	assert_int_equal(packet.kind, PACKET_UDP);
	assert_true(packet.more);
	assert_int_equal(packet.fragment_id, 0x0709);
	data[7] = 2; /* 16 bytes into the datagram */
	packet = good(data, length);
	assert_int_equal(packet.kind, PACKET_FRAGMENT);
	assert_int_equal(packet.port, 0);
	/* IPv6: the fragment header is an extension. */
	length = extended(data, 44, 1);
	data[40 + 3] = 1;
	data[40 + 7] = 5;
	packet = good(data, length);
	assert_int_equal(packet.kind, PACKET_TCP_SYN);
	assert_true(packet.more);
	assert_int_equal(packet.fragment_id, 5);
	data[40 + 3] = 8 | 1;
	packet = good(data, length);
	assert_int_equal(packet.kind, PACKET_FRAGMENT);
	assert_int_equal(packet.protocol, 6);
}

/* --- answers --- */

static uint32_t number(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* RFC 9293, 3.10.7.1. */
static void resets_are_right(void **state)
{
	(void)state;
	uint8_t data[256], out[PACKET_ANSWER_MAX];
	EACH_VERSION(v)
	{
		size_t header = v == 6 ? 40 : 20;
		struct packet syn = good(data, packet_tcp(data, (int)v, 80, TCP_SYN, 3));
		assert_int_equal(packet_answer(&syn, PACKET_ANSWER_RESET, out), header + 20);
		assert_int_equal(out[header + 13], TCP_RST | TCP_ACK);
		assert_int_equal(number(out + header + 4), 0);
		assert_int_equal(number(out + header + 8), 0x01020304 + 4);
		struct packet stray = good(data, packet_tcp(data, (int)v, 80, TCP_ACK, 3));
		assert_int_equal(packet_answer(&stray, PACKET_ANSWER_RESET, out), header + 20);
		assert_int_equal(out[header + 13], TCP_RST);
		assert_int_equal(number(out + header + 4), 0x0a0b0c0d);
		/* The answer is a packet the other way, and gets none itself. */
		struct packet reset = good(out, header + 20);
		assert_int_equal(reset.kind, PACKET_TCP_RESET);
		assert_true(ip_address_equal(&reset.source, &stray.destination));
		assert_true(ip_address_equal(&reset.destination, &stray.source));
		assert_int_equal(reset.port, 40000);
		assert_int_equal(reset.source_port, 80);
		uint8_t none[PACKET_ANSWER_MAX];
		assert_int_equal(packet_answer(&reset, PACKET_ANSWER_RESET, none), 0);
		assert_int_equal(packet_answer(&reset, PACKET_ANSWER_HOST, none), 0);
	}
}

static void errors_quote_and_end(void **state)
{
	(void)state;
	uint8_t data[2048], out[PACKET_ANSWER_MAX], none[PACKET_ANSWER_MAX];
	EACH_VERSION(v)
	{
		size_t header = v == 6 ? 40 : 20;
		size_t length = packet_udp(data, (int)v, 53, 4);
		struct packet udp = good(data, length);
		size_t size = packet_answer(&udp, PACKET_ANSWER_PORT, out);
		assert_int_equal(size, header + 8 + length);
		assert_int_equal(out[header], v == 6 ? 1 : 3);
		assert_int_equal(out[header + 1], v == 6 ? 4 : 3);
		assert_memory_equal(out + header + 8, data, length);
		struct packet error = good(out, size);
		assert_int_equal(error.kind, PACKET_OTHER);
		assert_int_equal(packet_answer(&error, PACKET_ANSWER_HOST, none), 0);
		assert_int_equal(packet_answer(&udp, PACKET_ANSWER_RESET, none), 0);
		struct packet large = good(data, packet_udp(data, (int)v, 53, 1900));
		size = packet_answer(&large, PACKET_ANSWER_HOST, out);
		assert_int_equal(size, v == 6 ? 1280 : 576);
		assert_int_equal(good(out, size).length, size);
	}
}

/* --- parking --- */

static struct parking parking_of(unsigned per_lot, unsigned packets, uint64_t bytes)
{
	return (struct parking){.limits = {per_lot, packets, bytes}};
}

static void order_is_kept(void **state)
{
	(void)state;
	uint8_t data[64];
	struct parking parking = parking_of(100, 100, 1 << 20);
	struct parking_lot lot = {0}, other = {0};
	for (uint16_t port = 1; port <= 50; port++) {
		struct packet packet = good(data, packet_udp(data, 4, port, 0));
		assert_int_equal(
			parking_add(&parking, port % 5 ? &lot : &other, &packet), PARKING_TAKEN);
	}
	memset(data, 0xee, sizeof(data)); /* what waits is a copy */
	for (uint16_t port = 1; port <= 50; port++) {
		struct parked *parked = parking_take(&parking, port % 5 ? &lot : &other);
		assert_int_equal(parked->packet.port, port);
		assert_int_equal(parked->packet.data[0], 0x45);
		free(parked);
	}
	assert_null(parking_take(&parking, &lot));
	assert_int_equal(parking.packets, 0);
	assert_int_equal(parking.bytes, 0);
}

static void bounds_hold(void **state)
{
	(void)state;
	uint8_t data[2048];
	struct parking parking = parking_of(3, 5, 1 << 20);
	struct parking_lot lots[3] = {{0}};
	struct packet packet = good(data, packet_udp(data, 4, 53, 1000));
	unsigned taken = 0;
	for (int i = 0; i < 12; i++)
		taken += parking_add(&parking, &lots[i % 3], &packet) == PARKING_TAKEN;
	assert_int_equal(taken, 5);
	assert_int_equal(parking_add(&parking, &lots[0], &packet), PARKING_FULL);
	for (int i = 0; i < 3; i++)
		parking_clear(&parking, &lots[i]);
	for (int i = 0; i < 4; i++)
		assert_int_equal(parking_add(&parking, &lots[0], &packet),
			i < 3 ? PARKING_TAKEN : PARKING_FULL);
	parking_clear(&parking, &lots[0]);
	/* By bytes, with what keeping costs. */
	parking = parking_of(100, 100, 2 * sizeof(struct parked) + 2 * packet.length);
	for (int i = 0; i < 3; i++)
		assert_int_equal(parking_add(&parking, &lots[0], &packet),
			i < 2 ? PARKING_TAKEN : PARKING_FULL);
	parking_clear(&parking, &lots[0]);
	assert_int_equal(parking.bytes, 0);
}

static void a_repeated_syn_waits_once(void **state)
{
	(void)state;
	uint8_t data[256];
	struct parking parking = parking_of(100, 100, 1 << 20);
	struct parking_lot lot = {0};
	struct packet syn = good(data, packet_tcp(data, 4, 80, TCP_SYN, 0));
	assert_int_equal(parking_add(&parking, &lot, &syn), PARKING_TAKEN);
	assert_int_equal(parking_add(&parking, &lot, &syn), PARKING_KNOWN);
	syn.sequence++; /* a new connection from the same port */
	assert_int_equal(parking_add(&parking, &lot, &syn), PARKING_TAKEN);
	struct packet datagram = good(data, packet_udp(data, 4, 80, 3));
	assert_int_equal(parking_add(&parking, &lot, &datagram), PARKING_TAKEN);
	assert_int_equal(parking_add(&parking, &lot, &datagram), PARKING_TAKEN);
	parking_clear(&parking, &lot);
}

static void pieces_follow_the_first(void **state)
{
	(void)state;
	uint8_t data[256];
	struct parking parking = parking_of(100, 100, 1 << 20);
	struct parking_lot lot = {0};
	size_t length = packet_udp(data, 4, 53, 8);
	data[5] = 9;
	data[6] = 0x20;
	struct packet first = good(data, length);
	data[7] = 2;
	struct packet piece = good(data, length);
	assert_int_equal(parking_add(&parking, &lot, &piece), PARKING_ALONE);
	assert_int_equal(parking_add(&parking, &lot, &first), PARKING_TAKEN);
	assert_int_equal(parking_add(&parking, &lot, &piece), PARKING_TAKEN);
	piece.fragment_id++;
	assert_int_equal(parking_add(&parking, &lot, &piece), PARKING_ALONE);
	parking_clear(&parking, &lot);
}

/* Whatever comes, what is read of it lies within it, and so does every answer. */
static void rubbish_does_no_harm(void **state)
{
	(void)state;
	struct random random = {1};
	for (int round = 0; round < 200000; round++) {
		uint8_t data[128], out[PACKET_ANSWER_MAX];
		int version = versions[round % 2];
		size_t length = round % 3 == 0   ? packet_tcp(data, version, 80, TCP_SYN, 7)
				: round % 3 == 1 ? packet_udp(data, version, 53, 9)
						 : packet_ping(data, version);
		for (uint64_t i = random_below(&random, 6); i > 0; i--)
			data[random_below(&random, length)] = (uint8_t)random_next(&random);
		size_t cut = random_below(&random, length + 1);
		uint8_t *exact = malloc(cut ? cut : 1);
		struct packet packet;
		memcpy(exact, data, cut);
		if (packet_parse(exact, cut, &packet) == PACKET_FINE) {
			assert_true(packet.data == exact && packet.length <= cut);
			for (int a = PACKET_ANSWER_RESET; a <= PACKET_ANSWER_PROHIBITED; a++)
				assert_true(packet_answer(&packet, (enum packet_answer)a, out) <=
					    sizeof(out));
		}
		free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_are_told),
		cmocka_unit_test(padding_is_cut),
		cmocka_unit_test(no_prefix_of_a_packet_is_one),
		cmocka_unit_test(contradictions_are_refused),
		cmocka_unit_test(nobody_is_noise),
		cmocka_unit_test(extension_headers_are_walked),
		cmocka_unit_test(fragments_are_told),
		cmocka_unit_test(resets_are_right),
		cmocka_unit_test(errors_quote_and_end),
		cmocka_unit_test(order_is_kept),
		cmocka_unit_test(bounds_hold),
		cmocka_unit_test(a_repeated_syn_waits_once),
		cmocka_unit_test(pieces_follow_the_first),
		cmocka_unit_test(rubbish_does_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
