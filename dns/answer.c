/* SPDX-License-Identifier: ISC */
#include "dns/answer.h"

#include <string.h>

#include "dns/wire.h"

/* Aliases that are followed: more serve nobody. */
#define MAX_LINKS 8

#define OWNER_QUESTION ((struct part_owner){0, 0})

void answer_init(struct answer *answer, uint16_t rcode)
{
	answer->rcode = rcode;
	answer->authoritative = false;
	answer->truncated = false;
	answer->count = 0;
	answer->service = NULL;
}

bool answer_add(struct answer *answer, const struct block *block, struct part_owner owner,
	enum section section)
{
	if (answer->count == ANSWER_MAX_PARTS)
		return false;
	answer->part[answer->count++] =
		(struct part){.block = block, .owner = owner, .section = (uint8_t)section};
	return true;
}

bool answer_has_records(const struct answer *answer)
{
	return answer->count > 0 && answer->part[0].section == SECTION_ANSWER;
}

/* --- looking up --- */

struct search {
	const struct names *names;
	const struct query *query;
	struct answer *out;
	const struct zone *zone;
	struct part_owner owner; /* of the name that is looked at */
};

/* A name of which the question's is, or is beneath. */
static struct part_owner owner_above(const struct search *search, size_t size)
{
	return (struct part_owner){0, (uint16_t)(search->query->name_size - size)};
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
	default:
		return NODE_SLOTS;
	}
}

static void say_nothing(struct search *search, const struct zone *zone)
{
	answer_add(search->out, zone->negative, owner_above(search, zone->origin.size),
		SECTION_AUTHORITY);
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
	if (!exact || node->service || node->zone != search->zone)
		return;
	for (int slot = NODE_A; slot <= NODE_AAAA; slot++)
		if (node->block[slot] &&
			answer_add(search->out, node->block[slot], owner, SECTION_ADDITIONAL))
			search->out->part[search->out->count - 1].optional =
				!cut || node->cut != cut;
}

/* Adds a set of NS records and what is known of their names. */
static void add_servers(struct search *search, const struct rrset *set, struct part_owner owner,
	enum section section, const struct node *cut)
{
	size_t at = 0;
	if (!answer_add(search->out, set->block, owner, section))
		return;
	uint8_t part = search->out->count;
	for (uint32_t i = 0; i < set->count; i++) {
		const struct part_owner target = {part, (uint16_t)(at + BLOCK_RECORD_FIXED)};
		add_glue(search, record_data(set->records[i]), target, cut);
		at = target.offset + wire_get16(set->block->bytes + target.offset - 2);
	}
}

static void refer(struct search *search, const struct node *cut)
{
	search->out->authoritative = false;
	add_servers(search, node_find_set(cut, DNS_TYPE_NS), owner_above(search, cut->size),
		SECTION_AUTHORITY, cut);
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
	if (node->ds)
		answer_add(search->out, node->ds->block, search->owner, SECTION_ANSWER);
	else
		say_nothing(search, node->parent->zone);
}

/* Adds what an existing name has of the type. The alias that it is, or NULL. */
static const struct rrset *find_type(struct search *search, const struct node *node)
{
	uint16_t type = search->query->type;
	enum node_slot slot = slot_of(type);
	const struct rrset *set = NULL;
	if (slot != NODE_SLOTS && node->block[slot]) {
		answer_add(search->out, node->block[slot], search->owner, SECTION_ANSWER);
		if (slot != NODE_PTR)
			search->out->service = node->service;
		return NULL;
	}
	if (type == DNS_TYPE_ANY && (node->set_count > 0 || node->service)) {
		answer_add(search->out, search->zone->any, search->owner, SECTION_ANSWER);
		return NULL;
	}
	if (node->set_count > 0) {
		set = node_find_set(node, type);
		if (!set)
			set = node_find_set(node, DNS_TYPE_CNAME);
	}
	if (!set)
		say_nothing(search, search->zone);
	else if (type == DNS_TYPE_NS && set->type == type)
		add_servers(search, set, search->owner, SECTION_ANSWER, NULL);
	else
		answer_add(search->out, set->block, search->owner, SECTION_ANSWER);
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
	if (!exact && node->wildcard)
		node = node->wildcard;
	else if (!exact)
		search->out->rcode = DNS_RCODE_NXDOMAIN;
	if (search->out->rcode == DNS_RCODE_NXDOMAIN) {
		say_nothing(search, search->zone);
		return NULL;
	}
	return find_type(search, node);
}

