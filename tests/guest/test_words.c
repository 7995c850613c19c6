/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <string.h>

#include "guest-kernel/kernel/words.h"

static void values(void **state)
{
	(void)state;
	static const char line[] = "  ip=10.77.0.5/16 zip=no\tgw=10.77.0.1 ip=second empty= bare";
	char text[16];
	assert_true(word_value(line, "ip", text, sizeof(text)));
	assert_string_equal(text, "10.77.0.5/16");
	assert_true(word_value(line, "gw", text, sizeof(text)));
	assert_string_equal(text, "10.77.0.1");
	assert_true(word_value(line, "empty", text, sizeof(text)));
	assert_string_equal(text, "");
	assert_false(word_value(line, "bare", text, sizeof(text)));
	assert_false(word_value(line, "i", text, sizeof(text)));
	assert_false(word_value("", "ip", text, sizeof(text)));
	/* Just fits, just does not. */
	assert_true(word_value(line, "zip", text, 3));
	assert_false(word_value(line, "zip", text, 2));
	assert_string_equal(text, "");
}

static bool count(void *context, const char *value, size_t size)
{
	(void)value;
	unsigned *found = context;
	*found += (unsigned)size;
	return *found < 4;
}

static void each(void **state)
{
	(void)state;
	unsigned sizes = 0;
	word_each("d=a x d=bb dd=7 d=c d=ignored", "d", count, &sizes);
	assert_int_equal(sizes, 4);
}

static void numbers(void **state)
{
	(void)state;
	uint32_t n = 7;
	assert_true(number_read("65535", 1, 65535, &n));
	assert_int_equal(n, 65535);
	static const char *const bad[] = {
		"", "0", "65536", "-1", "1x", " 1", "99999999999999999999999"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(number_read(bad[i], 1, 65535, &n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),
		cmocka_unit_test(each),
		cmocka_unit_test(numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
