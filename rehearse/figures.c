/* SPDX-License-Identifier: ISC */
#include "rehearse/figures.h"

#include <stdlib.h>
#include <string.h>

#include "base/units.h"

void reasons_finish(struct reasons *reasons)
{
	for (unsigned i = 0; i < reasons->count; i++)
		free(reasons->words[i]);
	*reasons = (struct reasons){.count = 0};
}

unsigned reasons_find(struct reasons *reasons, const char *word)
{
	for (unsigned i = 0; i < reasons->count; i++)
		if (strcmp(reasons->words[i], word) == 0)
			return i;
	if (reasons->count >= REASONS_MAX - 1)
		word = "other";
	if (reasons->count == REASONS_MAX)
		return REASONS_MAX - 1; /* "other" */
	char *copy = strdup(word);
	if (!copy)
		return 0;
	reasons->words[reasons->count] = copy;
	return reasons->count++;
}

void figures_finish(struct figures *figures)
{
	free(figures->refusals);
	figures->refusals = NULL;
	spread_finish(&figures->answers);
	spread_finish(&figures->packets);
}

void figures_refuse(struct figures *figures, unsigned reason)
{
	if (!figures->refusals)
		figures->refusals = calloc(REASONS_MAX, sizeof(*figures->refusals));
	if (figures->refusals)
		figures->refusals[reason]++;
}

void figures_sum(struct figures *all, const struct figures *one)
{
	for (size_t i = 0; i < FIGURE_COUNT; i++)
		all->counts[i] += one->counts[i];
	for (size_t i = 0; i < SPELL_COUNT; i++) {
		all->spells[i] += one->spells[i];
		all->memory[i] += one->memory[i];
	}
}

/* --- as JSON --- */

struct member {
	const char *name;
	unsigned index;
};

static json_t *counts_json(const struct figures *figures, const struct member *members)
{
	json_t *object = json_object();
	for (; members->name; members++)
		json_object_set_new(object, members->name,
			json_integer((json_int_t)figures->counts[members->index]));
	return object;
}

static json_t *queries_json(const struct figures *figures)
{
	static const struct member members[] = {{"all", QUERIES}, {"at_once", QUERIES_AT_ONCE},
		{"no_wake", QUERIES_NO_WAKE}, {"waited", QUERIES_WAITED},
		{"deadline", QUERIES_DEADLINE}, {"failed", QUERIES_FAILED},
		{"refused", QUERIES_REFUSED}, {"open", QUERIES_OPEN}, {0}};
	return counts_json(figures, members);
}

static json_t *packets_json(const struct figures *figures)
{
	static const struct member members[] = {{"all", PACKETS}, {"at_once", PACKETS_AT_ONCE},
		{"waited", PACKETS_WAITED}, {"failed", PACKETS_FAILED},
		{"refused", PACKETS_REFUSED}, {"open", PACKETS_OPEN}, {0}};
	return counts_json(figures, members);
}

static json_t *starts_json(const struct figures *figures)
{
	static const struct member members[] = {{"cold", STARTS_COLD},
		{"prepared", STARTS_PREPARED}, {"resumed", STARTS_RESUMED},
		{"restored", STARTS_RESTORED}, {"ahead", STARTS_AHEAD}, {"failed", STARTS_FAILED},
		{0}};
	const uint64_t *counts = figures->counts;
	json_t *object = counts_json(figures, members);
	json_object_set_new(object, "all",
		json_integer((json_int_t)(counts[STARTS_COLD] + counts[STARTS_PREPARED] +
					  counts[STARTS_RESUMED] + counts[STARTS_RESTORED])));
	return object;
}

static const char *const spell_names[SPELL_COUNT] = {
	[SPELL_STARTING] = "starting",
	[SPELL_AWAKE] = "awake",
	[SPELL_STOPPING] = "stopping",
	[SPELL_PREPARED] = "prepared",
	[SPELL_SUSPENDED] = "suspended",
};

static json_t *seconds_json(const struct figures *figures)
{
	json_t *object = json_object();
	for (size_t i = 0; i < SPELL_NOTHING; i++)
		json_object_set_new(object, spell_names[i],
			json_real((double)figures->spells[i] / (double)NS_PER_S));
	return object;
}

/* MiB seconds. */
static json_t *memory_json(const struct figures *figures)
{
	json_t *object = json_object();
	double all = 0;
	for (size_t i = 0; i < SPELL_NOTHING; i++) {
		double held = figures->memory[i] / (1 << 20);
		all += held;
		json_object_set_new(object, spell_names[i], json_real(held));
	}
	json_object_set_new(object, "all", json_real(all));
	return object;
}

static json_t *spread_json(const struct spread *spread)
{
	return json_pack("{s:I, s:f, s:f, s:f, s:f}", "count", (json_int_t)spread->total, "p50_ms",
		(double)spread_percentile(spread, 50) / 1e6, "p90_ms",
		(double)spread_percentile(spread, 90) / 1e6, "p99_ms",
		(double)spread_percentile(spread, 99) / 1e6, "max_ms", (double)spread->max / 1e6);
}

static json_t *refusals_json(const struct figures *figures, const struct reasons *reasons)
{
	json_t *object = json_object();
	for (unsigned i = 0; figures->refusals && i < reasons->count; i++)
		if (figures->refusals[i])
			json_object_set_new(object, reasons->words[i],
				json_integer((json_int_t)figures->refusals[i]));
	return object;
}

json_t *figures_json(const struct figures *figures, const struct reasons *reasons)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "starts", starts_json(figures),
		"seconds", seconds_json(figures), "memory_mib_s", memory_json(figures), "queries",
		queries_json(figures), "packets", packets_json(figures), "refusals",
		refusals_json(figures, reasons), "answers", spread_json(&figures->answers),
		"packet_waits", spread_json(&figures->packets));
}
