/* SPDX-License-Identifier: ISC */
#include "dns/zone.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "dns/wire.h"

/* Nobody transfers these zones, so that the rest of the SOA is of no effect but must be sane (RFC
 * 1912 section 2.2). */
enum { SOA_SERIAL = 1, SOA_REFRESH = 3600, SOA_RETRY = 600, SOA_EXPIRE = 604800 };

CLEANUP_DEFINE(zone_destroy, struct zone *, zone_destroy)

void zone_destroy(struct zone *zone)
{
	if (!zone)
		return;
	for (size_t i = 0; i < zone->server_count; i++) {
		free(zone->servers[i].block[0]);
		free(zone->servers[i].block[1]);
	}
	free(zone->servers);
	free(zone->soa);
	free(zone->ns);
	free(zone->negative);
	free(zone->any);
	free(zone);
}

/* "ns1" within example.test is ns1.example.test; anything with a dot is absolute. */
static int parse_relative(
	const char *text, const struct name *origin, struct name *out, struct error *err)
{
	char whole[64 + 1 + 254], tail[254];
	if (strchr(text, '.') || strlen(text) > NAME_MAX_LABEL)
		return name_parse(text, out, err);
	snprintf(whole, sizeof(whole), "%s.%s", text, name_print(origin, tail));
	return name_parse(whole, out, err);
}

