/* SPDX-License-Identifier: ISC */
#include "dns/lookup.h"

#include "dns/secure.h"
#include "dns/wire.h"

/* Aliases that are followed: more serve nobody. */
#define MAX_LINKS 8

#define OWNER_QUESTION ((struct part_owner){0, 0})

struct search {
	const struct names *names;
	const struct query *query;
	struct answer *out;
	const struct zone *zone;
	const struct name *name; /* that is looked at */
	struct part_owner owner; /* the same, as the answer has it */
	bool secure;             /* signatures are wanted, and there are keys */
};

/* A name of which the question's is, or is beneath. */
static struct part_owner owner_above(const struct search *search, size_t size)
{
	return (struct part_owner){0, (uint16_t)(search->query->name_size - size)};
}

static bool wants_signatures(const struct search *search, const struct zone *zone)
{
	return search->query->dnssec_ok && zone->key_count > 0;
}

static struct secure secure_of(const struct search *search, const struct zone *zone)
{
	return (struct secure){search->names->signatures, zone, search->out};
}

/* A set of the name that is looked at. */
static void say(struct search *search, const struct block *block)
{
	answer_add(search->out, block, search->owner, SECTION_ANSWER);
	if (search->secure) {
		const struct secure secure = secure_of(search, search->zone);
		secure_sign(&secure, search->name, 0);
	}
}

static enum node_slot slot_of(uint16_t type)
{
	switch (type) {
	case DNS_TYPE_A:
		return NODE_A;
	case DNS_TYPE_AAAA:
		return NODE_AAAA;
	case DNS_TYPE_PTR:
		return NODE_PTR;
	case DNS_TYPE_HTTPS:
		return NODE_HTTPS;
	default:
		return NODE_SLOTS;
	}
}

/* The name has these types, and not the one that was asked for; `count` 0: it does not exist. */
static void say_nothing(
	struct search *search, const struct zone *zone, const uint16_t *types, size_t count)
{
	static const uint16_t no_name[] = {DNS_TYPE_RRSIG, DNS_TYPE_NSEC, DNS_TYPE_NXNAME};
	answer_add(search->out, zone->negative, owner_above(search, zone->origin.size),
		SECTION_AUTHORITY);
	if (count == 0)
		search->out->rcode = DNS_RCODE_NXDOMAIN;
	if (!wants_signatures(search, zone))
		return;
	const struct secure secure = secure_of(search, zone);
	secure_sign(&secure, &zone->origin, zone->soa_ttl);
	if (count > 0) {
		secure_deny(&secure, search->name, search->owner, types, count, SECTION_AUTHORITY);
		return;
	}
	/* RFC 9824: the name is said to have nothing, and does not exist for who knows better. */
	if (!search->query->compact_ok)
		search->out->rcode = DNS_RCODE_NOERROR;
	secure_deny(&secure, search->name, search->owner, no_name, 3, SECTION_AUTHORITY);
}

static void say_no_type(struct search *search, const struct node *node)
{
	uint16_t types[SECURE_MAX_TYPES];
	say_nothing(search, search->zone, types, secure_types(node, types));
}

/* The addresses of a service are those of the machine that its client is given. */
static const struct block *block_of(
	const struct search *search, const struct node *node, enum node_slot slot)
{
	const struct service *as = search->out->as;
	return as && node->service && slot <= NODE_AAAA ? as->block[slot] : node->block[slot];
}

static bool was_said(const struct answer *answer, const struct block *block)
{
	for (unsigned i = 0; i < answer->count; i++)
		if (answer->part[i].block == block)
			return true;
	return false;
}

static void add_addresses(
	struct search *search, const struct node *node, struct part_owner owner, bool optional)
{
	for (int slot = NODE_A; slot <= NODE_AAAA; slot++) {
		const struct block *block = block_of(search, node, slot);
		if (block && !was_said(search->out, block) &&
			answer_add(search->out, block, owner, SECTION_ADDITIONAL))
			search->out->part[search->out->count - 1].optional = optional;
	}
}

/* The addresses of a name server: what is within a delegation must be said (RFC 9471), anything
 * else is a help. */
