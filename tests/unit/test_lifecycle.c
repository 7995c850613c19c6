/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "daemon/lifecycle.h"
#include "daemon/lifecycle_print.h"

/* What a state says about the world. The rows must keep these true. */
static const struct {
	bool instance; /* something exists or is being made */
	bool wanted;   /* waiters may exist */
	bool live;     /* idleness is watched */
} facts[STATE_COUNT] = {
	[STATE_ASLEEP] = {false, false, false},
	[STATE_PREPARING] = {true, false, false},
	[STATE_PREPARED] = {true, false, false},
	[STATE_HURRYING] = {true, true, false},
	[STATE_WARMING] = {true, false, false},
	[STATE_SUSPENDING] = {true, false, false},
	[STATE_SUSPENDED] = {true, false, false},
	[STATE_DEEPENING] = {true, false, false},
	[STATE_RECALLED] = {true, true, false},
	[STATE_CREATING] = {true, true, false},
	[STATE_UNPAUSING] = {true, true, false},
	[STATE_RESUMING] = {true, true, false},
	[STATE_BOOTING] = {true, true, false},
	[STATE_AWAKE] = {true, false, true},
	[STATE_STOPPING] = {true, false, false},
	[STATE_RESTARTING] = {true, true, false},
};

static bool does(const struct lifecycle_row *row, enum lifecycle_effect effect)
{
	for (size_t i = 0; i < LIFECYCLE_EFFECTS_MAX && row->effects[i]; i++)
		if (row->effects[i] == effect)
			return true;
	return false;
}

static bool is_found(enum lifecycle_event event)
{
	return event == EVENT_FOUND_AWAKE || event == EVENT_FOUND_BOOTING ||
	       event == EVENT_FOUND_PREPARED || event == EVENT_FOUND_SUSPENDED;
}

static void every_cell_is_a_row_or_ignored(void **state)
{
	(void)state;
	for (unsigned s = 0; s < STATE_COUNT; s++) {
		for (unsigned e = 0; e < EVENT_COUNT; e++) {
			unsigned rows = 0, reasons = 0;
			for (size_t i = 0; i < lifecycle_row_count; i++)
				rows += lifecycle_rows[i].state == s &&
					lifecycle_rows[i].event == e;
			for (size_t i = 0; i < lifecycle_ignored_count; i++)
				reasons += lifecycle_ignored_cells[i].event == e &&
					   (lifecycle_ignored_cells[i].states & (1u << s));
			if (rows + reasons != 1)
				fail_msg("%s x %s: %u rows, %u reasons to ignore",
					lifecycle_state_name(s), lifecycle_event_name(e), rows,
					reasons);
			assert_int_equal(lifecycle_step(s, e) != NULL, rows);
			assert_int_equal(lifecycle_ignored(s, e) != NULL, reasons);
		}
	}
}

static void effects_end_and_are_not_repeated(void **state)
{
	(void)state;
	for (size_t i = 0; i < lifecycle_row_count; i++) {
		const enum lifecycle_effect *effects = lifecycle_rows[i].effects;
		assert_int_equal(effects[LIFECYCLE_EFFECTS_MAX - 1], EFFECT_NONE);
		unsigned seen = 0;
		for (size_t j = 0; effects[j]; j++) {
			assert_false(seen & (1u << effects[j]));
			seen |= 1u << effects[j];
		}
	}
}

static void instances_are_made_and_dropped(void **state)
{
	(void)state;
	for (size_t i = 0; i < lifecycle_row_count; i++) {
		const struct lifecycle_row *row = &lifecycle_rows[i];
		bool before = facts[row->state].instance || is_found(row->event);
		int change = does(row, EFFECT_NEW_INSTANCE) - does(row, EFFECT_DROP_INSTANCE);
		if ((int)before + change != (int)facts[row->next].instance)
			fail_msg("%s x %s leaks or loses an instance",
				lifecycle_state_name(row->state), lifecycle_event_name(row->event));
	}
}

