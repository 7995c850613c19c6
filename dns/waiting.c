/* SPDX-License-Identifier: ISC */
#include "dns/waiting.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int waiting_init(struct waiting *waiting, uint32_t max, uint32_t max_source)
{
	*waiting = (struct waiting){.max = max};
	source_counts_init(&waiting->sources, max_source);
	LIST_INIT(&waiting->free);
	/* Pages of entries that are never used are never touched. */
	waiting->entries = calloc(max, sizeof(*waiting->entries));
	return waiting->entries ? 0 : -ENOMEM;
}

void waiting_finish(struct waiting *waiting)
{
	free(waiting->entries);
	*waiting = (struct waiting){0};
}

static struct waiting_query *next_free(struct waiting *waiting)
{
	struct waiting_query *entry = LIST_FIRST(&waiting->free);
	if (!entry && waiting->touched < waiting->max) {
		entry = &waiting->entries[waiting->touched++];
		entry->generation = 1;
		LIST_INSERT_HEAD(&waiting->free, entry, link);
	}
	return entry;
}

struct dns_query_id waiting_next(struct waiting *waiting, const struct client *client)
{
	const struct waiting_query *entry = next_free(waiting);
	if (!entry || !source_has_room(&waiting->sources, source_network(&client->source.any)))
		return WAITING_NONE;
	return (struct dns_query_id){(uint32_t)(entry - waiting->entries), entry->generation};
}

struct waiting_query *waiting_put(struct waiting *waiting, const struct client *client,
	const struct query *query, const struct tsig *tsig, uint32_t service,
	struct waiting_owner *owner)
{
	struct waiting_query *entry = next_free(waiting);
	LIST_REMOVE(entry, link);
	entry->used = true;
	entry->owner = owner;
	if (owner) {
		LIST_INSERT_HEAD(&owner->list, entry, link);
		owner->count++;
	}
	entry->service = entry->answer_as = service;
	entry->network = source_network(&client->source.any);
	source_enter(&waiting->sources, entry->network);
	entry->client = *client;
	entry->query = *query;
	entry->query.question = entry->question;
	memcpy(entry->question, query->question, query->question_size);
	entry->query.tsig = tsig ? query->tsig : 0;
	if (tsig)
		entry->tsig = *tsig;
	return entry;
}

struct waiting_query *waiting_find(const struct waiting *waiting, struct dns_query_id id)
{
	if (id.slot >= waiting->touched)
		return NULL;
	struct waiting_query *entry = &waiting->entries[id.slot];
	return entry->used && entry->generation == id.generation ? entry : NULL;
}

void waiting_detach(struct waiting_query *entry)
{
	if (!entry->owner)
		return;
	LIST_REMOVE(entry, link);
	entry->owner->count--;
	entry->owner = NULL;
}

void waiting_release(struct waiting *waiting, struct waiting_query *entry)
{
	waiting_detach(entry);
	source_leave(&waiting->sources, entry->network);
	entry->used = false;
	if (entry->query.tsig > 0)
		tsig_forget(&entry->tsig);
	/* 0 is the generation of no query. */
	if (++entry->generation == 0)
		entry->generation = 1;
	LIST_INSERT_HEAD(&waiting->free, entry, link);
}

void waiting_forget(struct waiting *waiting, struct waiting_owner *owner)
{
	struct waiting_query *entry;
	while ((entry = LIST_FIRST(&owner->list)))
		waiting_release(waiting, entry);
}
