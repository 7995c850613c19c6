/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>

#include "base/units.h"
#include "policies/decide.h"
#include "tests/unit/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define S            NS_PER_S

static struct policy fresh(void)
{
	struct policy policy;
	policy_init(&policy, "web");
	return policy;
}

static void admission_by_state(void **state)
{
	(void)state;
	struct policy p = fresh();
	p.wake_on = POLICY_WAKE_A;
	static const struct {
		struct load load;
		unsigned wake;
		enum admission verdict;
	} cases[] = {
		{{.state = LOAD_AWAKE}, POLICY_WAKE_A, ADMIT_ANSWER},
		{{.state = LOAD_AWAKE}, POLICY_WAKE_AAAA, ADMIT_ANSWER},
		{{.state = LOAD_AWAKE}, 0, ADMIT_ANSWER},
		{{.state = LOAD_STARTING}, POLICY_WAKE_A, ADMIT_JOIN},
		{{.state = LOAD_STARTING}, POLICY_WAKE_AAAA, ADMIT_JOIN},
		{{.state = LOAD_STARTING}, 0, ADMIT_JOIN},
		{{.state = LOAD_STOPPING}, POLICY_WAKE_A, ADMIT_WAKE},
		{{.state = LOAD_STOPPING}, POLICY_WAKE_AAAA, ADMIT_NO_WAKE},
		{{.state = LOAD_STOPPING}, 0, ADMIT_WAKE},
		{{.state = LOAD_ASLEEP}, POLICY_WAKE_A, ADMIT_WAKE},
		{{.state = LOAD_ASLEEP}, POLICY_WAKE_AAAA, ADMIT_NO_WAKE},
		{{.state = LOAD_ASLEEP}, 0, ADMIT_WAKE},
		/* failed at 99s, now is 100s: the second failure holds for 2s, the first for 1s */
		{{.state = LOAD_ASLEEP, .failures = 2, .failed_at = 99 * S}, POLICY_WAKE_A,
			ADMIT_BACKOFF},
		{{.state = LOAD_STOPPING, .failures = 2, .failed_at = 99 * S}, POLICY_WAKE_A,
			ADMIT_BACKOFF},
		{{.state = LOAD_ASLEEP, .failures = 2, .failed_at = 99 * S}, POLICY_WAKE_AAAA,
			ADMIT_NO_WAKE},
		{{.state = LOAD_ASLEEP, .failures = 2, .failed_at = 99 * S}, 0, ADMIT_WAKE},
		{{.state = LOAD_ASLEEP, .failures = 1, .failed_at = 99 * S}, POLICY_WAKE_A,
			ADMIT_WAKE},
		{{.state = LOAD_ASLEEP, .failures = 0, .failed_at = 99 * S}, POLICY_WAKE_A,
			ADMIT_WAKE},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct admit admit = decide_admit(&p, &cases[i].load, cases[i].wake, 100 * S);
		bool held = admit.verdict == ADMIT_JOIN || admit.verdict == ADMIT_WAKE;
		assert_int_equal(admit.verdict, cases[i].verdict);
		assert_int_equal(admit.hold_until, held ? 100 * S + p.hold : 0);
		assert_int_equal(admit.retry_at, cases[i].verdict == ADMIT_BACKOFF ? 101 * S : 0);
	}
}

static void backoff_doubles(void **state)
{
	(void)state;
	struct policy p = fresh();
	static const uint64_t seconds[] = {0, 1, 2, 4, 8, 16, 32, 60, 60};
	for (unsigned n = 0; n < COUNT(seconds); n++)
		assert_int_equal(decide_backoff(&p, n), seconds[n] * S);
	assert_int_equal(decide_backoff(&p, 64), 60 * S);
	assert_int_equal(decide_backoff(&p, 65), 60 * S);
	assert_int_equal(decide_backoff(&p, UINT32_MAX), 60 * S);
	p.backoff_first = 0;
	assert_int_equal(decide_backoff(&p, 7), 0);
}

