/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "rehearse/figures.h"

static void percentiles_of_few(void **state)
{
	(void)state;
	struct spread spread = {0};
	assert_int_equal(spread_percentile(&spread, 50), 0);
	for (uint64_t ms = 10; ms >= 1; ms--)
		assert_int_equal(spread_add(&spread, ms * NS_PER_MS), 0);
	/* Nearest rank. */
	assert_int_equal(spread_percentile(&spread, 50), 5 * NS_PER_MS);
	assert_int_equal(spread_percentile(&spread, 90), 9 * NS_PER_MS);
	assert_int_equal(spread_percentile(&spread, 91), 10 * NS_PER_MS);
	assert_int_equal(spread_percentile(&spread, 100), 10 * NS_PER_MS);
	assert_int_equal(spread.max, 10 * NS_PER_MS);
	spread_finish(&spread);
}

static void four_digits_are_kept(void **state)
{
	(void)state;
	static const struct {
		uint64_t value, kept;
	} cases[] = {{0, 0}, {9999, 9999}, {10004, 10000}, {10005, 10010}, {99995, 100000},
		{105000000, 105000000}, {123456789, 123500000}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct spread spread = {0};
		spread_add(&spread, cases[i].value);
		assert_int_equal(spread_percentile(&spread, 50), cases[i].kept);
		assert_int_equal(spread.max, cases[i].value);
		spread_finish(&spread);
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/* Beside sorting all of them. */
static void percentiles_of_many(void **state)
{
	(void)state;
	enum { COUNT = 20000 };
	static uint64_t all[COUNT];
	struct spread spread = {0};
	uint64_t random = 88172645463325252ull;
	for (size_t i = 0; i < COUNT; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		all[i] = (random >> 40) << (random & 15);
		assert_int_equal(spread_add(&spread, all[i]), 0);
	}
	qsort(all, COUNT, sizeof(all[0]), compare);
	for (unsigned percent = 1; percent <= 100; percent++) {
		uint64_t exact = all[COUNT / 100 * percent - 1];
		uint64_t kept = spread_percentile(&spread, percent);
		uint64_t off = kept > exact ? kept - exact : exact - kept;
		assert_true(off <= exact / 2000 + 1);
	}
	assert_true(spread.count < COUNT);
	spread_finish(&spread);
}

static void reasons_are_bounded(void **state)
{
	(void)state;
	struct reasons reasons = {.count = 0};
	struct figures figures = {.refusals = NULL};
	for (unsigned i = 0; i < 3 * REASONS_MAX; i++) {
		char word[32];
		snprintf(word, sizeof(word), "reason %u", i % (2 * REASONS_MAX));
		unsigned reason = reasons_find(&reasons, word);
		assert_true(reason < REASONS_MAX);
		figures_refuse(&figures, reason);
	}
	assert_int_equal(figures.refusals[0], 2);
	assert_string_equal(reasons.words[REASONS_MAX - 1], "other");
	assert_int_equal(
		figures.refusals[REASONS_MAX - 1], 3 * REASONS_MAX - 2 * (REASONS_MAX - 1));
	json_t *json = figures_json(&figures, &reasons);
	assert_int_equal(json_object_size(json_object_get(json, "refusals")), REASONS_MAX);
	json_decref(json);
	figures_finish(&figures);
	reasons_finish(&reasons);
}

static void figures_are_summed_up(void **state)
{
	(void)state;
	struct reasons reasons = {.count = 0};
	struct figures all = {.refusals = NULL}, one = {.refusals = NULL};
	one.counts[STARTS_COLD] = 2;
	one.counts[STARTS_RESUMED] = 1;
	one.spells[SPELL_AWAKE] = 90 * NS_PER_S;
	one.spells[SPELL_NOTHING] = 1000 * NS_PER_S;
	one.memory[SPELL_AWAKE] = 90.0 * (32 << 20);
	one.memory[SPELL_SUSPENDED] = 10.0 * (32 << 20);
	figures_sum(&all, &one);
	figures_sum(&all, &one);
	json_t *json = figures_json(&all, &reasons);
	int starts;
	double awake, memory;
	assert_int_equal(json_unpack(json, "{s:{s:i}, s:{s:f}, s:{s:f}}", "starts", "all", &starts,
				 "seconds", "awake", &awake, "memory_mib_s", "all", &memory),
		0);
	assert_int_equal(starts, 6);
	assert_true(awake == 180.0);
	assert_true(memory == 200.0 * 32);
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percentiles_of_few),
		cmocka_unit_test(four_digits_are_kept),
		cmocka_unit_test(percentiles_of_many),
		cmocka_unit_test(reasons_are_bounded),
		cmocka_unit_test(figures_are_summed_up),
	};
	return cmocka_run_group_tests_name("figures", tests, NULL, NULL);
}
