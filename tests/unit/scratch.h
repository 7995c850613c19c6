/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A directory of a test's own with room for one database; include after cmocka.h. */
struct scratch {
	char directory[64];
	char path[80];
};

static inline struct scratch *scratch_create(void)
{
	struct scratch *scratch = calloc(1, sizeof(*scratch));
	if (!scratch)
		abort();
	strcpy(scratch->directory, "/tmp/summond-test-XXXXXX");
	if (!mkdtemp(scratch->directory))
		abort();
	snprintf(scratch->path, sizeof(scratch->path), "%s/db", scratch->directory);
	return scratch;
}

static inline void scratch_destroy(struct scratch *scratch)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		char path[100];
		snprintf(path, sizeof(path), "%s%s", scratch->path, suffixes[i]);
		unlink(path);
	}
	rmdir(scratch->directory);
	free(scratch);
}

static inline int scratch_setup(void **state)
{
	*state = scratch_create();
	return 0;
}

static inline int scratch_teardown(void **state)
{
	scratch_destroy(*state);
	return 0;
}

#define SCRATCH_TEST(function)                                                                     \
	cmocka_unit_test_setup_teardown(function, scratch_setup, scratch_teardown)

#endif
