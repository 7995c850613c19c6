/* SPDX-License-Identifier: ISC */
#ifndef TESTS_DNS_BYTES_H
#define TESTS_DNS_BYTES_H

#include <assert.h>
#include <ctype.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Packets as a person reads them: hexadecimal digits in pairs, blanks, and text between single
 * quotes, as in "03'www'00 0001 0001". Writes at most `max` bytes and returns how many. */
static inline size_t bytes_read(const char *text, uint8_t *out, size_t max)
{
	size_t size = 0;
	while (*text) {
		if (*text == ' ') {
			text++;
			continue;
		}
		assert(size < max);
		if (*text == '\'') {
			for (text++; *text != '\''; text++) {
				assert(*text && size < max);
				out[size++] = (uint8_t)*text;
			}
			text++;
			continue;
		}
		assert(isxdigit((unsigned char)text[0]) && isxdigit((unsigned char)text[1]));
		char digits[3] = {text[0], text[1], '\0'};
		out[size++] = (uint8_t)strtoul(digits, NULL, 16);
		text += 2;
	}
	return size;
}

/* A query for a name in plain text, without EDNS. Returns its size. */
static inline size_t bytes_query(uint8_t *out, uint16_t id, const char *name, uint16_t type)
{
	const uint8_t header[12] = {(uint8_t)(id >> 8), (uint8_t)id, 0x01, 0, 0, 1};
	memcpy(out, header, sizeof(header));
	size_t size = sizeof(header);
	while (*name) {
		size_t length = strcspn(name, ".");
		out[size++] = (uint8_t)length;
		memcpy(out + size, name, length);
		size += length;
		name += length + (name[length] == '.');
	}
	const uint8_t tail[5] = {0, (uint8_t)(type >> 8), (uint8_t)type, 0, 1};
	memcpy(out + size, tail, sizeof(tail));
	return size + sizeof(tail);
}

#endif
