/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "policies/budget.h"
#include "tests/unit/random.h"

#define S 1000000000ull

static void as_many_as_it_holds(void **state)
{
	(void)state;
	const struct budget_rate rate = {.count = 3, .span = 3 * S};
	struct budget budget = {0};
	uint64_t now = 100 * S;
	for (int i = 0; i < 3; i++)
		assert_true(budget_take(&budget, &rate, now));
	assert_false(budget_has(&budget, &rate, now));
	assert_int_equal(budget_next(&budget, &rate, now), now + S);
	assert_false(budget_take(&budget, &rate, now + S - 1));
	assert_true(budget_take(&budget, &rate, now + S));
	assert_false(budget_take(&budget, &rate, now + S));
	/* Rest fills it, and no further. */
	for (int i = 0; i < 3; i++)
		assert_true(budget_take(&budget, &rate, now + 1000 * S));
	assert_false(budget_take(&budget, &rate, now + 1000 * S));
}

static void no_limit(void **state)
{
	(void)state;
	const struct budget_rate rate = {.count = 0, .span = 1};
	struct budget budget = {0};
	for (int i = 0; i < 1000; i++)
		assert_true(budget_take(&budget, &rate, 7));
	assert_int_equal(budget.full_at, 0);
}

/* A bucket of counted tokens, as one would write it down: the same answers. Its arithmetic is in
 * units of 1/count of a nanosecond so that nothing is rounded. */
struct model {
	uint64_t tokens, at;
};

static bool model_take(struct model *model, const struct budget_rate *rate, uint64_t now)
{
	uint64_t each = rate->span / rate->count, all = each * rate->count;
	uint64_t passed = now - model->at;
	model->tokens = passed >= all - model->tokens ? all : model->tokens + passed;
	model->at = now;
	if (model->tokens < each)
		return false;
	model->tokens -= each;
	return true;
}

static void it_is_a_token_bucket(void **state)
{
	(void)state;
	struct random random = {7};
	for (int run = 0; run < 300; run++) {
		const struct budget_rate rate = {
			.count = 1 + (uint32_t)random_below(&random, 50),
			.span = 100 + random_below(&random, 100 * S),
		};
		struct budget budget = {0};
		uint64_t now = random_next(&random) >> 8;
		struct model model = {rate.span / rate.count * rate.count, now};
		for (int i = 0; i < 300; i++) {
			now += random_below(&random, 3 * rate.span / rate.count);
			struct budget before = budget;
			bool has = budget_has(&budget, &rate, now);
			uint64_t next = budget_next(&budget, &rate, now);
			bool took = budget_take(&budget, &rate, now);
			assert_int_equal(took, model_take(&model, &rate, now));
			assert_int_equal(took, has);
			assert_int_equal(took, next == now);
			/* What was refused costs nothing, and is granted when it was said to be. */
			if (!took) {
				assert_int_equal(budget.full_at, before.full_at);
				assert_false(budget_has(&budget, &rate, next - 1));
				assert_true(budget_has(&budget, &rate, next));
			}
		}
	}
}

static void never_more_than_the_rate(void **state)
{
	(void)state;
	struct random random = {8};
	for (int run = 0; run < 100; run++) {
		const struct budget_rate rate = {
			.count = 1 + (uint32_t)random_below(&random, 20), .span = 20 * S};
		struct budget budget = {0};
		uint64_t begin = 1000 * S, now = begin, taken = 0;
		while (now < begin + 100 * S) {
			taken += budget_take(&budget, &rate, now);
			now += random_below(&random, S / 4);
		}
		assert_true(taken <= rate.count + (now - begin) / (rate.span / rate.count) + 1);
	}
}

static void a_clock_that_runs_back_blocks_nobody_for_long(void **state)
{
	(void)state;
	const struct budget_rate rate = {.count = 2, .span = 2 * S};
	struct budget budget = {0};
	assert_true(budget_take(&budget, &rate, 1000000 * S));
	assert_int_equal(budget_next(&budget, &rate, 5 * S), 6 * S);
	/* Times at the end of what there is do not overflow into a free pass. */
	budget.full_at = UINT64_MAX;
	assert_false(budget_take(&budget, &rate, 5 * S));
}

static void extreme_rates(void **state)
{
	(void)state;
	const struct budget_rate fast = {.count = UINT32_MAX, .span = 1};
	const struct budget_rate slow = {.count = 1, .span = UINT64_MAX / 4};
	struct budget budget = {0};
	assert_true(budget_take(&budget, &fast, 1));
	budget = (struct budget){0};
	assert_true(budget_take(&budget, &slow, 1));
	assert_false(budget_take(&budget, &slow, UINT64_MAX / 4));
	assert_true(budget_take(&budget, &slow, UINT64_MAX / 4 + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_many_as_it_holds),
		cmocka_unit_test(no_limit),
		cmocka_unit_test(it_is_a_token_bucket),
		cmocka_unit_test(never_more_than_the_rate),
		cmocka_unit_test(a_clock_that_runs_back_blocks_nobody_for_long),
		cmocka_unit_test(extreme_rates),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
