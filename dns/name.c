/* SPDX-License-Identifier: ISC */
#include "dns/name.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dns/dns.h"

/* FNV-1a. The names in the table are the operator's, so that nobody can fill one bucket from
 * outside; a query only ever walks the bucket it hits. */
#define HASH_BASIS 0xcbf29ce484222325u
#define HASH_PRIME 0x100000001b3u

size_t name_measure(const uint8_t *bytes, size_t size)
{
	size_t at = 0;
	while (at < size && at < NAME_MAX_SIZE) {
		uint8_t length = bytes[at];
		if (length == 0)
			return at + 1;
		if (length > NAME_MAX_LABEL)
			return 0;
		at += 1u + length;
	}
	return 0;
}

static uint8_t lower(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

void name_fold(const uint8_t *wire, struct name *out)
{
	unsigned label = 0;
	size_t at = 0;
	while (wire[at] != 0) {
		size_t end = at + 1 + wire[at];
		uint64_t hash = HASH_BASIS;
		out->offset[label] = (uint8_t)at;
		/* A length is at most 63, below 'A': it may be folded like a letter. */
		for (; at < end; at++) {
			out->bytes[at] = lower(wire[at]);
			hash = (hash ^ out->bytes[at]) * HASH_PRIME;
		}
		out->hash[label++] = hash;
	}
	out->bytes[at] = 0;
	out->offset[label] = (uint8_t)at;
	out->hash[label] = HASH_BASIS;
	out->size = (uint8_t)(at + 1);
	out->labels = (uint8_t)label;
	for (; label > 0; label--) {
		uint64_t behind = out->hash[label];
		uint64_t mixed = (behind << 23 | behind >> 41) ^ out->hash[label - 1];
		out->hash[label - 1] = (mixed ^ mixed >> 29) * HASH_PRIME;
	}
}

static bool is_host_letter(char letter)
{
	return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
	       (letter >= '0' && letter <= '9') || letter == '-' || letter == '_';
}

static int label_check(const char *text, const char *label, size_t length, struct error *err)
{
	for (size_t i = 0; i < length; i++)
		if (!is_host_letter(label[i]))
			return error_set(err, -EINVAL,
				"'%.60s' is not a host name: byte 0x%02x at %zu is none of "
				"letters, "
				"digits, '-' and '_'",
				text, (unsigned char)label[i], (size_t)(label - text) + i);
	if (length == 0)
		return error_set(
			err, -EINVAL, "'%.60s' is not a host name: it has an empty label", text);
	if (length > NAME_MAX_LABEL)
		return error_set(err, -EINVAL,
			"'%.60s' is not a host name: a label has %zu letters, at most %u are "
			"allowed",
			text, length, NAME_MAX_LABEL);
	return 0;
}

int name_parse(const char *text, struct name *out, struct error *err)
{
	uint8_t wire[NAME_MAX_SIZE];
	size_t length = strlen(text), size = 0;
	if (length > 0 && text[length - 1] == '.')
		length--;
	if (length == 0)
		return error_set(err, -EINVAL, "'%.60s' is not a host name: it is empty", text);
	if (length > NAME_MAX_SIZE - 2)
		return error_set(err, -EINVAL,
			"'%.60s...' is not a host name: it has %zu letters, at most %u are allowed",
			text, length, NAME_MAX_SIZE - 2);
	for (const char *label = text, *end = text + length; label <= end;) {
		const char *dot = memchr(label, '.', (size_t)(end - label));
		size_t label_length = (size_t)((dot ? dot : end) - label);
		int rc = label_check(text, label, label_length, err);
		if (rc < 0)
			return rc;
		wire[size++] = (uint8_t)label_length;
		memcpy(wire + size, label, label_length);
		size += label_length;
		label += label_length + 1;
	}
	wire[size] = 0;
	name_fold(wire, out);
	return 0;
}

const char *name_print(const struct name *name, char text[254])
{
	size_t length = 0;
	for (size_t at = 0; name->bytes[at] != 0; at += 1u + name->bytes[at]) {
		if (length > 0)
			text[length++] = '.';
		memcpy(text + length, name->bytes + at + 1, name->bytes[at]);
		length += name->bytes[at];
	}
	text[length] = '\0';
	return text;
}

void name_reverse(const struct ip_address *address, struct name *out)
{
	char text[80];
	size_t length = 0;
	if (address->family == AF_INET) {
		for (int i = 3; i >= 0; i--)
			length += (size_t)sprintf(text + length, "%u.", address->bytes[i]);
		memcpy(text + length, "in-addr.arpa", sizeof("in-addr.arpa"));
	} else {
		for (int i = 15; i >= 0; i--)
			length += (size_t)sprintf(text + length, "%x.%x.", address->bytes[i] & 15,
				address->bytes[i] >> 4);
		memcpy(text + length, "ip6.arpa", sizeof("ip6.arpa"));
	}
	name_parse(text, out, NULL);
}

const char *name_print_wire(const uint8_t *wire, char text[NAME_TEXT])
{
	char *out = text;
	if (wire[0] == 0)
		*out++ = '.';
	for (; wire[0] != 0; wire += 1u + wire[0]) {
		for (unsigned i = 1; i <= wire[0]; i++) {
			if (is_host_letter((char)wire[i]) || (wire[i] == '*' && wire[0] == 1))
				*out++ = (char)wire[i];
			else
				out += sprintf(out, "\\%03u", wire[i]);
		}
		*out++ = '.';
	}
	*out = '\0';
	return text;
}

_Static_assert(DNS_QUESTION_TEXT >= NAME_TEXT, "any name fits");

const char *dns_question_text(const uint8_t *question, char text[DNS_QUESTION_TEXT])
{
	struct name name;
	name_fold(question, &name);
	name_print_wire(name.bytes, text);
	size_t length = strlen(text);
	if (length > 1)
		text[length - 1] = '\0';
	return text;
}

/* Where the labels of a name begin; returns how many there are. */
static unsigned find_labels(const uint8_t *wire, uint8_t offset[NAME_MAX_LABELS])
{
	unsigned labels = 0;
	for (size_t at = 0; wire[at] != 0; at += 1u + wire[at])
		offset[labels++] = (uint8_t)at;
	return labels;
}

int name_compare(const uint8_t *a, const uint8_t *b)
{
	uint8_t a_offset[NAME_MAX_LABELS], b_offset[NAME_MAX_LABELS];
	unsigned i = find_labels(a, a_offset), k = find_labels(b, b_offset);
	while (i > 0 && k > 0) {
		const uint8_t *left = a + a_offset[--i], *right = b + b_offset[--k];
		uint8_t least = left[0] < right[0] ? left[0] : right[0];
		int order = memcmp(left + 1, right + 1, least);
		if (order == 0)
			order = left[0] - right[0];
		if (order != 0)
			return order;
	}
	return (int)i - (int)k;
}

bool name_within(const struct name *name, const struct name *ancestor)
{
	if (name->labels < ancestor->labels)
		return false;
	size_t at = name->offset[name->labels - ancestor->labels];
	return name->size - at == ancestor->size &&
	       memcmp(name->bytes + at, ancestor->bytes, ancestor->size) == 0;
}

int dns_name_canonical(const char *text, char out[254], struct error *err)
{
	struct name name;
	int rc = name_parse(text, &name, err);
	if (rc < 0)
		return rc;
	name_print(&name, out);
	return 0;
}
