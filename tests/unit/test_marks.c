/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/marks.h"
#include "tests/unit/scratch.h"

static const char *look(const struct marks *marks, const char *name)
{
	static char fact[80];
	return marks_get(marks, name, fact, sizeof(fact)) ? fact : NULL;
}

static bool is_seven(const struct daemon *daemon, const char *name)
{
	assert_null(daemon);
	return strcmp(name, "7") == 0;
}

static void remove_folder(const struct scratch *scratch)
{
	char folder[80];
	snprintf(folder, sizeof(folder), "%s/marks", scratch->directory);
	assert_int_equal(rmdir(folder), 0); /* nothing is left in it */
}

static void one_takes_the_place_of_another(void **state)
{
	const struct scratch *scratch = *state;
	const struct marks marks = {scratch->directory, "marks"};
	char cut[4];
	assert_null(look(&marks, "7"));
	marks_remove(&marks, "7");
	assert_int_equal(marks_put(&marks, "7", "10.0.0.1"), 0);
	assert_string_equal(look(&marks, "7"), "10.0.0.1");
	assert_int_equal(marks_put(&marks, "7", "fd00::1+direct"), 0);
	assert_int_equal(marks_put(&marks, "8", "nobody"), 0);
	assert_string_equal(look(&marks, "7"), "fd00::1+direct");
	assert_true(marks_get(&marks, "8", cut, sizeof(cut)));
	assert_string_equal(cut, "nob");
	marks_remove(&marks, "8");
	assert_null(look(&marks, "8"));
	marks_sweep(&marks, NULL, is_seven);
	assert_string_equal(look(&marks, "7"), "fd00::1+direct");
	marks_remove(&marks, "7");
	remove_folder(scratch);
}

static void what_a_killed_daemon_left_is_no_obstacle(void **state)
{
	const struct scratch *scratch = *state;
	const struct marks marks = {scratch->directory, "marks"};
	assert_int_equal(marks_put(&marks, "7", "a"), 0);
	assert_int_equal(marks_put(&marks, "7.new", "half done"), 0);
	assert_int_equal(marks_put(&marks, "7", "b"), 0);
	assert_string_equal(look(&marks, "7"), "b");
	assert_int_equal(marks_put(&marks, "9.new", "half done"), 0);
	marks_sweep(&marks, NULL, is_seven);
	assert_null(look(&marks, "9.new"));
	marks_remove(&marks, "7");
	remove_folder(scratch);
}

static void what_cannot_be_is_told(void **state)
{
	const struct scratch *scratch = *state;
	const struct marks none = {scratch->path, "marks"};
	assert_int_equal(marks_put(&none, "7", "a"), -ENOENT);
	marks_sweep(&none, NULL, is_seven);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(one_takes_the_place_of_another),
		SCRATCH_TEST(what_a_killed_daemon_left_is_no_obstacle),
		SCRATCH_TEST(what_cannot_be_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
