/* SPDX-License-Identifier: ISC */
#include "dns/https.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ldns/ldns.h>

#include "base/cleanup.h"
#include "dns/dns.h"
#include "dns/svcb.h"
#include "dns/wire.h"

#define FIXED      3 /* priority 1 and the root, which means the owner */
#define TEXT_MAX   255
#define PARAMETERS "write parameters as in zone files (RFC 9460), as in alpn=h2,h3 port=8443"

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

/* The reader of zone files takes any number, modulo 65536. */
static bool is_right_port(const char *text, unsigned port)
{
	const char *at = strstr(text, "port=");
	if (!at)
		return false;
	at += at[5] == '"' ? 6 : 5;
	return port > 0 && *at >= '0' && *at <= '9' && strtoul(at, NULL, 10) == port;
}

/* NULL, or what a service cannot have. Addresses in the place of those that a client is given are not
 * known here: it may have a machine of its own. They come with the answer. */
static const char *find_unfit(const char *text, const uint8_t *data, size_t size)
{
	if (svcb_has(data, size, SVCB_IPV4) || svcb_has(data, size, SVCB_IPV6))
		return "leave out ipv4hint and ipv6hint: the addresses come with the answer";
	for (size_t at = 0; at < size; at += svcb_next(data, size, at)) {
		const uint16_t key = wire_get16(data + at);
		if (key == SVCB_DOHPATH ||
			(key == SVCB_PORT && !is_right_port(text, wire_get16(data + at + 4))))
			return PARAMETERS;
	}
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
	const uint8_t *parameter = *data + FIXED;
	const size_t parameters_size = size - head - FIXED;
	const char *fault = svcb_find_fault(parameter, parameters_size);
	if (!fault)
		fault = find_unfit(parameters, parameter, parameters_size);
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