static void retry_follows_the_last_failure(void **state)
{
	(void)state;
	struct policy p = fresh();
	struct load load = {.failed_at = 100 * S};
	assert_int_equal(decide_retry_at(&p, &load), 0);
	load.failures = 1;
	assert_int_equal(decide_retry_at(&p, &load), 100 * S + p.backoff_first);
	p.backoff_first = p.backoff_max = UINT64_MAX - 50 * S;
	assert_int_equal(decide_retry_at(&p, &load), UINT64_MAX);
	const struct ring syn = {RING_CONNECT, 80, {AF_INET, {10, 77, 0, 9}}};
	assert_int_equal(decide_ring(&p, &load, &syn, 200 * S), RING_BACKOFF);
}

static void rest_by_idleness(void **state)
{
	(void)state;
	struct policy p = fresh();
	struct load load = {.state = LOAD_AWAKE, .ready_at = 100 * S};
	struct rest rest = decide_rest(&p, &load, 101 * S);
	assert_int_equal(rest.reason, REST_NOT);
	assert_int_equal(rest.check_at, 160 * S);
	load.active_at = 130 * S;
	assert_int_equal(decide_rest(&p, &load, 160 * S).check_at, 190 * S);
	assert_int_equal(decide_rest(&p, &load, 190 * S - 1).reason, REST_NOT);
	p.retire = POLICY_RETIRE_SHUTDOWN;
	rest = decide_rest(&p, &load, 190 * S);
	assert_int_equal(rest.reason, REST_IDLE);
	assert_int_equal(rest.how, POLICY_RETIRE_SHUTDOWN);
	/* A use in an earlier life is none in this. */
	load.active_at = 10 * S;
	assert_int_equal(decide_rest(&p, &load, 101 * S).check_at, 160 * S);
	p.min_life = 300 * S;
	assert_int_equal(decide_rest(&p, &load, 200 * S).check_at, 400 * S);
	p.idle_after = 0;
	rest = decide_rest(&p, &load, 10000 * S);
	assert_int_equal(rest.reason, REST_NOT);
	assert_int_equal(rest.check_at, 0);
}

static void rest_by_age(void **state)
{
	(void)state;
	struct policy p = fresh();
	struct load load = {.state = LOAD_AWAKE, .ready_at = 100 * S, .active_at = 199 * S};
	p.max_life = 100 * S;
	assert_int_equal(decide_rest(&p, &load, 199 * S).reason, REST_NOT);
	assert_int_equal(decide_rest(&p, &load, 199 * S).check_at, 200 * S);
	assert_int_equal(decide_rest(&p, &load, 200 * S).reason, REST_MAX_LIFE);
	load.pinned = true;
	assert_int_equal(decide_rest(&p, &load, 9999 * S).reason, REST_NOT);
	assert_int_equal(decide_rest(&p, &load, 9999 * S).check_at, 0);
	static const enum load_state others[] = {LOAD_ASLEEP, LOAD_STARTING, LOAD_STOPPING};
	for (size_t i = 0; i < COUNT(others); i++) {
		load = (struct load){.state = others[i]};
		assert_int_equal(decide_rest(&p, &load, 9999 * S).reason, REST_NOT);
		assert_int_equal(decide_rest(&p, &load, 9999 * S).check_at, 0);
	}
}

/* The guest's own word: "busy" against idleness, "done" from min_life on; max_life stands above. */
static void rest_by_its_own_word(void **state)
{
	(void)state;
	struct policy p = fresh();
	struct load load = {.state = LOAD_AWAKE, .ready_at = 100 * S, .busy = true};
	p.max_life = 1000 * S;
	assert_int_equal(decide_rest(&p, &load, 999 * S).reason, REST_NOT);
	assert_int_equal(decide_rest(&p, &load, 999 * S).check_at, 1100 * S);
	assert_int_equal(decide_rest(&p, &load, 1100 * S).reason, REST_MAX_LIFE);
	load.busy = false;
	load.done = true;
	load.active_at = 109 * S;
	assert_int_equal(decide_rest(&p, &load, 109 * S).reason, REST_NOT);
	assert_int_equal(decide_rest(&p, &load, 109 * S).check_at, 110 * S); /* min_life */
	assert_int_equal(decide_rest(&p, &load, 110 * S).reason, REST_DONE);
	p.idle_after = p.max_life = 0;
	assert_int_equal(decide_rest(&p, &load, 109 * S).check_at, 110 * S);
	assert_int_equal(decide_rest(&p, &load, 110 * S).reason, REST_DONE);
	load.pinned = true;
	assert_int_equal(decide_rest(&p, &load, 110 * S).reason, REST_NOT);
}

