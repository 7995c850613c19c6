/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <string.h>

#include "dns/svcb.h"
#include "dns/wire.h"
#include "dns/zone.h"

/* What a zone must be, whatever its text says. The records come in canonical order: a delegation is
 * seen before what lies beneath it. */

struct checking {
	const struct records *records;
	const struct name *origin;
	const struct record *cut; /* the last delegation seen */
	struct error *err;
};

/* The records of one owner. */
struct group {
	const struct record *first;
	struct record *const *item;
	size_t count;
	bool apex;
};

static int refuse(const struct checking *checking, const struct record *record, const char *why)
{
	char text[RECORD_TEXT];
	return error_set(checking->err, -EINVAL, "%s: %s", record_print(record, text), why);
}

static const struct record *find(const struct group *group, uint16_t type)
{
	for (size_t i = 0; i < group->count; i++)
		if (group->item[i]->type == type)
			return group->item[i];
	return NULL;
}

static bool is_address(uint16_t type)
{
	return type == DNS_TYPE_A || type == DNS_TYPE_AAAA;
}

static bool is_beneath(const struct record *record, const struct record *above)
{
	size_t at = 0;
	if (record->owner_size <= above->owner_size)
		return false;
	while (record->owner_size - at > above->owner_size)
		at += 1u + record->bytes[at];
	return record->owner_size - at == above->owner_size &&
	       memcmp(record->bytes + at, above->bytes, above->owner_size) == 0;
}

static int check_cname(const struct checking *checking, const struct group *group)
{
	const struct record *cname = find(group, DNS_TYPE_CNAME);
	if (cname && group->count > 1)
		return refuse(checking, cname,
			"a CNAME stands alone: its name has other records (RFC 1034 section "
			"3.6.2)");
	return 0;
}

static int check_soa(const struct checking *checking, const struct group *group)
{
	const struct record *soa = find(group, DNS_TYPE_SOA);
	if (!group->apex)
		return soa ? refuse(checking, soa, "only the zone's own name has a SOA") : 0;
	if (!soa)
		return error_set(checking->err, -EINVAL, "there is no SOA record");
	size_t count = 0;
	for (size_t i = 0; i < group->count; i++)
		count += group->item[i]->type == DNS_TYPE_SOA;
	if (count > 1)
		return refuse(checking, soa, "a zone has one SOA");
	if (!find(group, DNS_TYPE_NS))
		return error_set(
			checking->err, -EINVAL, "there is no NS record at the zone's name");
	return 0;
}

static int check_delegation(struct checking *checking, const struct group *group)
{
	const struct record *ns = group->apex ? NULL : find(group, DNS_TYPE_NS);
	const struct record *ds = find(group, DNS_TYPE_DS);
	if (checking->cut && is_beneath(group->first, checking->cut)) {
		for (size_t i = 0; i < group->count; i++)
			if (!is_address(group->item[i]->type))
				return refuse(checking, group->item[i],
					"beneath a delegation only addresses of name servers "
					"stand");
		return 0;
	}
	if (ds && !ns)
		return refuse(
			checking, ds, "a DS belongs to a delegation: there is no NS beside it");
	if (!ns)
		return 0;
	if (group->first->bytes[0] == 1 && group->first->bytes[1] == '*')
		return refuse(
			checking, ns, "a wildcard cannot be delegated (RFC 4592 section 4.2)");
	for (size_t i = 0; i < group->count; i++)
		if (group->item[i]->type != DNS_TYPE_NS && group->item[i]->type != DNS_TYPE_DS &&
			!is_address(group->item[i]->type))
			return refuse(checking, group->item[i],
				"the name is delegated: its records belong to the zone beneath");
	checking->cut = ns;
	return 0;
}

static int check_ttls(const struct checking *checking, const struct group *group)
{
	for (size_t i = 1; i < group->count; i++)
		if (group->item[i]->type == group->item[i - 1]->type &&
			group->item[i]->ttl != group->item[i - 1]->ttl)
			return refuse(checking, group->item[i],
				"the records of one name and type have one TTL (RFC 2181 section "
				"5.2)");
	return 0;
}

static int check_types(const struct checking *checking, const struct group *group)
{
	unsigned types = 1;
	for (size_t i = 1; i < group->count; i++)
		types += group->item[i]->type != group->item[i - 1]->type;
	if (types > ZONE_MAX_TYPES)
		return refuse(checking, group->first, "a name has records of at most 48 types");
	return 0;
}

/* Of priority 0 they are ignored (RFC 9460 section 2.4.2). The data's names are whole: ldns wrote them. */
static int check_svcb(const struct checking *checking, const struct group *group)
{
	for (size_t i = 0; i < group->count; i++) {
		const struct record *record = group->item[i];
		const uint8_t *data = record_data(record);
		if (record->type != DNS_TYPE_SVCB && record->type != DNS_TYPE_HTTPS)
			continue;
		size_t at = 2;
		while (at < record->data_size && data[at] > 0)
			at += 1u + data[at];
		if (at >= record->data_size)
			return refuse(checking, record, "its target is cut short");
		const char *fault = wire_get16(data) == 0 ? NULL
							  : svcb_find_fault(data + at + 1,
								    record->data_size - at - 1);
		if (fault)
			return refuse(checking, record, fault);
	}
	return 0;
}

static int check_group(struct checking *checking, const struct group *group)
{
	int rc = check_cname(checking, group);
	if (rc == 0)
		rc = check_soa(checking, group);
	if (rc == 0)
		rc = check_delegation(checking, group);
	if (rc == 0)
		rc = check_types(checking, group);
	if (rc == 0)
		rc = check_svcb(checking, group);
	return rc == 0 ? check_ttls(checking, group) : rc;
}

int zone_check(const struct records *records, const struct name *origin, struct error *err)
{
	struct checking checking = {.records = records, .origin = origin, .err = err};
	int rc = 0;
	/* The apex has the first place in canonical order. */
	if (records->count == 0 || records->item[0]->owner_size != origin->size)
		return error_set(err, -EINVAL, "there is no SOA record");
	for (size_t i = 0, run; rc == 0 && i < records->count; i += run) {
		run = records_run(records, i, false);
		const struct group group = {
			.first = records->item[i],
			.item = records->item + i,
			.count = run,
			.apex = records->item[i]->owner_size == origin->size,
		};
		rc = check_group(&checking, &group);
	}
	return rc;
}
