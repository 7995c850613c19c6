/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "summonctl/scene.h"
#include "summonctl/table.h"

/* How long the guests of a rehearsal take to serve. */

enum delay { BOOT, RESUME, RESTORE, DELAY_COUNT };

/* Assumed where nothing is known: guests of ours under QEMU are about so quick. */
static const struct {
	const char *option, *setting; /* of the backend sim */
	const char *assumed;
} delays[DELAY_COUNT] = {
	[BOOT] = {"boot", "boot_delay", "100ms"},
	[RESUME] = {"resume", "resume_delay", "5ms"},
	[RESTORE] = {"restore", "restore_delay", "50ms"},
};

struct samples {
	uint64_t *values;
	size_t count;
};

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static uint64_t median(struct samples *samples)
{
	qsort(samples->values, samples->count, sizeof(*samples->values), compare);
	return samples->values[samples->count / 2];
}

static uint64_t stage(const json_t *summon, const char *name)
{
	size_t i;
	const json_t *stage;
	json_array_foreach(json_object_get(summon, "stages"), i, stage)
	{
		if (strcmp(text_of(stage, "name"), name) == 0)
			return number_of(stage, "at_ns");
	}
	return 0;
}

/* One whose memory was there serves as soon as its backend says that it runs. Where that was is not
 * recorded: out of memory is taken, which is by far the most common. */
static bool took(const json_t *summon, enum delay which, uint64_t *time)
{
	uint64_t asked = stage(summon, "asked"), created = stage(summon, "created"),
		 ready = stage(summon, "ready");
	enum delay kind = ready > created ? BOOT : RESUME;
	*time = ready - asked;
	return strcmp(text_of(summon, "outcome"), "ready") == 0 && asked && created &&
	       ready >= created && kind == which;
}

/* The recorded times of a service, NULL: of all. */
static struct samples gather(const json_t *summons, const char *service, enum delay which)
{
	struct samples samples = {calloc(json_array_size(summons) + 1, sizeof(uint64_t)), 0};
	size_t i;
	const json_t *summon;
	json_array_foreach(summons, i, summon)
	{
		bool its = !service || strcmp(text_of(summon, "service"), service) == 0;
		if (samples.values && its && took(summon, which, &samples.values[samples.count]))
			samples.count++;
	}
	return samples;
}

/* Words for the guest's command line, of which the simulation reads those for it. */
static void set_own(json_t *service, const json_t *summons, const struct arguments *arguments)
{
	char words[2048] = "", text[DURATION_TEXT];
	size_t length = 0;
	for (enum delay i = 0; i < DELAY_COUNT; i++) {
		struct samples samples = gather(summons, text_of(service, "name"), i);
		if (samples.count > 0 && !option_value(arguments, delays[i].option))
			length += (size_t)snprintf(words + length, sizeof(words) - length,
				"sim.%s=%s ", delays[i].setting,
				duration_print(median(&samples), text));
		free(samples.values);
	}
	CLEANUP(free) char *own = strdup(text_of(service, "cmdline"));
	for (char *rest = own, *word; (word = strsep(&rest, " ")) && length < sizeof(words);)
		if (strncmp(word, "sim.", 4) == 0)
			length += (size_t)snprintf(
				words + length, sizeof(words) - length, "%s ", word);
	json_object_set_new(service, "cmdline", json_string(words));
}

static const char *set_one(json_t *sim, const struct arguments *arguments, const json_t *summons,
	enum delay which, uint64_t *time)
{
	char text[DURATION_TEXT];
	struct samples samples = gather(summons, NULL, which);
	const char *given = option_value(arguments, delays[which].option), *why = "assumed";
	duration_parse(delays[which].assumed, time, NULL);
	if (given) {
		struct error err = ERROR_INIT;
		why = duration_parse(given, time, &err) < 0 ? NULL : "as told";
		if (!why)
			fail_usage("--%s: %s", delays[which].option, err.message);
	} else if (samples.count > 0) {
		*time = median(&samples);
		why = "as recorded";
	}
	free(samples.values);
	json_object_set_new(sim, delays[which].setting, json_string(duration_print(*time, text)));
	return why;
}

int scene_set_delays(json_t *scene, const struct arguments *arguments, const json_t *summons,
	char *told, size_t size)
{
	json_t *sim = json_object_get(scene, "sim");
	size_t i, length = 0;
	json_t *service;
	/* From the question to the backend until the guest serves. */
	json_object_set_new(sim, "create_delay", json_string("0"));
	for (enum delay which = 0; which < DELAY_COUNT; which++) {
		char text[WHEN_TEXT];
		uint64_t time;
		const char *why = set_one(sim, arguments, summons, which, &time);
		if (!why)
			return EXIT_USAGE;
		if (length < size)
			length += (size_t)snprintf(told + length, size - length, "%s%s %s (%s)",
				which ? ", " : "", delays[which].option, print_elapsed(time, text),
				why);
	}
	json_array_foreach(json_object_get(scene, "services"), i, service)
		set_own(service, summons, arguments);
	return EXIT_OK;
}