static void ahead_by_start(void **state)
{
	(void)state;
	static const enum ahead expected[] = {
		[POLICY_START_COLD] = AHEAD_NOTHING,
		[POLICY_START_PREPARED] = AHEAD_PREPARE,
		[POLICY_START_SUSPENDED] = AHEAD_WARM,
		[POLICY_START_SNAPSHOT] = AHEAD_WARM,
	};
	struct policy p = fresh();
	for (unsigned start = 0; start < COUNT(expected); start++) {
		p.start = (enum policy_start)start;
		struct load load = {.state = LOAD_ASLEEP, .pinned = true};
		assert_int_equal(decide_ahead(&p, &load, 100 * S), expected[start]);
		load.failures = 3, load.failed_at = 97 * S;
		assert_int_equal(decide_ahead(&p, &load, 100 * S), AHEAD_NOTHING);
		assert_int_equal(decide_ahead(&p, &load, 101 * S), expected[start]);
		load = (struct load){.state = LOAD_AWAKE};
		assert_int_equal(decide_ahead(&p, &load, 100 * S), AHEAD_NOTHING);
	}
}

/* --- properties --- */

/* Small spans and clocks collide often; huge ones overflow. */
static uint64_t random_time(struct random *random)
{
	switch (random_below(random, 4)) {
	case 0:
		return 0;
	case 1:
		return random_below(random, 100);
	case 2:
		return UINT64_MAX - random_below(random, 100);
	default:
		return random_next(random) >> random_below(random, 64);
	}
}

static struct policy random_policy(struct random *random)
{
	struct policy p = fresh();
	p.wake_on = (unsigned)random_below(random, 4);
	p.start = (enum policy_start)random_below(random, 3);
	p.retire = (enum policy_retire)random_below(random, 3);
	p.hold = random_time(random);
	p.idle_after = random_time(random);
	p.min_life = random_time(random);
	p.max_life = random_time(random);
	p.backoff_first = random_time(random);
	p.backoff_max = random_time(random);
	return p;
}

static struct load random_load(struct random *random)
{
	return (struct load){
		.state = (enum load_state)random_below(random, 4),
		.closed = random_below(random, 4) == 0,
		.pinned = random_below(random, 4) == 0,
		.ready_at = random_time(random),
		.active_at = random_time(random),
		.failed_at = random_time(random),
		.failures = (unsigned)random_below(random, 80),
	};
}

/* Sums in 128 bits cannot wrap: the definition to compare with. */
typedef unsigned __int128 wide;

static void property_rest(void **state)
{
	(void)state;
	struct random random = {2};
	unsigned rests = 0, checks = 0;
	for (unsigned i = 0; i < 200000; i++) {
		struct policy p = random_policy(&random);
		struct load load = random_load(&random);
		uint64_t now = random_time(&random);
		struct rest rest = decide_rest(&p, &load, now);
		assert_int_equal(rest.how, p.retire);
		if (rest.reason != REST_NOT) {
			rests++;
			assert_int_equal(load.state, LOAD_AWAKE);
			assert_false(load.pinned);
			assert_true((wide)load.ready_at + p.min_life <= now);
			if (rest.reason == REST_IDLE)
				assert_true(
					p.idle_after && (wide)load.active_at + p.idle_after <= now);
			else
				assert_true(p.max_life && (wide)load.ready_at + p.max_life <= now);
			continue;
		}
		if (rest.check_at == 0) {
			assert_int_equal(decide_rest(&p, &load, UINT64_MAX).reason, REST_NOT);
			continue;
		}
		checks++;
		assert_true(rest.check_at > now);
		uint64_t between = now + random_below(&random, rest.check_at - now);
		struct rest later = decide_rest(&p, &load, between);
		assert_int_equal(later.reason, REST_NOT);
		assert_int_equal(later.check_at, rest.check_at);
		assert_int_equal(decide_rest(&p, &load, rest.check_at - 1).reason, REST_NOT);
		assert_int_not_equal(decide_rest(&p, &load, rest.check_at).reason, REST_NOT);
	}
	assert_true(rests > 1000);
	assert_true(checks > 1000);
}

