/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/units.h"
#include "policies/breaker.h"
#include "policies/evict.h"
#include "tests/unit/random.h"

#define S        NS_PER_S
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define IDLE     (5 * S)

static struct policy fresh(void)
{
	struct policy p;
	policy_init(&p, "p"); /* min_life is 10 s */
	return p;
}

static void who_may_go(void **state)
{
	(void)state;
	struct policy p = fresh();
	static const struct {
		struct load load;
		bool in_memory, evictable;
	} cases[] = {
		{{.state = LOAD_ASLEEP, .active_at = 99 * S}, true, true},
		{{.state = LOAD_ASLEEP, .active_at = 99 * S}, false, false},
		{{.state = LOAD_ASLEEP, .pinned = true}, true, false},
		{{.state = LOAD_STARTING}, true, false},
		{{.state = LOAD_STOPPING}, true, false},
		{{.state = LOAD_AWAKE, .ready_at = 50 * S, .active_at = 95 * S}, false, true},
		{{.state = LOAD_AWAKE, .ready_at = 50 * S, .active_at = 96 * S}, false, false},
		{{.state = LOAD_AWAKE, .ready_at = 90 * S, .active_at = 90 * S}, false, true},
		{{.state = LOAD_AWAKE, .ready_at = 91 * S, .active_at = 91 * S}, false, false},
		{{.state = LOAD_AWAKE, .ready_at = 50 * S, .busy = true}, false, false},
		{{.state = LOAD_AWAKE, .ready_at = 50 * S, .pinned = true}, false, false},
		/* a clock that was read by another a moment later */
		{{.state = LOAD_AWAKE, .ready_at = 50 * S, .active_at = 101 * S}, false, false},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct worth worth =
			evict_worth(&p, &cases[i].load, cases[i].in_memory, IDLE, 100 * S);
		assert_int_equal(worth.evictable, cases[i].evictable);
	}
}

static void what_becomes_of_it(void **state)
{
	(void)state;
	struct policy p = fresh();
	assert_int_equal(evict_how(&p, true), POLICY_RETIRE_DESTROY);
	p.retire = POLICY_RETIRE_SHUTDOWN;
	assert_int_equal(evict_how(&p, true), POLICY_RETIRE_SHUTDOWN);
	assert_int_equal(evict_how(&p, false), POLICY_RETIRE_DESTROY); /* it cannot hear */
	p.retire = POLICY_RETIRE_SNAPSHOT;
	assert_int_equal(evict_how(&p, true), POLICY_RETIRE_SNAPSHOT);
	p.retire = POLICY_RETIRE_SUSPEND; /* which frees nothing */
	assert_int_equal(evict_how(&p, true), POLICY_RETIRE_DESTROY);
	assert_int_equal(policy_set(&p, "tiers", "snapshot after 1d", NULL), 0);
	assert_int_equal(evict_how(&p, true), POLICY_RETIRE_SNAPSHOT);
	assert_int_equal(evict_how(&p, false), POLICY_RETIRE_SNAPSHOT);
}

static struct worth random_worth(struct random *random, struct load *load)
{
	struct policy p = fresh();
	*load = (struct load){
		.state = (enum load_state)random_below(random, 4),
		.pinned = random_below(random, 4) == 0,
		.busy = random_below(random, 4) == 0,
		.ready_at = random_below(random, 100) * S,
		.active_at = random_below(random, 100) * S,
	};
	return evict_worth(&p, load, random_below(random, 2), IDLE, 100 * S);
}

/* The order is a strict one, and its first is never in use while another is not. */
static void property_order(void **state)
{
	(void)state;
	struct random random = {3};
	for (unsigned i = 0; i < 50000; i++) {
		struct load loads[3];
		struct worth w[3];
		for (unsigned k = 0; k < 3; k++)
			w[k] = random_worth(&random, &loads[k]);
		assert_false(evict_before(&w[0], &w[0]));
		assert_false(evict_before(&w[0], &w[1]) && evict_before(&w[1], &w[0]));
		if (evict_before(&w[0], &w[1]) && evict_before(&w[1], &w[2]))
			assert_true(evict_before(&w[0], &w[2]));
		if (w[0].evictable) {
			assert_false(loads[0].pinned);
			if (w[0].awake)
				assert_false(loads[0].busy);
		}
		if (w[0].evictable && w[1].evictable && !w[0].awake && w[1].awake)
			assert_true(evict_before(&w[0], &w[1]));
	}
}

static const struct breaker_rule rule = {.failures = 3, .span = 10 * S};

static void a_breaker_opens_and_closes(void **state)
{
	(void)state;
	struct breaker b = {0};
	for (unsigned i = 0; i < 100; i++) /* one service alone, however often */
		assert_false(breaker_fail(&b, &rule, 1, i));
	assert_int_equal(breaker_admit(&b, &rule, 100), 0);
	assert_false(breaker_fail(&b, &rule, 2, 1 * S));
	assert_true(breaker_fail(&b, &rule, 1, 2 * S));
	assert_int_equal(breaker_admit(&b, &rule, 3 * S), 12 * S);
	assert_int_equal(breaker_admit(&b, &rule, 12 * S), 0); /* one tries */
	assert_int_equal(breaker_admit(&b, &rule, 12 * S), 22 * S);
	assert_false(breaker_fail(&b, &rule, 1, 13 * S)); /* in vain: it is open as before */
	assert_int_equal(breaker_admit(&b, &rule, 14 * S), 23 * S);
	assert_int_equal(breaker_admit(&b, &rule, 23 * S), 0);
	assert_int_equal(breaker_admit(&b, &rule, 32 * S), 33 * S);
	assert_int_equal(breaker_admit(&b, &rule, 33 * S), 0); /* that one was lost */
	breaker_succeed(&b);
	assert_int_equal(breaker_open_until(&b), 0);
	assert_int_equal(breaker_admit(&b, &rule, 34 * S), 0);
	assert_int_equal(breaker_admit(&b, &rule, 34 * S), 0);
	const struct breaker_rule none = {.failures = 0, .span = S};
	for (unsigned i = 0; i < 100; i++)
		assert_false(breaker_fail(&b, &none, i, S));
	assert_int_equal(breaker_admit(&b, &none, S), 0);
}

/* While it is open no more than one start a span is let through, whatever comes. */
static void property_breaker(void **state)
{
	(void)state;
	struct random random = {9};
	struct breaker b = {0};
	uint64_t now = 1, admitted_at = 0;
	unsigned opened = 0;
	for (unsigned i = 0; i < 200000; i++) {
		now += random_below(&random, 2 * S);
		bool open = breaker_open_until(&b) != 0;
		switch (random_below(&random, 8)) {
		case 0:
			breaker_succeed(&b);
			admitted_at = 0;
			break;
		case 1:
		case 2:
		case 3:
			opened += breaker_fail(&b, &rule, (uint32_t)random_below(&random, 5), now);
			admitted_at = 0;
			break;
		default:
			if (breaker_admit(&b, &rule, now) > 0) {
				assert_true(open);
				break;
			}
			if (open && admitted_at)
				assert_true(now - admitted_at >= rule.span);
			admitted_at = open ? now : 0;
		}
	}
	assert_true(opened > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_may_go),
		cmocka_unit_test(what_becomes_of_it),
		cmocka_unit_test(property_order),
		cmocka_unit_test(a_breaker_opens_and_closes),
		cmocka_unit_test(property_breaker),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