static void add_glue(struct search *search, const uint8_t *target, struct part_owner owner,
	const struct node *cut)
{
	struct name name;
	bool exact;
	name_fold(target, &name);
	const struct node *node = table_closest(&search->names->table, &name, &exact);
	if (exact && !node->service && node->zone == search->zone)
		add_addresses(search, node, owner, !cut || node->cut != cut);
}

/* What is known of the names of a set of NS records, which is this part, from 1. */
static void add_all_glue(
	struct search *search, const struct rrset *set, uint8_t part, const struct node *cut)
{
	size_t at = 0;
	for (uint32_t i = 0; i < set->count; i++) {
		const struct part_owner target = {part, (uint16_t)(at + BLOCK_RECORD_FIXED)};
		add_glue(search, record_data(set->records[i]), target, cut);
		at = target.offset + wire_get16(set->block->bytes + target.offset - 2);
	}
}

static void refer(struct search *search, const struct node *cut)
{
	const struct rrset *ns = node_find_set(cut, DNS_TYPE_NS);
	const struct rrset *ds = node_find_set(cut, DNS_TYPE_DS);
	const struct secure secure = secure_of(search, search->zone);
	struct part_owner owner = owner_above(search, cut->size);
	uint16_t types[SECURE_MAX_TYPES];
	struct name name;
	search->out->authoritative = false;
	answer_add(search->out, ns->block, owner, SECTION_AUTHORITY);
	if (search->secure)
		name_fold(cut->name, &name);
	if (search->secure && ds) {
		answer_add(search->out, ds->block, owner, SECTION_AUTHORITY);
		secure_sign(&secure, &name, 0);
	} else if (search->secure) {
		secure_deny(
			&secure, &name, owner, types, secure_types(cut, types), SECTION_AUTHORITY);
	}
	add_all_glue(search, ns, 1, cut);
}

/* The part that was said last, from 1. */
static uint8_t last_part(const struct search *search)
{
	return search->out->count - (search->secure ? 1 : 0);
}

static void say_servers(struct search *search, const struct rrset *set)
{
	say(search, set->block);
	add_all_glue(search, set, last_part(search), NULL);
}

static bool is_binding(uint16_t type)
{
	return type == DNS_TYPE_SVCB || type == DNS_TYPE_HTTPS;
}

/* SVCB and HTTPS, with the addresses of what they lead to (RFC 9460 section 4.1). Where that is the
 * name itself and a service's, the service is asked first, as for its addresses. */
static void say_bindings(struct search *search, const struct rrset *set, const struct node *node)
{
	say(search, set->block);
	const uint8_t part = last_part(search);
	size_t at = 0;
	if (search->query->type == DNS_TYPE_HTTPS)
		search->out->service = node->service;
	for (uint32_t i = 0; i < set->count; i++) {
		const uint8_t *data = record_data(set->records[i]), *target = data + 2;
		const struct part_owner owner = {part, (uint16_t)(at + BLOCK_RECORD_FIXED + 2)};
		if (target[0] != 0)
			add_glue(search, target, owner, NULL);
		else if (wire_get16(data) != 0 && (!node->service || search->out->service))
			add_addresses(search, node, search->owner, true);
		at += BLOCK_RECORD_FIXED + set->records[i]->data_size;
	}
}

/* The DS of a zone is its parent's to give, where the parent is ours too (RFC 4035 section
 * 3.1.4.1). */
static bool is_parents(const struct search *search, const struct node *node, bool exact)
{
	return search->query->type == DNS_TYPE_DS && exact && node->apex && node->parent &&
	       node->parent->zone && search->owner.part == 0;
}

static void find_ds(struct search *search, const struct node *node)
{
	static const uint16_t delegated[] = {DNS_TYPE_NS, DNS_TYPE_RRSIG, DNS_TYPE_NSEC};
	const struct zone *parent = node->parent->zone;
	search->zone = parent;
	search->secure = wants_signatures(search, parent);
	if (node->ds)
		say(search, node->ds->block);
	else
		say_nothing(search, parent, delegated, 3);
}