static void property_admit(void **state)
{
	(void)state;
	struct random random = {3};
	unsigned seen[ADMIT_BACKOFF + 1] = {0};
	for (unsigned i = 0; i < 200000; i++) {
		struct policy p = random_policy(&random);
		struct load load = random_load(&random);
		uint64_t now = random_time(&random);
		unsigned wake = (unsigned)random_below(&random, 3);
		struct admit admit = decide_admit(&p, &load, wake, now);
		seen[admit.verdict]++;
		switch (admit.verdict) {
		case ADMIT_JOIN:
		case ADMIT_WAKE:
			assert_true(admit.hold_until >= now);
			assert_true(
				admit.hold_until == UINT64_MAX || admit.hold_until - now == p.hold);
			break;
		case ADMIT_BACKOFF:
			assert_true(wake & p.wake_on);
			assert_true(admit.retry_at > now);
			assert_int_equal(
				decide_admit(&p, &load, wake, admit.retry_at).verdict, ADMIT_WAKE);
			break;
		case ADMIT_CLOSED:
			assert_true(load.closed && (wake & p.wake_on));
			break;
		case ADMIT_NO_WAKE:
			assert_true(wake != 0 && !(wake & p.wake_on));
			break;
		case ADMIT_ANSWER:
			assert_int_equal(load.state, LOAD_AWAKE);
			break;
		}
	}
	for (size_t i = 0; i < COUNT(seen); i++)
		assert_true(seen[i] > 1000);
}

static void property_backoff(void **state)
{
	(void)state;
	struct random random = {4};
	for (unsigned i = 0; i < 2000; i++) {
		struct policy p = random_policy(&random);
		uint64_t last = 0;
		for (unsigned failures = 0; failures < 140; failures++) {
			uint64_t backoff = decide_backoff(&p, failures);
			assert_true(backoff >= last);
			assert_true(backoff <= p.backoff_max);
			last = backoff;
		}
		assert_int_equal(last, p.backoff_first ? p.backoff_max : 0);
	}
}

/* What is made ready ahead is never made while a query would be refused for backoff. */
static void property_ahead(void **state)
{
	(void)state;
	struct random random = {5};
	unsigned some = 0;
	for (unsigned i = 0; i < 100000; i++) {
		struct policy p = random_policy(&random);
		struct load load = random_load(&random);
		uint64_t now = random_time(&random);
		if (decide_ahead(&p, &load, now) == AHEAD_NOTHING)
			continue;
		some++;
		p.wake_on = POLICY_WAKE_A;
		assert_int_equal(load.state, LOAD_ASLEEP);
		assert_int_equal(decide_admit(&p, &load, POLICY_WAKE_A, now).verdict, ADMIT_WAKE);
	}
	assert_true(some > 1000);
}

