/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <string.h>

#include "policies/instances.h"
#include "tests/unit/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct ip_address address(const char *text)
{
	struct ip_address parsed;
	assert_int_equal(ip_address_parse(text, &parsed, NULL), 0);
	return parsed;
}

/* Clients are few, so that they meet. */
static struct ip_address client_of(unsigned number)
{
	struct ip_address client = address("10.0.0.0");
	client.bytes[2] = (uint8_t)(number >> 8);
	client.bytes[3] = (uint8_t)number;
	return client;
}

/* --- as text --- */

static void from_and_to_text(void **state)
{
	(void)state;
	static const struct {
		const char *text, *printed; /* NULL: refused */
	} cases[] = {{"one", "one"}, {"ONE", "one"}, {"per-client:3", "per-client:3"},
		{"Per-Client:64", "per-client:64"}, {"shared:1", "shared:1"},
		{"shared:08", "shared:8"}, {"shared:0", NULL}, {"shared:65", NULL},
		{"shared:", NULL}, {"shared", NULL}, {"one:1", NULL}, {"per-client:-1", NULL},
		{"per-client:2 ", NULL}, {"per-client:1.5", NULL}, {"", NULL}, {"two", NULL}};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct policy_instances instances = {POLICY_SHARED, 7};
		char text[POLICY_VALUE_MAX + 1];
		bool good = instances_parse(cases[i].text, &instances);
		assert_int_equal(good, cases[i].printed != NULL);
		assert_true(instances_print(&instances, text));
		assert_string_equal(text, good ? cases[i].printed : "shared:7");
	}
	static const struct policy_instances wrong[] = {{POLICY_ONE, 2}, {POLICY_SHARED, 0},
		{POLICY_PER_CLIENT, POLICY_INSTANCES_MAX + 1}, {(enum policy_sharing)9, 1}};
	for (size_t i = 0; i < COUNT(wrong); i++) {
		char text[POLICY_VALUE_MAX + 1];
		assert_false(instances_print(&wrong[i], text));
	}
}

static void who_is_one_client(void **state)
{
	(void)state;
	struct ip_address a = address("fd00:1:2:3::77"), b = address("fd00:1:2:3:8::1");
	struct ip_address other = address("fd00:1:2:4::77"), four = address("10.0.0.7");
	a = instances_client(&a);
	b = instances_client(&b);
	other = instances_client(&other);
	assert_true(ip_address_equal(&a, &b));
	assert_false(ip_address_equal(&a, &other));
	struct ip_address same = instances_client(&four);
	assert_true(ip_address_equal(&same, &four));
}

/* --- per-client --- */

static struct seating alone(const struct seat *seats, unsigned count, unsigned client)
{
	struct ip_address its = client_of(client);
	return decide_seat(POLICY_PER_CLIENT, seats, count, &its, 0);
}

static void a_seat_of_its_own(void **state)
{
	(void)state;
	struct seat seats[3] = {{.state = LOAD_AWAKE, .client = client_of(1), .used_at = 9},
		{.state = LOAD_ASLEEP, .used_at = 7}, {.state = LOAD_ASLEEP, .used_at = 5}};
	assert_int_equal(alone(seats, 3, 1).index, 0);
	assert_int_equal(alone(seats, 3, 2).index, 2); /* free for the longest time */
	seats[1].before = client_of(2);
	assert_int_equal(alone(seats, 3, 2).index, 1); /* it had that */
	assert_int_equal(alone(seats, 3, 3).index, 2);
	seats[2].failing = true;
	assert_int_equal(alone(seats, 3, 3).index, 1);
	seats[1].failing = true;
	assert_int_equal(alone(seats, 3, 2).index, 1); /* and is told that it fails */
}

static void none_is_left(void **state)
{
	(void)state;
	struct seat seats[2] = {{.state = LOAD_AWAKE, .client = client_of(1), .used_at = 1},
		{.state = LOAD_STOPPING, .client = client_of(2), .used_at = 2}};
	assert_false(alone(seats, 2, 3).found);
	assert_false(alone(seats, 2, 3).anew);
	assert_true(alone(seats, 2, 2).found);
	seats[1].state = LOAD_ASLEEP; /* at rest: it is somebody's still */
	assert_true(alone(seats, 2, 3).found);
	assert_true(alone(seats, 2, 3).anew);
	assert_int_equal(alone(seats, 2, 3).index, 1);
	assert_false(alone(seats, 2, 2).anew);
}

static struct seat random_seat(struct random *random)
{
	struct seat seat = {
		.state = (enum load_state)random_below(random, 4),
		.failing = random_below(random, 4) == 0,
		.before = random_below(random, 2) ? client_of((unsigned)random_below(random, 12))
						  : (struct ip_address){0},
		.direct = random_below(random, 2),
		.used_at = random_below(random, 8),
	};
	return seat;
}

/* No two seats are of one client: whoever has one gets no other. */
static unsigned random_seats(struct random *random, struct seat seats[POLICY_INSTANCES_MAX])
{
	unsigned count = 1 + (unsigned)random_below(random, 6);
	unsigned client = (unsigned)random_below(random, 3);
	for (unsigned i = 0; i < count; i++) {
		seats[i] = random_seat(random);
		if (random_below(random, 3) == 0)
			continue;
		seats[i].client = client_of(client);
		client += 1 + (unsigned)random_below(random, 3);
	}
	return count;
}

