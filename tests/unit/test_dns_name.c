/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "dns/dns.h"
#include "dns/name.h"
#include "tests/dns/bytes.h"

#define LABEL_63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"

static void canonical_text(void **state)
{
	(void)state;
	static const struct {
		const char *text, *canonical;
	} good[] = {
		{"www.example.test", "www.example.test"},
		{"WWW.Example.TEST.", "www.example.test"},
		{"a", "a"},
		{"_dns-1.x-", "_dns-1.x-"},
		{LABEL_63 ".test", LABEL_63 ".test"},
	};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char text[254];
		assert_int_equal(dns_name_canonical(good[i].text, text, NULL), 0);
		assert_string_equal(text, good[i].canonical);
	}
}

static void bad_text_is_explained(void **state)
{
	(void)state;
	static const struct {
		const char *text, *why;
	} bad[] = {
		{"", "it is empty"},
		{".", "it is empty"},
		{"..", "empty label"},
		{"a..b", "empty label"},
		{".a", "empty label"},
		{"a..", "empty label"},
		{"a b", "byte 0x20 at 1"},
		{"www.ex*mple", "byte 0x2a at 6"},
		{"m\xc3\xbcnchen", "byte 0xc3 at 1"},
		{"a\\.b", "byte 0x5c at 1"},
		{LABEL_63 "x.test", "64 letters, at most 63"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[254] = "untouched";
		struct error err = ERROR_INIT;
		assert_int_equal(dns_name_canonical(bad[i].text, text, &err), -EINVAL);
		assert_string_equal(text, "untouched");
		if (!strstr(err.message, bad[i].why))
			fail_msg("'%s': '%s' does not say '%s'", bad[i].text, err.message,
				bad[i].why);
	}
}

static void longest_name(void **state)
{
	(void)state;
	char text[256], out[254];
	struct error err = ERROR_INIT;
	memset(text, 'x', sizeof(text));
	for (size_t dot = 63; dot < 253; dot += 64)
		text[dot] = '.';
	text[253] = '\0';
	assert_int_equal(dns_name_canonical(text, out, NULL), 0);
	assert_string_equal(out, text);
	struct name name;
	assert_int_equal(name_parse(text, &name, NULL), 0);
	assert_int_equal(name.size, NAME_MAX_SIZE);
	text[253] = '.', text[254] = '\0';
	assert_int_equal(dns_name_canonical(text, out, NULL), 0);
	text[253] = 'x';
	assert_int_equal(dns_name_canonical(text, out, &err), -EINVAL);
	assert_non_null(strstr(err.message, "254 letters, at most 253"));
}

static void folding(void **state)
{
	(void)state;
	uint8_t mixed[64], lower[64];
	struct name a, b;
	/* '@', '[' and bytes beyond ASCII are no letters. */
	bytes_read("06'WwZa@['02 c1 df 00", mixed, sizeof(mixed));
	size_t size = bytes_read("06'wwza@['02 c1 df 00", lower, sizeof(lower));
	name_fold(mixed, &a);
	name_fold(lower, &b);
	assert_int_equal(a.size, size);
	assert_int_equal(a.labels, 2);
	assert_memory_equal(a.bytes, lower, size);
	for (unsigned label = 0; label <= a.labels; label++)
		assert_true(a.hash[label] == b.hash[label]);
}

static void suffixes_hash_like_names(void **state)
{
	(void)state;
	struct name whole, part, other;
	assert_int_equal(name_parse("a.www.example.test", &whole, NULL), 0);
	assert_int_equal(name_parse("example.test", &part, NULL), 0);
	assert_int_equal(name_parse("test.example", &other, NULL), 0);
	assert_true(whole.hash[2] == part.hash[0]);
	assert_true(whole.hash[4] == part.hash[2]);
	assert_false(other.hash[0] == part.hash[0]);
	assert_memory_equal(whole.bytes + whole.offset[2], part.bytes, part.size);
}

static void deepest_name(void **state)
{
	(void)state;
	uint8_t wire[NAME_MAX_SIZE];
	struct name name;
	for (size_t i = 0; i < 254; i += 2)
		wire[i] = 1, wire[i + 1] = 'A';
	wire[254] = 0;
	assert_int_equal(name_measure(wire, sizeof(wire)), 255);
	assert_int_equal(name_measure(wire, 254), 0);
	name_fold(wire, &name);
	assert_int_equal(name.labels, NAME_MAX_LABELS);
	assert_int_equal(name.size, NAME_MAX_SIZE);
	assert_int_equal(name.offset[NAME_MAX_LABELS], 254);
}

static void within(void **state)
{
	(void)state;
	static const struct {
		const char *name, *ancestor;
		bool within;
	} cases[] = {
		{"www.example.test", "example.test", true},
		{"example.test", "example.test", true},
		{"test", "example.test", false},
		{"wwwexample.test", "example.test", false},
		{"example.test.other", "example.test", false},
		{"a.b.c.test", "test", true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct name name, ancestor;
		assert_int_equal(name_parse(cases[i].name, &name, NULL), 0);
		assert_int_equal(name_parse(cases[i].ancestor, &ancestor, NULL), 0);
		assert_int_equal(name_within(&name, &ancestor), cases[i].within);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(canonical_text),
		cmocka_unit_test(bad_text_is_explained),
		cmocka_unit_test(longest_name),
		cmocka_unit_test(folding),
		cmocka_unit_test(suffixes_hash_like_names),
		cmocka_unit_test(deepest_name),
		cmocka_unit_test(within),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