static void tiers_by_time(void **state)
{
	(void)state;
	struct policy p;
	policy_init(&p, "p");
	struct load load = {.state = LOAD_ASLEEP, .rested_at = 100 * S};
	assert_false(decide_tier(&p, &load, DEPTH_MEMORY, 9999 * S).due);
	assert_int_equal(decide_tier(&p, &load, DEPTH_MEMORY, 9999 * S).check_at, 0);
	policy_set(&p, "tiers", "snapshot after 10s, destroy after 60s", NULL);
	static const struct {
		enum depth depth;
		uint64_t now;
		bool due;
		enum policy_retire how;
		uint64_t check_at;
	} cases[] = {
		{DEPTH_MEMORY, 100, false, 0, 110},
		{DEPTH_MEMORY, 109, false, 0, 110},
		{DEPTH_MEMORY, 110, true, POLICY_RETIRE_SNAPSHOT, 0},
		{DEPTH_DISK, 110, false, 0, 160},
		{DEPTH_DISK, 160, true, POLICY_RETIRE_DESTROY, 0},
		/* two at once: it does not go to disk to be removed there */
		{DEPTH_MEMORY, 160, true, POLICY_RETIRE_DESTROY, 0},
		{DEPTH_NONE, 160, false, 0, 0},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct tier tier = decide_tier(&p, &load, cases[i].depth, cases[i].now * S);
		assert_int_equal(tier.due, cases[i].due);
		assert_int_equal(tier.check_at, cases[i].check_at * S);
		if (tier.due)
			assert_int_equal(tier.how, cases[i].how);
	}
	load.rested = 55 * S; /* in an earlier life of the daemon */
	assert_int_equal(decide_tier(&p, &load, DEPTH_DISK, 101 * S).check_at, 105 * S);
	assert_int_equal(decide_tier(&p, &load, DEPTH_MEMORY, 101 * S).how, POLICY_RETIRE_SNAPSHOT);
	load.rested = UINT64_MAX;
	assert_true(decide_tier(&p, &load, DEPTH_DISK, 100 * S).due);
	load.pinned = true;
	assert_false(decide_tier(&p, &load, DEPTH_DISK, 9999 * S).due);
}

/* Whoever looks when it was told to, and does what it is told, ends where the policy ends, at the
 * times of the policy, and never looks in vain. */
static void property_tiers(void **state)
{
	(void)state;
	struct random random = {7};
	for (unsigned i = 0; i < 20000; i++) {
		struct policy p;
		policy_init(&p, "p");
		uint64_t first = random_below(&random, 100) * S;
		uint64_t second = first + (1 + random_below(&random, 100)) * S;
		p.tiers.list[p.tiers.count].how = POLICY_RETIRE_SNAPSHOT;
		p.tiers.list[p.tiers.count].after = first;
		p.tiers.count += (unsigned)random_below(&random, 2);
		p.tiers.list[p.tiers.count].how = POLICY_RETIRE_DESTROY;
		p.tiers.list[p.tiers.count++].after = second;
		uint64_t began = 1 + random_below(&random, 1000) * S;
		struct load load = {.state = LOAD_ASLEEP,
			.rested_at = began,
			.rested = random_below(&random, 150) * S};
		uint64_t now = began;
		enum depth depth = DEPTH_MEMORY;
		unsigned steps = 0;
		for (; depth != DEPTH_NONE; steps++) {
			struct tier tier = decide_tier(&p, &load, depth, now);
			assert_true(steps < 6);
			assert_int_not_equal(tier.due, tier.check_at > 0);
			if (!tier.due) {
				assert_true(tier.check_at > now);
				assert_false(decide_tier(&p, &load, depth, tier.check_at - 1).due);
				now = tier.check_at;
			} else {
				depth = tier.how == POLICY_RETIRE_SNAPSHOT ? DEPTH_DISK
									   : DEPTH_NONE;
			}
		}
		uint64_t end = second > load.rested ? began + second - load.rested : began;
		assert_int_equal(now, end);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(admission_by_state),
		cmocka_unit_test(backoff_doubles),
		cmocka_unit_test(retry_follows_the_last_failure),
		cmocka_unit_test(rest_by_idleness),
		cmocka_unit_test(rest_by_age),
		cmocka_unit_test(rest_by_its_own_word),
		cmocka_unit_test(ahead_by_start),
		cmocka_unit_test(tiers_by_time),
		cmocka_unit_test(property_tiers),
		cmocka_unit_test(property_rest),
		cmocka_unit_test(property_admit),
		cmocka_unit_test(property_backoff),
		cmocka_unit_test(property_ahead),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