static void waiters_are_told_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < lifecycle_row_count; i++) {
		const struct lifecycle_row *row = &lifecycle_rows[i];
		bool wanted = facts[row->state].wanted || row->event == EVENT_DEMAND;
		bool told = does(row, EFFECT_ANSWER) || does(row, EFFECT_FAIL);
		assert_false(does(row, EFFECT_ANSWER) && does(row, EFFECT_FAIL));
		if (wanted && !facts[row->next].wanted && !told)
			fail_msg("%s x %s loses the waiters", lifecycle_state_name(row->state),
				lifecycle_event_name(row->event));
		if (told && facts[row->next].wanted)
			fail_msg("%s x %s tells waiters and goes on",
				lifecycle_state_name(row->state), lifecycle_event_name(row->event));
		if (does(row, EFFECT_ANSWER))
			assert_int_equal(row->next, STATE_AWAKE);
	}
}

static void lives_begin_and_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < lifecycle_row_count; i++) {
		const struct lifecycle_row *row = &lifecycle_rows[i];
		bool before = facts[row->state].live, after = facts[row->next].live;
		assert_int_equal(does(row, EFFECT_LIVE), !before && after);
		assert_int_equal(does(row, EFFECT_END_LIFE), before && !after);
	}
}

/* Demand must reach AWAKE or be told of a failure from everywhere, if the backend keeps its word. */
static void demand_is_never_lost(void **state)
{
	(void)state;
	for (unsigned s = 0; s < STATE_COUNT; s++) {
		const struct lifecycle_row *row = lifecycle_step(s, EVENT_DEMAND);
		unsigned next = row ? row->next : s;
		assert_true(facts[next].wanted || next == STATE_AWAKE);
	}
}

static void a_stop_leads_to_asleep(void **state)
{
	(void)state;
	for (unsigned s = 0; s < STATE_COUNT; s++) {
		if (s == STATE_ASLEEP)
			continue;
		const struct lifecycle_row *row = lifecycle_step(s, EVENT_RETIRE);
		assert_non_null(row);
		assert_int_equal(row->next, STATE_STOPPING);
	}
	assert_int_equal(lifecycle_step(STATE_STOPPING, EVENT_EXITED)->next, STATE_ASLEEP);
	assert_int_equal(lifecycle_step(STATE_STOPPING, EVENT_START_FAILED)->next, STATE_ASLEEP);
}

/* Nothing is asked of the backend for an instance whose step failed before its start, and no guest
 * is forgotten after it. */
static void a_failed_effect_has_its_event(void **state)
{
	(void)state;
	for (size_t i = 0; i < lifecycle_row_count; i++) {
		const struct lifecycle_row *row = &lifecycle_rows[i];
		bool starts = false;
		for (size_t k = 0; row->effects[k]; k++) {
			enum lifecycle_effect effect = row->effects[k];
			if (effect != EFFECT_NEW_INSTANCE && effect != EFFECT_WATCH &&
				effect != EFFECT_LINK_UP && effect != EFFECT_START &&
				effect != EFFECT_START_PAUSED)
				continue;
			const struct lifecycle_row *then =
				lifecycle_step(row->next, lifecycle_failure(row, effect, false));
			if (is_found(row->event) || row->next == STATE_UNPAUSING ||
				row->next == STATE_RESUMING)
				continue; /* there is a guest in either case */
			assert_non_null(then);
			assert_int_equal(then->next, starts ? STATE_STOPPING : STATE_ASLEEP);
			starts |= effect == EFFECT_START || effect == EFFECT_START_PAUSED;
		}
	}
}

static void the_document_is_the_table(void **state)
{
	(void)state;
	char *printed = NULL, written[1 << 16];
	size_t size;
	FILE *memory = open_memstream(&printed, &size);
	lifecycle_print(memory);
	fclose(memory);
	FILE *file = fopen(SOURCE_ROOT "/docs/lifecycle.md", "r");
	assert_non_null(file);
	size_t length = fread(written, 1, sizeof(written), file);
	fclose(file);
	/* Where this fails: summond --lifecycle > docs/lifecycle.md */
	assert_int_equal(length, size);
	assert_memory_equal(written, printed, size);
	free(printed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cell_is_a_row_or_ignored),
		cmocka_unit_test(effects_end_and_are_not_repeated),
		cmocka_unit_test(instances_are_made_and_dropped),
		cmocka_unit_test(waiters_are_told_once),
		cmocka_unit_test(lives_begin_and_end),
		cmocka_unit_test(demand_is_never_lost),
		cmocka_unit_test(a_stop_leads_to_asleep),
		cmocka_unit_test(a_failed_effect_has_its_event),
		cmocka_unit_test(the_document_is_the_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