static void property_nobody_gets_what_is_anothers(void **state)
{
	(void)state;
	struct random random = {4711};
	for (unsigned round = 0; round < 100000; round++) {
		struct seat seats[POLICY_INSTANCES_MAX];
		unsigned count = random_seats(&random, seats);
		struct ip_address client = client_of((unsigned)random_below(&random, 12));
		bool own = false, free = false, rests = false;
		for (unsigned i = 0; i < count; i++) {
			bool taken = ip_address_is_set(&seats[i].client);
			own |= ip_address_equal(&seats[i].client, &client);
			free |= !taken;
			rests |= taken && seats[i].state == LOAD_ASLEEP;
		}
		struct seating seating = decide_seat(POLICY_PER_CLIENT, seats, count, &client, 0);
		assert_int_equal(seating.found, own || free || rests);
		assert_int_equal(seating.anew, !own && !free && rests);
		if (!seating.found)
			continue;
		assert_true(seating.index < count);
		const struct seat *seat = &seats[seating.index];
		assert_int_equal(own, ip_address_equal(&seat->client, &client));
		if (!own && free)
			assert_false(ip_address_is_set(&seat->client));
		for (unsigned i = 0; seating.anew && i < count; i++)
			assert_true(seats[i].state != LOAD_ASLEEP ||
				    seats[i].used_at >= seat->used_at ||
				    seats[i].failing != seat->failing ||
				    ip_address_equal(&seat->before, &client));
	}
}

/* A packet does not take a seat from anybody, and takes no second one. */
static void property_visits(void **state)
{
	(void)state;
	struct random random = {815};
	for (unsigned round = 0; round < 100000; round++) {
		struct seat seats[POLICY_INSTANCES_MAX];
		unsigned count = random_seats(&random, seats);
		unsigned index = (unsigned)random_below(&random, count);
		struct ip_address client = client_of((unsigned)random_below(&random, 12));
		bool own = false, taken = ip_address_is_set(&seats[index].client);
		for (unsigned i = 0; i < count; i++)
			own |= ip_address_equal(&seats[i].client, &client);
		enum visit visit = decide_visit(seats, count, index, &client);
		if (ip_address_equal(&seats[index].client, &client))
			assert_int_equal(visit, VISIT_WELCOME);
		else if (own)
			assert_int_equal(visit, VISIT_STRANGER);
		else if (!taken)
			assert_int_equal(visit, VISIT_TAKES);
		else
			assert_int_equal(
				visit, seats[index].direct ? VISIT_STRANGER : VISIT_WELCOME);
	}
}

/* --- shared --- */

static unsigned together(const struct seat *seats, unsigned count, unsigned client, uint64_t seed)
{
	struct ip_address its = client_of(client);
	struct seating seating = decide_seat(POLICY_SHARED, seats, count, &its, seed);
	assert_true(seating.found);
	assert_false(seating.anew);
	assert_true(seating.index < count);
	return seating.index;
}

static void clients_spread_and_stay(void **state)
{
	(void)state;
	struct seat seats[8] = {0}, later[8];
	unsigned clients[8] = {0}, differ = 0;
	for (unsigned i = 0; i < 8; i++)
		later[i] = (struct seat){.state = (enum load_state)(i % 4), .used_at = 100 - i};
	for (unsigned client = 0; client < 8000; client++) {
		unsigned index = together(seats, 8, client, 1);
		clients[index]++;
		assert_int_equal(together(later, 8, client, 1), index);
		differ += together(seats, 8, client, 2) != index;
	}
	for (unsigned i = 0; i < 8; i++)
		assert_in_range(clients[i], 800, 1200);
	assert_in_range(differ, 6500, 7500); /* another seed is another order */
}

/* With one seat more only those move that it gets; one that fails loses its own alone. */
static void property_few_move(void **state)
{
	(void)state;
	struct random random = {99};
	for (unsigned round = 0; round < 50000; round++) {
		struct seat seats[POLICY_INSTANCES_MAX] = {0};
		unsigned count = 1 + (unsigned)random_below(&random, POLICY_INSTANCES_MAX - 1);
		unsigned client = (unsigned)random_below(&random, 65536);
		unsigned failing = (unsigned)random_below(&random, count);
		uint64_t seed = random_next(&random);
		unsigned before = together(seats, count, client, seed);
		unsigned after = together(seats, count + 1, client, seed);
		assert_true(after == before || after == count);
		seats[failing].failing = true;
		unsigned now = together(seats, count, client, seed);
		if (failing != before || count == 1)
			assert_int_equal(now, before);
		else
			assert_int_not_equal(now, failing);
		for (unsigned i = 0; i < count; i++)
			seats[i].failing = true;
		assert_int_equal(together(seats, count, client, seed), before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_and_to_text),
		cmocka_unit_test(who_is_one_client),
		cmocka_unit_test(a_seat_of_its_own),
		cmocka_unit_test(none_is_left),
		cmocka_unit_test(property_nobody_gets_what_is_anothers),
		cmocka_unit_test(property_visits),
		cmocka_unit_test(clients_spread_and_stay),
		cmocka_unit_test(property_few_move),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
