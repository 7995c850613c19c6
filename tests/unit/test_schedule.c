/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "daemon/schedule.h"
#include "policies/hours.h"
#include "tests/unit/random.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define DAY      86400

/* Midnight UTC of the Sundays on which Berlin's clocks change in 2026, and of a Wednesday. */
#define SPRING    1774742400 /* 29 March: 02:00 is 03:00 */
#define AUTUMN    1792886400 /* 25 October: 03:00 is 02:00 */
#define WEDNESDAY 1781049600 /* 10 June */

static struct schedule schedule; /* the environment points into it */

static struct policy_hours hours(const char *text)
{
	struct policy_hours out;
	assert_true(hours_parse(text, &out));
	return out;
}

static void clocks(void **state)
{
	(void)state;
	static const struct {
		const char *zone;
		int64_t at;
		unsigned day, minute;
	} cases[] = {
		{"UTC", WEDNESDAY, 2, 0},
		{"Europe/Berlin", WEDNESDAY, 2, 120},
		{"America/New_York", WEDNESDAY, 1, 20 * 60},
		{"Asia/Kathmandu", WEDNESDAY, 2, 345},
		{"Europe/Berlin", SPRING + 3599, 6, 119},
		{"Europe/Berlin", SPRING + 3600, 6, 180},
		{"Europe/Berlin", AUTUMN + 3599, 6, 179},
		{"Europe/Berlin", AUTUMN + 3600, 6, 120},
		{"Europe/Berlin", AUTUMN + 7200, 6, 180},
		{"UTC", 0, 3, 0},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		unsigned day, minute;
		if (schedule_check_zone(cases[i].zone, NULL) < 0)
			skip();
		schedule_clock(&schedule, cases[i].zone, cases[i].at, &day, &minute);
		assert_int_equal(day, cases[i].day);
		assert_int_equal(minute, cases[i].minute);
	}
	struct error err = ERROR_INIT;
	assert_int_equal(schedule_check_zone("Europe/Atlantis", &err), -EINVAL);
	assert_non_null(strstr(err.message, "Europe/Atlantis"));
}

/* How many minutes of the local day that begins near `from` are in the hours. */
static unsigned minutes_in(const struct policy_hours *in, const char *zone, int64_t from)
{
	unsigned count = 0;
	for (int64_t at = from - DAY; at < from + 2 * DAY; at += 60) {
		unsigned day, minute;
		schedule_clock(&schedule, zone, at, &day, &minute);
		count += hours_contain(in, day, minute);
	}
	return count;
}

static void summer_time(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned spring, autumn; /* minutes on a Sunday with 23 hours, and with 25 */
	} cases[] = {
		{"Sun 00:00-24:00", 23 * 60, 25 * 60},
		{"Sun 02:00-03:00", 0, 120},
		{"Sun 02:15-02:45", 0, 60},
		{"Sun 01:30-02:30", 30, 30 + 60},
		{"Sun 02:30-04:00", 60, 60 + 60},
		{"Sat 23:00-02:30", 180, 180 + 60},
		{"Sun 03:00-04:00", 60, 60},
		{"Mon 00:00-06:00", 360, 360},
	};
	if (schedule_check_zone("Europe/Berlin", NULL) < 0)
		skip();
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct policy_hours in = hours(cases[i].text);
		assert_int_equal(minutes_in(&in, "Europe/Berlin", SPRING), cases[i].spring);
		assert_int_equal(minutes_in(&in, "Europe/Berlin", AUTUMN), cases[i].autumn);
	}
}

/* A zone's clock differs from UTC's by whole minutes within a day, whichever was asked for before. */
static void property_clocks(void **state)
{
	(void)state;
	static const char *const zones[] = {"UTC", "Europe/Berlin", "Australia/Lord_Howe",
		"Pacific/Kiritimati", "America/St_Johns", "Asia/Kolkata", "Africa/Casablanca"};
	struct random random = {5};
	for (unsigned i = 0; i < 20000; i++) {
		const char *zone = zones[random_below(&random, COUNT(zones))];
		int64_t at = (int64_t)random_below(&random, 4102444800u);
		unsigned day, minute, again_day, again, utc_day, utc;
		if (schedule_check_zone(zone, NULL) < 0)
			continue;
		schedule_clock(&schedule, zone, at, &day, &minute);
		schedule_clock(&schedule, "UTC", at, &utc_day, &utc);
		schedule_clock(&schedule, zone, at, &again_day, &again);
		assert_int_equal(day, again_day);
		assert_int_equal(minute, again);
		assert_int_equal(utc, at / 60 % 1440);
		assert_int_equal(utc_day, (at / DAY + 3) % 7);
		int ahead =
			((int)(day * 1440 + minute) - (int)(utc_day * 1440 + utc) + 10080) % 10080;
		assert_true(ahead <= 14 * 60 || ahead >= 10080 - 12 * 60);
	}
}

/* What is in the hours is what was printed, and they overlap where a minute is in both. */
static void property_hours(void **state)
{
	(void)state;
	struct random random = {11};
	for (unsigned i = 0; i < 300; i++) {
		struct policy_hours two[2], again;
		char text[POLICY_VALUE_MAX + 1];
		memset(two, 0, sizeof(two));
		for (unsigned k = 0; k < 2; k++) {
			two[k].count = 1 + (unsigned)random_below(&random, 3);
			for (unsigned j = 0; j < two[k].count; j++) {
				two[k].list[j].days = (uint8_t)(1 + random_below(&random, 127));
				two[k].list[j].from = (uint16_t)random_below(&random, 1440);
				two[k].list[j].to = (uint16_t)((two[k].list[j].from + 1 +
								       random_below(&random, 600)) %
							       1440);
			}
			assert_true(hours_print(&two[k], text));
			assert_true(hours_parse(text, &again));
			assert_memory_equal(&again, &two[k], sizeof(again));
		}
		bool both = false;
		for (unsigned at = 0; at < 10080; at++)
			both |= hours_contain(&two[0], at / 1440, at % 1440) &&
				hours_contain(&two[1], at / 1440, at % 1440);
		assert_int_equal(hours_overlap(&two[0], &two[1]), both);
	}
}

static int forget(void **state)
{
	(void)state;
	return unsetenv("TZ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clocks),
		cmocka_unit_test(summer_time),
		cmocka_unit_test(property_clocks),
		cmocka_unit_test(property_hours),
	};
	return cmocka_run_group_tests(tests, NULL, forget);
}