static bool was_said(const struct answer *answer, const struct block *block)
{
	for (unsigned i = 0; i < answer->count; i++)
		if (answer->part[i].block == block)
			return true;
	return false;
}

/* Follows aliases within the zone (RFC 6604: the RCODE is that of the last name). */
static void follow(struct search *search, const struct rrset *alias)
{
	for (int links = 0; alias && links < MAX_LINKS; links++) {
		struct name name;
		bool exact;
		search->owner = (struct part_owner){search->out->count, BLOCK_RECORD_FIXED};
		name_fold(record_data(alias->records[0]), &name);
		const struct node *node = table_closest(&search->names->table, &name, &exact);
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
	struct name name;
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
		.owner = OWNER_QUESTION,
	};
	out->rcode = DNS_RCODE_NOERROR;
	out->authoritative = true;
	follow(&search, find_name(&search, node, exact));
}

/* --- writing --- */

size_t answer_limit(const struct query *query, bool tcp)
{
	if (tcp)
		return ANSWER_MAX_TCP;
	return query->payload < ANSWER_MAX_UDP ? query->payload : ANSWER_MAX_UDP;
}

struct writer {
	const struct query *query;
	uint8_t *out;
	size_t size, limit;
	uint16_t count[3];                /* of each section */
	uint16_t begin[ANSWER_MAX_PARTS]; /* of each part, in the message; 0: it is not there */
};

static void set_owners(uint8_t *at, const struct block *block, uint16_t owner)
{
	for (unsigned i = 0; i < block->count; i++) {
		wire_put16(at, owner);
		at += BLOCK_RECORD_FIXED + wire_get16(at + BLOCK_RECORD_FIXED - 2);
	}
}

static void write_part(struct writer *writer, const struct part *part, uint16_t *begin)
{
	const struct block *block = part->block;
	uint8_t *at = writer->out + writer->size;
	size_t owner = part->owner.offset;
	owner += part->owner.part == 0 ? DNS_HEADER_SIZE : writer->begin[part->owner.part - 1];
	memcpy(at, block->bytes, block->size);
	if (owner != DNS_HEADER_SIZE)
		set_owners(at, block, (uint16_t)(DNS_POINTER | owner));
	/* The origin is the tail of the question's name. */
	uint16_t origin =
		(uint16_t)(DNS_HEADER_SIZE + writer->query->name_size - block->origin_size);
	for (unsigned i = 0; i < block->fixup_count; i++)
		wire_put16(at + block->fixup[i], DNS_POINTER | origin);
	*begin = (uint16_t)writer->size;
	writer->size += block->size;
	writer->count[part->section] += block->count;
}

static void write_parts(struct writer *writer, const struct answer *answer)
{
	size_t first = writer->size;
	for (unsigned i = 0; i < answer->count; i++) {
		const struct part *part = &answer->part[i];
		if (part->block->size <= writer->limit - writer->size) {
			write_part(writer, part, &writer->begin[i]);
			continue;
		}
		if (part->optional)
			continue;
		writer->out[2] |= DNS_FLAG_TC;
		if (part->section == SECTION_ADDITIONAL)
			continue;
		/* Half an answer is none. */
		writer->size = first;
		memset(writer->count, 0, sizeof(writer->count));
		return;
	}
}

size_t answer_write(const struct query *query, const struct answer *answer,
	const struct edns_reply *edns, size_t limit, uint8_t *out)
{
	struct writer writer;
	writer.query = query;
	writer.out = out;
	writer.size = DNS_HEADER_SIZE + query->question_size;
	writer.limit = limit - edns_reserve(query, edns);
	memset(writer.count, 0, sizeof(writer.count));
	wire_put16(out, query->id);
	out[2] = DNS_FLAG_QR | query->flags | (answer->authoritative ? DNS_FLAG_AA : 0) |
		 (answer->truncated ? DNS_FLAG_TC : 0);
	out[3] = answer->rcode & 0x0f;
	wire_put16(out + 4, query->question_size > 0);
	if (query->question_size > 0)
		memcpy(out + DNS_HEADER_SIZE, query->question, query->question_size);
	write_parts(&writer, answer);
	if (query->edns) {
		writer.count[SECTION_ADDITIONAL]++;
		writer.size += edns_write(
			query, answer->rcode, edns, limit - writer.size, out + writer.size);
	}
	for (int i = 0; i < 3; i++)
		wire_put16(out + 6 + 2 * i, writer.count[i]);
	return writer.size;
}
