/* SPDX-License-Identifier: ISC */
#include "launcher/sim/sim.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/*
 * <state_dir>/guests: one guest a line, fields separated by tabs, the command line last:
 *   slot generation paused booted started_at ran since identity service tap cmdline
 * paused: 0, 1, or 2 for a guest on disk. A string that could break a line is refused at `start`, so
 * that nothing needs escapes.
 */
enum { NUMBERS = 7, STRINGS = 4 };

void sim_record_finish(struct sim_record *record)
{
	free(record->identity);
	free(record->service);
	free(record->tap);
	free(record->cmdline);
}

static bool numbers_parse(char **rest, uint64_t numbers[NUMBERS])
{
	for (int i = 0; i < NUMBERS; i++) {
		char *field = strsep(rest, "\t"), *end;
		if (!field || *field < '0' || *field > '9')
			return false;
		errno = 0;
		numbers[i] = strtoull(field, &end, 10);
		if (errno || *end)
			return false;
	}
	return numbers[0] <= UINT32_MAX && numbers[1] <= UINT32_MAX;
}

/* Takes `line` apart; false where it is no record. */
static bool record_parse(struct sim_record *record, char *line)
{
	uint64_t n[NUMBERS];
	char *strings[STRINGS] = {0};
	line[strcspn(line, "\n")] = '\0';
	if (!numbers_parse(&line, n))
		return false;
	for (int i = 0; i < STRINGS; i++) {
		char *field = strsep(&line, i < STRINGS - 1 ? "\t" : "\n");
		if (!field || !(strings[i] = strdup(field))) {
			while (i-- > 0)
				free(strings[i]);
			return false;
		}
	}
	*record = (struct sim_record){
		.id = {(uint32_t)n[0], (uint32_t)n[1]},
		.paused = n[2],
		.saved = n[2] == 2,
		.booted = n[3],
		.started_at = n[4],
		.ran = n[5],
		.since = n[6],
		.identity = strings[0],
		.service = strings[1],
		.tap = strings[2],
		.cmdline = strings[3],
	};
	return true;
}

int sim_records_load(const char *state_dir, void (*each)(void *ctx, struct sim_record *record),
	void *ctx, struct error *err)
{
	CLEANUP(free) char *path = NULL;
	if (asprintf(&path, "%s/guests", state_dir) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	CLEANUP(fclose) FILE *file = fopen(path, "re");
	if (!file && errno == ENOENT)
		return 0;
	if (!file)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	CLEANUP(free) char *line = NULL;
	size_t size = 0;
	for (unsigned number = 1; getline(&line, &size, file) >= 0; number++) {
		struct sim_record record;
		if (!record_parse(&record, line))
			return error_set(err, -EINVAL,
				"%s:%u is no record of a guest; remove the file to start afresh",
				path, number);
		each(ctx, &record);
	}
	return 0;
}

void sim_records_put(FILE *file, const struct sim_record *record)
{
	fprintf(file,
		"%" PRIu32 "\t%" PRIu32 "\t%d\t%d\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64
		"\t%s\t%s\t%s\t%s\n",
		record->id.slot, record->id.generation, record->saved ? 2 : record->paused,
		record->booted, record->started_at, record->ran, record->since, record->identity,
		record->service, record->tap, record->cmdline);
}

static char *file_path(const char *state_dir, const char *name)
{
	char *path;
	return asprintf(&path, "%s/%s", state_dir, name) < 0 ? NULL : path;
}

int sim_records_begin(const char *state_dir, FILE **file, struct error *err)
{
	CLEANUP(free) char *fresh = file_path(state_dir, "guests.new");
	*file = fresh ? fopen(fresh, "we") : NULL;
	if (!*file)
		return error_set(err, -EIO, "%s/guests.new: %s", state_dir, strerror(errno));
	return 0;
}

int sim_records_commit(const char *state_dir, FILE *file, struct error *err)
{
	CLEANUP(free) char *fresh = file_path(state_dir, "guests.new");
	CLEANUP(free) char *path = file_path(state_dir, "guests");
	int failed = ferror(file);
	if (fclose(file) != 0 || failed || !fresh || !path || rename(fresh, path) < 0)
		return error_set(err, -EIO, "%s/guests: cannot be written", state_dir);
	return 0;
}
