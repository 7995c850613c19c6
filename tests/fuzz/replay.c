/* SPDX-License-Identifier: ISC */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "tests/fuzz/cost.h"

/* Runs a fuzz target over each file of its corpus, as an ordinary test: the arguments are the
 * directories. What was once found stays found. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The dearest of all inputs so far. */
struct dearest {
	struct cost cost;
	char name[256];
};

static int replay_file(const char *directory, const char *name, struct dearest *dearest)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	CLEANUP(fclose) FILE *file = fopen(path, "rb");
	CLEANUP(free) uint8_t *bytes = malloc(1 << 20);
	if (!file || !bytes) {
		printf("# %s: %s\n", path, strerror(errno));
		return -1;
	}
	size_t size = fread(bytes, 1, 1 << 20, file);
	/* Before, so that the culprit of a crash is known. */
	printf("# %s\n", name);
	fflush(stdout);
	cost_note(cost_now());
	LLVMFuzzerTestOneInput(bytes, size);
	struct cost cost = cost_noted();
	if (cost.steps > dearest->cost.steps) {
		dearest->cost = cost;
		snprintf(dearest->name, sizeof(dearest->name), "%s", name);
	}
	return 0;
}

static int replay_directory(const char *directory)
{
	CLEANUP(closedir) DIR *dir = opendir(directory);
	struct dearest dearest = {0};
	int count = 0;
	if (!dir) {
		printf("# %s: %s\n", directory, strerror(errno));
		return -1;
	}
	for (const struct dirent *entry; (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue;
		if (replay_file(directory, entry->d_name, &dearest) < 0)
			return -1;
		count++;
	}
	if (dearest.cost.steps > 0)
		printf("# dearest: %s, %" PRIu64 " steps of at most %u, %.1f us here\n",
			dearest.name, dearest.cost.steps, COST_MAX_STEPS,
			(double)dearest.cost.ns / 1e3);
	return count;
}

int main(int argc, char **argv)
{
	int failed = 0;
	printf("1..%d\n", argc - 1);
	for (int i = 1; i < argc; i++) {
		int count = replay_directory(argv[i]);
		printf("%s %d - %d inputs\n", count > 0 ? "ok" : "not ok", i, count);
		failed |= count <= 0;
	}
	return failed;
}
