/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>

#include "guest-kernel/apps/site.h"
#include "tests/guest/archive.h"

static void paths(void **state)
{
	(void)state;
	struct archive a = {0};
	struct site site;
	const char *why = NULL;
	archive_add(&a, "./index.html", '0', "root");
	archive_add(&a, "sub/index.html", '0', "old");
	archive_add(&a, "a.txt", '0', "text");
	archive_add(&a, "sub/index.html", '0', "newer");
	assert_int_equal(site_init(&site, a.data, a.size, &why), 0);
	static const struct {
		const char *path;
		enum site_found found;
		const char *content;
	} cases[] = {
		{"/", SITE_FILE, "root"},
		{"/index.html", SITE_FILE, "root"},
		{"/a.txt", SITE_FILE, "text"},
		{"/a.txt/", SITE_NOTHING, NULL},
		{"/sub", SITE_DIRECTORY, NULL},
		{"/sub/", SITE_FILE, "newer"},
		{"/su", SITE_NOTHING, NULL},
		{"//", SITE_NOTHING, NULL},
		{"/none", SITE_NOTHING, NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct site_file *file = NULL;
		assert_int_equal(site_find(&site, cases[i].path, &file), cases[i].found);
		if (cases[i].content) {
			assert_int_equal(file->size, strlen(cases[i].content));
			assert_memory_equal(file->data, cases[i].content, file->size);
		}
	}
	char long_path[2048];
	memset(long_path, 'x', sizeof(long_path));
	long_path[0] = '/';
	long_path[sizeof(long_path) - 1] = '\0';
	const struct site_file *file;
	assert_int_equal(site_find(&site, long_path, &file), SITE_NOTHING);
	site_finish(&site);
}

static void damage_leaves_nothing(void **state)
{
	(void)state;
	struct archive a = {0};
	struct site site;
	const char *why = NULL;
	archive_add(&a, "index.html", '0', "root");
	archive_add(&a, "other", '0', "root")[0] ^= 1;
	assert_int_equal(site_init(&site, a.data, a.size, &why), -EINVAL);
	assert_non_null(why);
	assert_null(site.files);
	assert_int_equal(site_init(&site, a.data, 0, &why), 0);
	const struct site_file *file;
	assert_int_equal(site_find(&site, "/", &file), SITE_NOTHING);
	site_finish(&site);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		cmocka_unit_test(damage_leaves_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
