/* SPDX-License-Identifier: ISC */
#include "dns/chaos.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "dns/wire.h"

#define CLASS_BEFORE_DATA 8 /* class, TTL and length stand before a record's data */

static int compile(const char *text, struct block **out)
{
	size_t length = text ? strlen(text) : 0;
	if (length > CHAOS_MAX_TEXT)
		return -EINVAL;
	if (length == 0)
		return 0;
	CLEANUP(free) struct block_builder *builder = malloc(sizeof(*builder));
	if (!builder)
		return -ENOMEM;
	const uint8_t size = (uint8_t)length;
	block_begin(builder, NULL, DNS_TYPE_TXT);
	size_t data = block_record(builder, 0);
	block_put(builder, &size, 1);
	block_put(builder, text, length);
	block_end_record(builder, data);
	wire_put16(builder->bytes + data - CLASS_BEFORE_DATA, DNS_CLASS_CH);
	*out = block_finish(builder);
	return *out ? 0 : -ENOMEM;
}

int chaos_init(struct chaos *chaos, const char *version, const char *identity)
{
	*chaos = (struct chaos){0};
	int rc = compile(version, &chaos->version);
	if (rc == 0)
		rc = compile(identity, &chaos->identity);
	if (rc < 0)
		chaos_finish(chaos);
	return rc;
}

void chaos_finish(struct chaos *chaos)
{
	free(chaos->version);
	free(chaos->identity);
	*chaos = (struct chaos){0};
}

const struct block *chaos_find(const struct chaos *chaos, const struct query *query)
{
	static const struct {
		const char *name; /* wire format */
		bool version;
	} known[] = {
		{"\7version\6server", true},
		{"\7version\4bind", true},
		{"\2id\6server", false},
		{"\10hostname\4bind", false},
	};
	struct name name;
	if (query->qclass != DNS_CLASS_CH || query->type != DNS_TYPE_TXT)
		return NULL;
	name_fold(query->question, &name);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (name.size == strlen(known[i].name) + 1 &&
			memcmp(name.bytes, known[i].name, name.size) == 0)
			return known[i].version ? chaos->version : chaos->identity;
	return NULL;
}