/* RFC 1035 section 8: user@host is the name whose first label is the user, dots and all. */
static int parse_user_at_host(const char *text, size_t user, struct name *out, struct error *err)
{
	uint8_t wire[NAME_MAX_LABEL + 1 + NAME_MAX_SIZE];
	struct name host;
	int rc = name_parse(text + user + 1, &host, err);
	if (rc < 0)
		return rc;
	if (user == 0 || user > NAME_MAX_LABEL || 1 + user + host.size > NAME_MAX_SIZE)
		return error_set(err, -EINVAL,
			"'%.60s' is not a mailbox: before the '@' stand 1 to %u letters", text,
			NAME_MAX_LABEL);
	for (size_t i = 0; i < user; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return error_set(err, -EINVAL,
				"'%.60s' is not a mailbox: byte 0x%02x is not allowed", text,
				(unsigned char)text[i]);
	wire[0] = (uint8_t)user;
	memcpy(wire + 1, text, user);
	memcpy(wire + 1 + user, host.bytes, host.size);
	name_fold(wire, out);
	return 0;
}

static int parse_mailbox(
	const char *text, const struct name *origin, struct name *out, struct error *err)
{
	if (!text)
		return parse_relative("hostmaster", origin, out, err);
	const char *at = strchr(text, '@');
	if (!at)
		return parse_relative(text, origin, out, err);
	return parse_user_at_host(text, (size_t)(at - text), out, err);
}

static int set_glue(struct zone_server *server, const struct dns_name_server *config, uint32_t ttl,
	struct error *err)
{
	static const int families[2] = {AF_INET, AF_INET6};
	const struct ip_address *given[2] = {&config->address, &config->address6};
	for (int i = 0; i < 2; i++) {
		if (!ip_address_is_set(given[i]))
			continue;
		if (given[i]->family != families[i])
			return error_set(err, -EINVAL,
				"name server '%.60s': its %s address is of another family",
				config->name, i == 0 ? "IPv4" : "IPv6");
		if (!server->inside)
			continue;
		server->address[i] = *given[i];
		server->block[i] = block_of_address(given[i], ttl);
		if (!server->block[i])
			return error_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

static int read_servers(struct zone *zone, const struct dns_zone_config *config, struct error *err)
{
	if (config->server_count == 0 || config->server_count > ZONE_MAX_SERVERS)
		return error_set(err, -EINVAL, "%zu name servers: a zone has 1 to %u",
			config->server_count, ZONE_MAX_SERVERS);
	zone->servers = calloc(config->server_count, sizeof(*zone->servers));
	if (!zone->servers)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < config->server_count; i++) {
		struct zone_server *server = &zone->servers[zone->server_count++];
		int rc = parse_relative(config->servers[i].name, &zone->origin, &server->name, err);
		if (rc < 0)
			return rc;
		for (const struct zone_server *other = zone->servers; other < server; other++)
			if (name_within(&server->name, &other->name) &&
				server->name.size == other->name.size)
				return error_set(err, -EINVAL, "name server '%.60s' is given twice",
					config->servers[i].name);
		server->inside = name_within(&server->name, &zone->origin);
		rc = set_glue(server, &config->servers[i], config->ttl, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static struct block *compile_soa(const struct zone *zone, const struct dns_zone_config *config,
	const struct name *primary, const struct name *mailbox, bool negative)
{
	struct block_builder builder;
	uint32_t ttl = config->ttl;
	/* RFC 2308 section 3. */
	if (negative && config->negative_ttl < ttl)
		ttl = config->negative_ttl;
	block_begin(&builder, &zone->origin, negative);
	size_t data = block_record(&builder, negative ? BLOCK_AUTHORITY : BLOCK_ANSWER,
		BLOCK_OWNER_ORIGIN, DNS_TYPE_SOA, ttl);
	block_put_name(&builder, primary);
	block_put_name(&builder, mailbox);
	block_put32(&builder, SOA_SERIAL);
	block_put32(&builder, SOA_REFRESH);
	block_put32(&builder, SOA_RETRY);
	block_put32(&builder, SOA_EXPIRE);
	block_put32(&builder, config->negative_ttl);
	block_end_record(&builder, data);
	return block_finish(&builder);
}

static struct block *compile_ns(const struct zone *zone, uint32_t ttl)
{
	struct block_builder builder;
	uint16_t names[ZONE_MAX_SERVERS];
	/* The question is the origin, a type and a class; the block follows. */
	size_t base = DNS_HEADER_SIZE + zone->origin.size + 4u;
	block_begin(&builder, &zone->origin, false);
	for (size_t i = 0; i < zone->server_count; i++) {
		size_t data =
			block_record(&builder, BLOCK_ANSWER, BLOCK_OWNER_ORIGIN, DNS_TYPE_NS, ttl);
		names[i] = (uint16_t)(DNS_POINTER | (base + data));
		block_put_name(&builder, &zone->servers[i].name);
		block_end_record(&builder, data);
	}
	for (size_t i = 0; i < zone->server_count; i++)
		for (int family = 0; family < 2; family++)
			if (zone->servers[i].block[family])
				block_put_address(&builder, BLOCK_ADDITIONAL, names[i], ttl,
					&zone->servers[i].address[family]);
	return block_finish(&builder);
}

static struct block *compile_any(uint32_t ttl)
{
	static const uint8_t cpu_and_os[] = "\x07RFC8482"; /* the final NUL is the empty OS */
	struct block_builder builder;
	block_begin(&builder, NULL, false);
	size_t data =
		block_record(&builder, BLOCK_ANSWER, BLOCK_OWNER_QUESTION, DNS_TYPE_HINFO, ttl);
	block_put(&builder, cpu_and_os, sizeof(cpu_and_os));
	block_end_record(&builder, data);
	return block_finish(&builder);
}

static int compile(struct zone *zone, const struct dns_zone_config *config, struct error *err)
{
	struct name primary = zone->servers[0].name, mailbox;
	int rc =
		config->primary ? parse_relative(config->primary, &zone->origin, &primary, err) : 0;
	if (rc == 0)
		rc = parse_mailbox(config->mailbox, &zone->origin, &mailbox, err);
	if (rc < 0)
		return rc;
	zone->soa = compile_soa(zone, config, &primary, &mailbox, false);
	zone->negative = compile_soa(zone, config, &primary, &mailbox, true);
	zone->ns = compile_ns(zone, config->ttl);
	zone->any = compile_any(config->ttl);
	if (!zone->soa || !zone->negative || !zone->ns || !zone->any)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

int zone_create(const struct dns_zone_config *config, struct zone **out, struct error *err)
{
	CLEANUP(zone_destroy) struct zone *zone = calloc(1, sizeof(*zone));
	if (!zone)
		return error_set(err, -ENOMEM, "out of memory");
	int rc = name_parse(config->origin, &zone->origin, err);
	if (rc < 0)
		return error_prefix(err, rc, "zone");
	if (config->ttl > TTL_MAX || config->negative_ttl > TTL_MAX)
		rc = error_set(err, -EINVAL, "a TTL is at most %u seconds", TTL_MAX);
	if (rc == 0)
		rc = read_servers(zone, config, err);
	if (rc == 0)
		rc = compile(zone, config, err);
	if (rc < 0)
		return error_prefix(err, rc, "zone '%.60s'", config->origin);
	*out = STEAL_POINTER(zone);
	return 0;
}