/* Whoever asks for everything, or for all signatures, hears one thing (RFC 8482). */
static void find_any(struct search *search, const struct node *node)
{
	if (node->set_count > 0 || node->service || node->block[NODE_PTR])
		say(search, search->zone->any);
	else
		say_no_type(search, node);
}

static void find_nsec(struct search *search, const struct node *node)
{
	uint16_t types[SECURE_MAX_TYPES];
	const struct secure secure = secure_of(search, search->zone);
	secure_deny(&secure, search->name, search->owner, types, secure_types(node, types),
		SECTION_ANSWER);
}

/* Adds what an existing name has of the type. The alias that it is, or NULL. */
static const struct rrset *find_type(struct search *search, const struct node *node)
{
	uint16_t type = search->query->type;
	enum node_slot slot = slot_of(type);
	const struct rrset *set = NULL;
	const struct block *block = slot != NODE_SLOTS ? block_of(search, node, slot) : NULL;
	if (block) {
		if (slot != NODE_PTR)
			search->out->service = node->service;
		say(search, block);
		if (slot == NODE_HTTPS)
			add_addresses(search, node, search->owner, true);
		return NULL;
	}
	if (type == DNS_TYPE_ANY || (type == DNS_TYPE_RRSIG && search->secure)) {
		find_any(search, node);
		return NULL;
	}
	if (type == DNS_TYPE_NSEC && search->secure) {
		find_nsec(search, node);
		return NULL;
	}
	if (node->set_count > 0) {
		set = node_find_set(node, type);
		if (!set)
			set = node_find_set(node, DNS_TYPE_CNAME);
	}
	if (!set)
		say_no_type(search, node);
	else if (type == DNS_TYPE_NS && set->type == type)
		say_servers(search, set);
	else if (is_binding(set->type))
		say_bindings(search, set, node);
	else
		say(search, set->block);
	return set && set->type != type ? set : NULL;
}

/* RFC 1034 section 4.3.2, for one name. The alias that it is, or NULL. */
static const struct rrset *find_name(struct search *search, const struct node *node, bool exact)
{
	if (is_parents(search, node, exact)) {
		find_ds(search, node);
		return NULL;
	}
	if (node->cut && !(exact && node == node->cut && search->query->type == DNS_TYPE_DS)) {
		/* At the end of a chain of aliases the client finds its own way. */
		if (search->owner.part == 0)
			refer(search, node->cut);
		return NULL;
	}
	if (!exact && !node->wildcard) {
		say_nothing(search, search->zone, NULL, 0);
		return NULL;
	}
	return find_type(search, exact ? node : node->wildcard);
}

/* Follows aliases within the zone (RFC 6604: the RCODE is that of the last name); `target` is room
 * for the name that is looked for then. */
static void follow(struct search *search, const struct rrset *alias, struct name *target)
{
	search->name = target;
	for (int links = 0; alias && links < MAX_LINKS && search->out->count > 0; links++) {
		bool exact;
		search->owner = (struct part_owner){last_part(search), BLOCK_RECORD_FIXED};
		name_fold(record_data(alias->records[0]), target);
		const struct node *node = table_closest(&search->names->table, target, &exact);
		if (node->zone != search->zone)
			return;
		const struct rrset *next =
			exact && node->set_count ? node_find_set(node, DNS_TYPE_CNAME) : NULL;
		if (next && was_said(search->out, next->block))
			return;
		alias = find_name(search, node, exact);
	}
}

void answer_find(const struct names *names, const struct query *query, struct answer *out)
{
	struct name name, target;
	bool exact;
	name_fold(query->question, &name);
	const struct node *node = table_closest(&names->table, &name, &exact);
	answer_init(out, DNS_RCODE_REFUSED);
	if (!node->zone)
		return;
	struct search search = {
		.names = names,
		.query = query,
		.out = out,
		.zone = node->zone,
		.name = &name,
		.owner = OWNER_QUESTION,
	};
	search.secure = wants_signatures(&search, node->zone);
	out->rcode = DNS_RCODE_NOERROR;
	out->authoritative = true;
	const struct rrset *alias = find_name(&search, node, exact);
	follow(&search, alias, &target);
	if (out->rcode == DNS_RCODE_SERVFAIL)
		answer_init(out, DNS_RCODE_SERVFAIL);
}
