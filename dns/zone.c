/* SPDX-License-Identifier: ISC */
#include "dns/zone.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "dns/dnssec.h"
#include "dns/wire.h"
#include "dns/zonefile.h"

/* Where the configuration makes the SOA, these are what is usual (RFC 1912 section 2.2). */
enum { SOA_FIRST_SERIAL = 1, SOA_REFRESH = 14400, SOA_RETRY = 3600, SOA_EXPIRE = 604800 };

/* The numbers at the end of a SOA's data. */
#define SOA_NUMBERS 20

CLEANUP_DEFINE(zone_destroy, struct zone *, zone_destroy)

void zone_destroy(struct zone *zone)
{
	if (!zone || zone->users-- > 0)
		return;
	free(zone->transfer);
	free(zone->notify);
	for (size_t i = 0; i < zone->set_count; i++)
		free(zone->sets[i].block);
	free(zone->sets);
	records_finish(&zone->records);
	for (size_t i = 0; i < zone->key_count; i++)
		dns_key_release(zone->keys[i]);
	free(zone->negative);
	free(zone->any);
	free(zone);
}

struct zone *zone_keep(struct zone *zone)
{
	zone->users++;
	return zone;
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

/* --- records of the configuration --- */

const struct record *zone_find_record(
	const struct records *records, const uint8_t *owner, uint16_t type)
{
	for (size_t i = 0; i < records->count; i++)
		if (records->item[i]->type == type &&
			name_compare(records->item[i]->bytes, owner) == 0)
			return records->item[i];
	return NULL;
}

static int add(struct zone *zone, const struct name *owner, uint16_t type, uint32_t ttl,
	const void *data, size_t size, struct error *err)
{
	return records_add(&zone->records, owner, type, ttl, 0, data, size, err);
}

static int add_soa(struct zone *zone, const struct dns_zone_config *config,
	const struct name *primary, struct error *err)
{
	uint8_t data[2 * NAME_MAX_SIZE + SOA_NUMBERS], *at = data;
	struct name mailbox;
	int rc = parse_mailbox(config->mailbox, &zone->origin, &mailbox, err);
	if (rc < 0)
		return rc;
	const uint32_t numbers[] = {config->serial ? config->serial : SOA_FIRST_SERIAL, SOA_REFRESH,
		SOA_RETRY, SOA_EXPIRE, config->negative_ttl};
	memcpy(at, primary->bytes, primary->size);
	at += primary->size;
	memcpy(at, mailbox.bytes, mailbox.size);
	at += mailbox.size;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++, at += 4)
		wire_put32(at, numbers[i]);
	zone->own_serial = true;
	return add(zone, &zone->origin, DNS_TYPE_SOA, config->ttl, data, (size_t)(at - data), err);
}

