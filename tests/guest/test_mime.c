/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "guest-kernel/apps/mime.h"

static void types(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"index.html", "text/html; charset=utf-8"},
		{"a/b/Style.CSS", "text/css; charset=utf-8"},
		{"photo.jpeg", "image/jpeg"},
		{"archive.tar.gz", "application/gzip"},
		{"html", "application/octet-stream"},
		{"dir.html/file", "application/octet-stream"},
		{"file.", "application/octet-stream"},
		{"", "application/octet-stream"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(mime_type(cases[i][0]), cases[i][1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(types)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
