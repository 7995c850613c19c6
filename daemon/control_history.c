/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "daemon/control_internal.h"
#include "daemon/json_text.h"
#include "db/history.h"

/* What happened, read from the journal on the storage thread, where the answer is built too. */

#define LIMIT_DEFAULT 50
#define LIMIT_MAX     1000

struct reading {
	struct control *control;
	struct http_request *request;
	uint32_t service; /* 0: all */
	uint64_t summon, before;
	unsigned limit;
	json_t *answer, *list;
};

/* Ids become names on the loop thread, which owns the registry. */
static void name_services(struct control *control, json_t *list)
{
	size_t index;
	json_t *row;
	json_array_foreach(list, index, row)
	{
		json_int_t id = json_integer_value(json_object_get(row, "service"));
		const struct service *service =
			service_by_id(&control->daemon->registry, (uint32_t)id);
		json_object_set_new(
			row, "service", json_string(service ? service->def.name : "(removed)"));
	}
}

static int add_stage(void *ctx, const struct history_entry *entry)
{
	json_array_append_new(ctx,
		json_pack("{s:s, s:I}", "name", entry->word, "at_ns", (json_int_t)entry->elapsed));
	return 0;
}

static json_t *summon_json(const struct history_entry *entry)
{
	return json_pack("{s:I, s:I, s:s, s:s, s:o, s:I, s:i, s:o, s:[]}", "id",
		(json_int_t)entry->summon, "service", (json_int_t)entry->service, "cause",
		entry->from, "outcome", entry->word, "started", control_time_json(entry->at),
		"elapsed_ns", (json_int_t)entry->elapsed, "waiters", (int)entry->waiters, "detail",
		json_text(entry->detail), "stages");
}

static int add_summon(void *ctx, const struct history_entry *entry)
{
	struct reading *reading = ctx;
	json_t *json = summon_json(entry);
	json_array_append_new(reading->list, json);
	return 0;
}

static int add_stages(struct store *store, json_t *list, struct error *err)
{
	size_t index;
	json_t *row;
	int rc = 0;
	json_array_foreach(list, index, row)
	{
		uint64_t id = (uint64_t)json_integer_value(json_object_get(row, "id"));
		rc = history_each_stage(store, id, add_stage, json_object_get(row, "stages"), err);
		if (rc < 0)
			break;
	}
	return rc;
}

static int read_summons(struct store *store, void *ctx, struct error *err)
{
	struct reading *reading = ctx;
	int rc = history_each_summon(
		store, reading->service, reading->before, reading->limit, add_summon, reading, err);
	return rc < 0 ? rc : add_stages(store, reading->list, err);
}

static int read_summon(struct store *store, void *ctx, struct error *err)
{
	struct reading *reading = ctx;
	struct history_entry entry;
	int rc = history_find_summon(store, reading->summon, &entry, err);
	if (rc < 0)
		return rc;
	add_summon(reading, &entry);
	return add_stages(store, reading->list, err);
}

static int add_transition(void *ctx, const struct history_entry *entry)
{
	struct reading *reading = ctx;
	json_array_append_new(reading->list,
		json_pack("{s:I, s:s, s:s, s:s, s:I, s:i, s:o}", "service",
			(json_int_t)entry->service, "from", entry->from, "to", entry->to, "event",
			entry->word, "summon", (json_int_t)entry->summon, "generation",
			(int)entry->generation, "at", control_time_json(entry->at)));
	return 0;
}

static int read_transitions(struct store *store, void *ctx, struct error *err)
{
	struct reading *reading = ctx;
	return history_each_transition(
		store, reading->service, reading->limit, add_transition, reading, err);
}

static void reading_free(struct reading *reading)
{
	json_decref(reading->answer);
	json_decref(reading->list);
	free(reading);
}

static void read_done(void *ctx, int rc, const struct error *err)
{
	struct reading *reading = ctx;
	name_services(reading->control, reading->list);
	if (rc < 0)
		http_respond_error(reading->request, control_status(rc), "%s", err->message);
	else if (reading->summon)
		http_respond(reading->request, 200, json_incref(json_array_get(reading->list, 0)));
	else
		http_respond(reading->request, 200, json_incref(reading->answer));
	reading_free(reading);
}

static bool read_number(
	struct http_request *request, const char *name, uint64_t min, uint64_t max, uint64_t *out)
{
	struct error err = ERROR_INIT;
	const char *text = http_query(request, name);
	if (!text || number_parse(text, min, max, out, &err) >= 0)
		return true;
	http_respond_error(request, 400, "%s: %s", name, err.message);
	return false;
}

/* What the query string asks for; NULL after an answer was sent. */
static struct reading *begin(struct control *control, struct http_request *request, const char *key)
{
	uint64_t limit = LIMIT_DEFAULT, before = 0;
	const struct service *service = NULL;
	const char *given = http_query(request, "service");
	if (!read_number(request, "limit", 1, LIMIT_MAX, &limit) ||
		!read_number(request, "before", 1, INT64_MAX, &before))
		return NULL;
	if (given && !(service = control_find(control, request, given)))
		return NULL;
	struct reading *reading = calloc(1, sizeof(*reading));
	if (!reading) {
		http_respond_error(request, 500, "out of memory");
		return NULL;
	}
	*reading = (struct reading){.control = control,
		.request = request,
		.service = service ? service->def.id : 0,
		.before = before,
		.limit = (unsigned)limit,
		.list = json_array()};
	reading->answer = json_pack("{s:O}", key, reading->list);
	return reading;
}

static void go(struct reading *reading, storage_work_fn work)
{
	struct daemon *daemon = reading->control->daemon;
	struct error err = ERROR_INIT;
	journal_flush(&daemon->journal); /* what has just happened is to be seen */
	int rc = storage_run(daemon->storage, work, read_done, reading, &err);
	if (rc >= 0)
		return;
	http_respond_error(reading->request, control_status(rc), "%s", err.message);
	reading_free(reading);
}

void control_list_summons(void *ctx, struct http_request *request)
{
	struct reading *reading = begin(ctx, request, "summons");
	if (reading)
		go(reading, read_summons);
}

void control_list_transitions(void *ctx, struct http_request *request)
{
	struct reading *reading = begin(ctx, request, "transitions");
	if (reading)
		go(reading, read_transitions);
}

void control_get_summon(void *ctx, struct http_request *request)
{
	uint64_t id;
	struct error err = ERROR_INIT;
	if (number_parse(http_param(request, "id"), 1, INT64_MAX, &id, &err) < 0) {
		http_respond_error(request, 404, "a summon is a number: %s", err.message);
		return;
	}
	struct reading *reading = begin(ctx, request, "summons");
	if (!reading)
		return;
	reading->summon = id;
	go(reading, read_summon);
}
