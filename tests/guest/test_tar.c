/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>

#include "guest-kernel/apps/tar.h"
#include "tests/guest/archive.h"

static void files_are_found(void **state)
{
	(void)state;
	struct archive a = {0};
	archive_add(&a, "./", '5', "");
	archive_add(&a, "./index.html", '0', "hello");
	uint8_t *header = archive_add(&a, "name", '\0', "");
	memcpy(header + 345, "long/prefix", 11);
	archive_sign(header);
	struct tar tar = {a.data, a.size + 2 * ARCHIVE_BLOCK, 0};
	struct tar_entry entry;
	const char *why = NULL;
	assert_int_equal(tar_next(&tar, &entry, &why), 1);
	assert_string_equal(entry.name, "index.html");
	assert_int_equal(entry.size, 5);
	assert_memory_equal(entry.data, "hello", 5);
	assert_int_equal(entry.mtime, 1000000000);
	assert_int_equal(tar_next(&tar, &entry, &why), 1);
	assert_string_equal(entry.name, "long/prefix/name");
	assert_int_equal(tar_next(&tar, &entry, &why), 0);
}

static void longest_names_fit(void **state)
{
	(void)state;
	struct archive a = {0};
	uint8_t *header = archive_add(&a, "x", '0', "");
	memset(header, 'n', 100);
	memset(header + 345, 'p', 155);
	archive_sign(header);
	struct tar tar = {a.data, a.size, 0};
	struct tar_entry entry;
	const char *why = NULL;
	assert_int_equal(tar_next(&tar, &entry, &why), 1);
	assert_int_equal(strlen(entry.name), TAR_NAME_MAX - 1);
}

static int read_damaged(struct archive *a, size_t size, const char **why)
{
	/* Memory of just that size, so that a sanitizer sees a step beyond it. */
	uint8_t *exact = malloc(size ? size : 1);
	memcpy(exact, a->data, size);
	struct tar tar = {exact, size, 0};
	struct tar_entry entry;
	int result;
	while ((result = tar_next(&tar, &entry, why)) > 0)
		for (size_t i = 0; i < entry.size; i++)
			assert_int_equal(entry.data[i], 'd');
	free(exact);
	return result;
}

static void damage_is_refused(void **state)
{
	(void)state;
	const char *why = NULL;
	struct archive a = {0};
	uint8_t *header = archive_add(&a, "file", '0', "ddddd");
	assert_int_equal(read_damaged(&a, a.size, &why), 0);
	assert_int_equal(read_damaged(&a, 0, &why), 0);
	assert_int_equal(read_damaged(&a, ARCHIVE_BLOCK + 5, &why), 0);
	assert_int_equal(read_damaged(&a, ARCHIVE_BLOCK + 4, &why), -EINVAL);
	assert_string_equal(why, "the archive is cut short");
	header[0] ^= 1;
	assert_int_equal(read_damaged(&a, a.size, &why), -EINVAL);
	memcpy(header + 124, "777777777777", 12);
	archive_sign(header);
	assert_int_equal(read_damaged(&a, a.size, &why), -EINVAL);
	memcpy(header + 124, "12x45678901", 12);
	archive_sign(header);
	assert_int_equal(read_damaged(&a, a.size, &why), -EINVAL);
}

/* Passing over these would serve the next file under a wrong name. */
static void extensions_are_refused(void **state)
{
	(void)state;
	static const char types[] = {'x', 'L'};
	for (size_t i = 0; i < sizeof(types); i++) {
		struct archive a = {0};
		const char *why = NULL;
		archive_add(&a, "extension", types[i], "other name");
		archive_add(&a, "file", '0', "d");
		assert_int_equal(read_damaged(&a, a.size, &why), -EINVAL);
		assert_non_null(strstr(why, "--format=ustar"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_found),
		cmocka_unit_test(longest_names_fit),
		cmocka_unit_test(damage_is_refused),
		cmocka_unit_test(extensions_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