static int add_glue(struct zone *zone, const struct dns_zone_config *config,
	const struct dns_name_server *server, const struct name *name, struct error *err)
{
	static const struct {
		int family;
		uint16_t type;
		const char *text;
	} kinds[] = {{AF_INET, DNS_TYPE_A, "IPv4"}, {AF_INET6, DNS_TYPE_AAAA, "IPv6"}};
	const struct ip_address *given[2] = {&server->address, &server->address6};
	for (int i = 0; i < 2; i++) {
		if (!ip_address_is_set(given[i]))
			continue;
		if (given[i]->family != kinds[i].family)
			return error_set(err, -EINVAL,
				"name server '%.60s': its %s address is of another family",
				server->name, kinds[i].text);
		if (!name_within(name, &zone->origin) ||
			zone_find_record(&zone->records, name->bytes, kinds[i].type))
			continue;
		int rc = add(zone, name, kinds[i].type, config->ttl, given[i]->bytes,
			ip_address_size(given[i]), err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int check_servers(
	const struct zone *zone, const struct dns_zone_config *config, struct error *err)
{
	struct name one, other;
	if (config->server_count == 0)
		return error_set(err, -EINVAL,
			"no name server: one stands in the zone's section (ns = "
			"[\"ns.example.org\"]) or in its file (@ NS ns.example.org.)");
	if (config->server_count > ZONE_MAX_SERVERS)
		return error_set(err, -EINVAL, "%zu name servers: a zone has 1 to %u",
			config->server_count, ZONE_MAX_SERVERS);
	for (size_t i = 0; i < config->server_count; i++) {
		int rc = parse_relative(config->servers[i].name, &zone->origin, &one, err);
		for (size_t k = 0; rc == 0 && k < i; k++) {
			rc = parse_relative(config->servers[k].name, &zone->origin, &other, err);
			if (rc == 0 && name_compare(one.bytes, other.bytes) == 0)
				rc = error_set(err, -EINVAL, "name server '%.60s' is given twice",
					config->servers[i].name);
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int add_servers(struct zone *zone, const struct dns_zone_config *config, struct error *err)
{
	int rc = check_servers(zone, config, err);
	for (size_t i = 0; rc == 0 && i < config->server_count; i++) {
		struct name name;
		rc = parse_relative(config->servers[i].name, &zone->origin, &name, err);
		if (rc == 0)
			rc = add(zone, &zone->origin, DNS_TYPE_NS, config->ttl, name.bytes,
				name.size, err);
		if (rc == 0)
			rc = add_glue(zone, config, &config->servers[i], &name, err);
	}
	return rc;
}

static int find_primary(const struct zone *zone, const struct dns_zone_config *config,
	struct name *out, struct error *err)
{
	if (config->primary || config->server_count > 0)
		return parse_relative(config->primary ? config->primary : config->servers[0].name,
			&zone->origin, out, err);
	name_fold(record_data(zone_find_record(&zone->records, zone->origin.bytes, DNS_TYPE_NS)),
		out);
	return 0;
}

/* What the file says is not said again by the configuration: whoever reads either must not be
 * misled. */
static int add_configured(
	struct zone *zone, const struct dns_zone_config *config, struct error *err)
{
	const uint8_t *apex = zone->origin.bytes;
	bool has_ns = zone_find_record(&zone->records, apex, DNS_TYPE_NS);
	bool has_soa = zone_find_record(&zone->records, apex, DNS_TYPE_SOA);
	struct name primary;
	if (has_ns && config->server_count > 0)
		return error_set(err, -EINVAL,
			"the name servers stand in '%.200s' already: leave out `ns`", config->file);
	if (has_soa && (config->primary || config->mailbox))
		return error_set(err, -EINVAL,
			"the SOA stands in '%.200s' already: leave out `primary` and `mailbox`",
			config->file);
	int rc = has_ns ? 0 : add_servers(zone, config, err);
	if (rc == 0 && !has_soa) {
		rc = find_primary(zone, config, &primary, err);
		if (rc == 0)
			rc = add_soa(zone, config, &primary, err);
	}
	return rc;
}

/* DNSKEY, and for a parent that looks (RFC 7344) the same as CDNSKEY and CDS. */
static int add_key(struct zone *zone, const struct dns_key *key, uint32_t ttl, struct error *err)
{
	uint8_t cds[DNSSEC_DS_SIZE];
	int rc = dns_key_ds(key, &zone->origin, cds, err);
	if (rc == 0)
		rc = add(zone, &zone->origin, DNS_TYPE_DNSKEY, ttl, key->dnskey,
			sizeof(key->dnskey), err);
	if (rc == 0)
		rc = add(zone, &zone->origin, DNS_TYPE_CDNSKEY, ttl, key->dnskey,
			sizeof(key->dnskey), err);
	return rc == 0 ? add(zone, &zone->origin, DNS_TYPE_CDS, ttl, cds, sizeof(cds), err) : rc;
}

static int add_keys(struct zone *zone, const struct dns_zone_config *config, struct error *err)
{
	if (config->key_count > ZONE_MAX_KEYS)
		return error_set(err, -EINVAL, "%zu keys: a zone has at most %u", config->key_count,
			ZONE_MAX_KEYS);
	for (int active = 1; active >= 0; active--) {
		for (size_t i = 0; i < config->key_count; i++)
			if (config->keys[i]->active == active)
				zone->keys[zone->key_count++] = dns_key_keep(config->keys[i]);
		if (active && config->key_count > 0 && zone->key_count != 1)
			return error_set(err, -EINVAL, "%zu of its keys are active: it must be one",
				zone->key_count);
	}
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < zone->key_count; i++)
		rc = add_key(zone, zone->keys[i], config->ttl, err);
	return rc;
}

static int read_transfer(struct zone *zone, const struct dns_zone_config *config, struct error *err)
{
	zone->transfer = calloc(config->transfer_count + 1, sizeof(*zone->transfer));
	if (!zone->transfer)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < config->transfer_count; i++) {
		int rc = name_parse(config->transfer[i], &zone->transfer[i], err);
		if (rc < 0)
			return rc;
		zone->transfer_count++;
	}
	zone->notify = calloc(config->notify_count + 1, sizeof(*zone->notify));
	if (!zone->notify)
		return error_set(err, -ENOMEM, "out of memory");
	if (config->notify_count > 0)
		memcpy(zone->notify, config->notify, config->notify_count * sizeof(*zone->notify));
	zone->notify_count = config->notify_count;
	return 0;
}

/* --- compiling --- */

static struct block *compile_any(uint32_t ttl)
{
	static const uint8_t cpu_and_os[] = "\x07RFC8482"; /* the final NUL is the empty OS */
	struct block_builder builder;
	block_begin(&builder, NULL, DNS_TYPE_HINFO);
	size_t data = block_record(&builder, ttl);
	block_put(&builder, cpu_and_os, sizeof(cpu_and_os));
	block_end_record(&builder, data);
	return block_finish(&builder);
}

static int compile_sets(struct zone *zone, struct error *err)
{
	char text[RECORD_TEXT];
	const struct records *records = &zone->records;
	zone->sets = calloc(records->count, sizeof(*zone->sets));
	if (!zone->sets)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0, run; i < records->count; i += run) {
		run = records_run(records, i, true);
		struct rrset *set = &zone->sets[zone->set_count++];
		*set = (struct rrset){
			.type = records->item[i]->type,
			.count = (uint32_t)run,
			.records = records->item + i,
		};
		set->block =
			block_of_records(set->records, run, records->item[i]->ttl, &zone->origin);
		if (!set->block)
			return error_set(err, -EINVAL,
				"%s: all records of this name and type are more than %u bytes",
				record_print(records->item[i], text), BLOCK_MAX_SIZE);
	}
	return 0;
}

static int compile_special(struct zone *zone, struct error *err)
{
	const struct record *soa =
		zone_find_record(&zone->records, zone->origin.bytes, DNS_TYPE_SOA);
	const uint8_t *numbers = record_data(soa) + soa->data_size - SOA_NUMBERS;
	uint32_t minimum = wire_get32(numbers + 16);
	struct record *const one[] = {(struct record *)(uintptr_t)soa};
	zone->serial = wire_get32(numbers);
	zone->soa_ttl = soa->ttl;
	zone->negative =
		block_of_records(one, 1, minimum < soa->ttl ? minimum : soa->ttl, &zone->origin);
	zone->any = compile_any(soa->ttl);
	return zone->negative && zone->any ? 0 : error_set(err, -ENOMEM, "out of memory");
}

static int make(struct zone *zone, const struct dns_zone_config *config, struct error *err)
{
	int rc = 0;
	if (config->ttl > TTL_MAX || config->negative_ttl > TTL_MAX)
		return error_set(err, -EINVAL, "a TTL is at most %u seconds", TTL_MAX);
	if (config->file)
		rc = zonefile_read(config->file, &zone->origin, config->ttl, &zone->records, err);
	if (rc == 0)
		rc = add_configured(zone, config, err);
	if (rc == 0)
		rc = add_keys(zone, config, err);
	if (rc == 0)
		rc = read_transfer(zone, config, err);
	if (rc < 0)
		return rc;
	records_sort(&zone->records);
	rc = zone_check(&zone->records, &zone->origin, err);
	if (rc < 0 && config->file)
		return error_prefix(err, rc, "%.200s", config->file);
	if (rc == 0)
		rc = compile_sets(zone, err);
	return rc == 0 ? compile_special(zone, err) : rc;
}

int zone_create(const struct dns_zone_config *config, struct zone **out, struct error *err)
{
	CLEANUP(zone_destroy) struct zone *zone = calloc(1, sizeof(*zone));
	if (!zone)
		return error_set(err, -ENOMEM, "out of memory");
	int rc = name_parse(config->origin, &zone->origin, err);
	if (rc < 0)
		return error_prefix(err, rc, "zone");
	rc = make(zone, config, err);
	if (rc < 0)
		return error_prefix(err, rc, "zone '%.60s'", config->origin);
	*out = STEAL_POINTER(zone);
	return 0;
}

bool zone_same_records(const struct zone *a, const struct zone *b)
{
	if (a->records.count != b->records.count)
		return false;
	for (size_t i = 0; i < a->records.count; i++) {
		const struct record *left = a->records.item[i], *right = b->records.item[i];
		size_t size = (size_t)left->owner_size + left->data_size;
		if (left->type != right->type || left->ttl != right->ttl ||
			left->owner_size != right->owner_size ||
			left->data_size != right->data_size)
			return false;
		/* All of a SOA but its serial. */
		if (left->type == DNS_TYPE_SOA
				? memcmp(left->bytes, right->bytes, size - SOA_NUMBERS) != 0 ||
					  memcmp(left->bytes + size - SOA_NUMBERS + 4,
						  right->bytes + size - SOA_NUMBERS + 4,
						  SOA_NUMBERS - 4) != 0
				: memcmp(left->bytes, right->bytes, size) != 0)
			return false;
	}
	return true;
}

void zone_set_serial(struct zone *zone, uint32_t serial)
{
	struct block *blocks[] = {zone->negative, NULL};
	zone->serial = serial;
	for (size_t i = 0; i < zone->set_count && !blocks[1]; i++) {
		struct rrset *set = &zone->sets[i];
		if (set->type != DNS_TYPE_SOA)
			continue;
		struct record *soa = set->records[0];
		wire_put32(soa->bytes + soa->owner_size + soa->data_size - SOA_NUMBERS, serial);
		blocks[1] = set->block;
	}
	for (size_t i = 0; i < 2; i++)
		wire_put32((uint8_t *)(uintptr_t)blocks[i]->bytes + blocks[i]->size - SOA_NUMBERS,
			serial);
}
