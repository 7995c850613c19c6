/* SPDX-License-Identifier: ISC */
#include "dns/https.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ldns/ldns.h>

#include "base/cleanup.h"
#include "dns/dns.h"
#include "dns/wire.h"

#define FIXED               3 /* priority 1 and the root, which means the owner */
#define KEY_MANDATORY       0 /* section 14.3.2 */
#define KEY_ALPN            1
#define KEY_NO_DEFAULT_ALPN 2
#define KEY_PORT            3
#define KEY_IPV4            4
#define KEY_IPV6            6
#define KEY_DOHPATH         7 /* RFC 9461 section 5: of DNS servers */
#define KEY_INVALID         65535
#define TEXT_MAX            255
#define PARAMETERS          "write parameters as in zone files (RFC 9460), as in alpn=h2,h3 port=8443"

CLEANUP_DEFINE(free_rr, ldns_rr *, ldns_rr_free)
CLEANUP_DEFINE(free_list_buffer, ldns_buffer *, ldns_buffer_free)

/* Letters that are no parameters to the reader of zone files. */
static bool is_plain(const char *text)
{
	for (const char *at = text; *at; at++)
		if (*at < ' ' || *at > '~' || strchr(";()$@", *at))
			return false;
	return *text && strlen(text) <= TEXT_MAX;
}

/* `data` is of which each parameter lies within. */
static bool has_key(const uint8_t *data, size_t size, uint16_t key)
{
	for (size_t at = FIXED; at + 4 <= size; at += 4u + wire_get16(data + at + 2))
		if (wire_get16(data + at) == key)
			return true;
	return false;
}

/* Section 8: keys that are there, in ascending order, each once, and not this one. */
static bool is_right_mandatory(
	const uint8_t *data, size_t data_size, const uint8_t *value, size_t size)
{
	uint16_t last = KEY_MANDATORY;
	for (size_t at = 0; at + 2 <= size; at += 2) {
		const uint16_t key = wire_get16(value + at);
		if (key <= last || !has_key(data, data_size, key))
			return false;
		last = key;
	}
	return size > 0 && size % 2 == 0;
}

/* The reader of zone files takes any number, modulo 65536. */
static bool is_right_port(const char *text, unsigned port)
{
	const char *at = strstr(text, "port=");
	if (!at)
		return false;
	at += at[5] == '"' ? 6 : 5;
	return port > 0 && *at >= '0' && *at <= '9' && strtoul(at, NULL, 10) == port;
}

/* What the reader of zone files lets pass: section 2.2 has keys in ascending order, each once; section 7
 * says what their values are. Whoever reads a wrong one takes the whole answer for malformed. */
static bool is_right_value(
	const char *text, uint16_t key, const uint8_t *value, size_t size, bool has_alpn)
{
	size_t at = 0;
	switch (key) {
	case KEY_ALPN:
		while (at < size && value[at] > 0)
			at += 1u + value[at];
		return size > 0 && at == size;
	case KEY_NO_DEFAULT_ALPN:
		return size == 0 && has_alpn;
	case KEY_PORT:
		return size == 2 && is_right_port(text, wire_get16(value));
	case KEY_DOHPATH:
	case KEY_INVALID:
		return false;
	default:
		return true;
	}
}

/* NULL, or what is wrong. Addresses in the place of those that a client is given are not known here: it
 * may have a machine of its own. They come with the answer. */
static const char *find_fault(const char *text, const uint8_t *data, size_t size)
{
	bool has_alpn = false;
	int last = -1;
	for (size_t at = FIXED; at + 4 <= size; at += 4u + wire_get16(data + at + 2)) {
		const uint16_t key = wire_get16(data + at), length = wire_get16(data + at + 2);
		if (key == KEY_IPV4 || key == KEY_IPV6)
			return "leave out ipv4hint and ipv6hint: the addresses come with the "
			       "answer";
		has_alpn = has_alpn || key == KEY_ALPN;
		if (key <= last || length > size - at - 4 ||
			!is_right_value(text, key, data + at + 4, length, has_alpn))
			return PARAMETERS;
		last = key;
	}
	if (has_key(data, size, KEY_MANDATORY) &&
		!is_right_mandatory(data, size, data + FIXED + 4, wire_get16(data + FIXED + 2)))
		return "mandatory= names other parameters that are there, each once";
	return NULL;
}

static int read_parameters(
	const char *parameters, ldns_buffer *buffer, const uint8_t **data, struct error *err)
{
	CLEANUP(free_rr) ldns_rr *rr = NULL;
	char text[TEXT_MAX + 40];
	if (!is_plain(parameters))
		return error_set(err, -EINVAL, PARAMETERS);
	snprintf(text, sizeof(text), "x. 0 IN HTTPS 1 . %s", parameters);
	ldns_status status = ldns_rr_new_frm_str(&rr, text, 0, NULL, NULL);
	if (status == LDNS_STATUS_OK)
		status = ldns_rr2buffer_wire(buffer, rr, LDNS_SECTION_ANSWER);
	if (status != LDNS_STATUS_OK)
		return error_set(err, status == LDNS_STATUS_MEM_ERR ? -ENOMEM : -EINVAL,
			"%s: " PARAMETERS, ldns_get_errorstr_by_id(status));
	const uint8_t *wire = ldns_buffer_begin(buffer);
	const size_t head = 3 + 10, size = ldns_buffer_position(buffer);
	if (size < head + FIXED || ldns_rr_get_type(rr) != LDNS_RR_TYPE_HTTPS)
		return error_set(err, -EINVAL, PARAMETERS);
	*data = wire + head;
	const char *fault = find_fault(parameters, *data, size - head);
	return fault ? error_set(err, -EINVAL, "%s", fault) : (int)(size - head);
}

int https_compile(const char *parameters, uint32_t ttl, struct block **out, struct error *err)
{
	CLEANUP(free_list_buffer) ldns_buffer *buffer = ldns_buffer_new(512);
	struct block_builder builder;
	const uint8_t *bytes = NULL;
	if (!buffer)
		return error_set(err, -ENOMEM, "out of memory");
	int size = read_parameters(parameters, buffer, &bytes, err);
	if (size < 0)
		return size;
	block_begin(&builder, NULL, DNS_TYPE_HTTPS);
	size_t data = block_record(&builder, ttl);
	block_put(&builder, bytes, (size_t)size);
	block_end_record(&builder, data);
	*out = block_finish(&builder);
	return *out ? 0 : error_set(err, -ENOMEM, "out of memory");
}

int dns_check_https(const char *parameters, struct error *err)
{
	struct block *block = NULL;
	int rc = strcmp(parameters, DNS_HTTPS_NONE) == 0
			 ? 0
			 : https_compile(parameters, 0, &block, err);
	free(block);
	return rc;
}
