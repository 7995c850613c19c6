/* SPDX-License-Identifier: ISC */
#include "dns/edns.h"

#include <string.h>

#include "dns/answer.h"
#include "dns/wire.h"

#define OPTION_HEAD 4 /* code and length */

static size_t nsid_size(const struct query *query, const struct edns_reply *reply)
{
	bool said = query->wants & QUERY_WANTS_NSID && reply->nsid && *reply->nsid;
	return said ? strlen(reply->nsid) : 0;
}

static bool says_keepalive(const struct query *query, const struct edns_reply *reply)
{
	return query->wants & QUERY_WANTS_KEEPALIVE && reply->keepalive;
}

size_t edns_reserve(const struct query *query, const struct edns_reply *reply)
{
	if (!query->edns)
		return 0;
	size_t nsid = nsid_size(query, reply);
	return DNS_OPT_SIZE + (nsid ? OPTION_HEAD + nsid : 0) +
	       (says_keepalive(query, reply) ? OPTION_HEAD + 2 : 0) +
	       (reply->cookie ? OPTION_HEAD + EDNS_COOKIE_REPLY : 0);
}

/* Appends an option's head and returns where its data begins. */
static uint8_t *put_option(uint8_t *out, uint16_t code, size_t size)
{
	wire_put16(out, code);
	wire_put16(out + 2, (uint16_t)size);
	return out + OPTION_HEAD;
}

/* RFC 8914 section 2; nothing where it does not fit. */
static uint8_t *put_ede(const struct dns_ede *ede, const uint8_t *end, uint8_t *out)
{
	size_t text = strnlen(ede->text, sizeof(ede->text));
	if (OPTION_HEAD + 2 + text > (size_t)(end - out))
		return out;
	out = put_option(out, DNS_OPTION_EDE, 2 + text);
	wire_put16(out, ede->code);
	memcpy(out + 2, ede->text, text);
	return out + 2 + text;
}

size_t edns_write(const struct query *query, uint16_t rcode, const struct edns_reply *reply,
	size_t room, uint8_t *out)
{
	uint8_t *at = out + DNS_OPT_SIZE;
	size_t nsid = nsid_size(query, reply);
	out[0] = 0;
	wire_put16(out + 1, DNS_TYPE_OPT);
	wire_put16(out + 3, ANSWER_MAX_UDP);
	out[5] = (uint8_t)(rcode >> 4);
	out[6] = 0;
	wire_put16(out + 7, query->dnssec_ok ? DNS_OPT_FLAG_DO : 0);
	if (nsid) {
		at = put_option(at, DNS_OPTION_NSID, nsid);
		memcpy(at, reply->nsid, nsid);
		at += nsid;
	}
	if (reply->cookie) {
		at = put_option(at, DNS_OPTION_COOKIE, EDNS_COOKIE_REPLY);
		memcpy(at, reply->cookie, EDNS_COOKIE_REPLY);
		at += EDNS_COOKIE_REPLY;
	}
	if (says_keepalive(query, reply)) {
		at = put_option(at, DNS_OPTION_KEEPALIVE, 2);
		wire_put16(at, reply->timeout);
		at += 2;
	}
	if (reply->ede && reply->ede->present)
		at = put_ede(reply->ede, out + room, at);
	wire_put16(out + 9, (uint16_t)(at - out - DNS_OPT_SIZE));
	return (size_t)(at - out);
}
