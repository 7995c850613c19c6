/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_PACKETS_H
#define TESTS_UNIT_PACKETS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Packets for tests, from 192.0.2.9 or 2001:db8::9 to 10.77.0.5 or fd77::5; checksums are left
 * out, as nothing that is tested with these looks at them. */

#define TCP_SYN 2
#define TCP_RST 4
#define TCP_ACK 16

static inline size_t packet_ip(uint8_t *out, int version, uint8_t protocol, size_t payload)
{
	static const uint8_t from4[] = {192, 0, 2, 9}, to4[] = {10, 77, 0, 5};
	static const uint8_t from6[] = {0x20, 0x01, 0x0d, 0xb8, [15] = 9};
	static const uint8_t to6[] = {0xfd, 0x77, [15] = 5};
	if (version == 6) {
		memset(out, 0, 40);
		out[0] = 0x60;
		out[4] = (uint8_t)(payload >> 8);
		out[5] = (uint8_t)payload;
		out[6] = protocol;
		out[7] = 64;
		memcpy(out + 8, from6, 16);
		memcpy(out + 24, to6, 16);
		return 40;
	}
	memset(out, 0, 20);
	out[0] = 0x45;
	out[2] = (uint8_t)((20 + payload) >> 8);
	out[3] = (uint8_t)(20 + payload);
	out[8] = 64;
	out[9] = protocol;
	memcpy(out + 12, from4, 4);
	memcpy(out + 16, to4, 4);
	return 20;
}

/* From port 40000. The sequence number is 0x01020304, the acknowledged one 0x0a0b0c0d. */
static inline size_t packet_tcp(
	uint8_t *out, int version, uint16_t port, uint8_t flags, size_t data)
{
	static const uint8_t fields[] = {0x9c, 0x40, 0, 0, 1, 2, 3, 4, 10, 11, 12, 13, 0x50, 0};
	size_t at = packet_ip(out, version, 6, 20 + data);
	memset(out + at, 0, 20 + data);
	memcpy(out + at, fields, sizeof(fields));
	out[at + 2] = (uint8_t)(port >> 8);
	out[at + 3] = (uint8_t)port;
	out[at + 13] = flags;
	return at + 20 + data;
}

static inline size_t packet_udp(uint8_t *out, int version, uint16_t port, size_t data)
{
	size_t at = packet_ip(out, version, 17, 8 + data);
	memset(out + at, 0, 8 + data);
	out[at] = 0x9c;
	out[at + 1] = 0x40;
	out[at + 2] = (uint8_t)(port >> 8);
	out[at + 3] = (uint8_t)port;
	out[at + 4] = (uint8_t)((8 + data) >> 8);
	out[at + 5] = (uint8_t)(8 + data);
	return at + 8 + data;
}

static inline size_t packet_ping(uint8_t *out, int version)
{
	size_t at = packet_ip(out, version, version == 6 ? 58 : 1, 8);
	memset(out + at, 0, 8);
	out[at] = version == 6 ? 128 : 8;
	return at + 8;
}

#endif
