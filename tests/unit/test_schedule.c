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
		struct hours_day today, yesterday;
		unsigned minute;
	} cases[] = {
		{"UTC", WEDNESDAY, {2, 5, 10}, {1, 5, 9}, 0},
		{"Europe/Berlin", WEDNESDAY, {2, 5, 10}, {1, 5, 9}, 120},
		{"America/New_York", WEDNESDAY, {1, 5, 9}, {0, 5, 8}, 20 * 60},
		{"Asia/Kathmandu", WEDNESDAY, {2, 5, 10}, {1, 5, 9}, 345},
		{"Europe/Berlin", SPRING + 3599, {6, 2, 29}, {5, 2, 28}, 119},
		{"Europe/Berlin", SPRING + 3600, {6, 2, 29}, {5, 2, 28}, 180},
		{"Europe/Berlin", AUTUMN + 3599, {6, 9, 25}, {5, 9, 24}, 179},
		{"Europe/Berlin", AUTUMN + 3600, {6, 9, 25}, {5, 9, 24}, 120},
		{"Europe/Berlin", AUTUMN + 7200, {6, 9, 25}, {5, 9, 24}, 180},
		{"UTC", 0, {3, 0, 1}, {2, 11, 31}, 0},
		{"UTC", 1709251200, {4, 2, 1}, {3, 1, 29}, 0},     /* 1 March 2024 */
		{"UTC", 1709251199, {3, 1, 29}, {2, 1, 28}, 1439}, /* a second before */
		/* A whole day that this zone's calendar left out. */
		{"Pacific/Apia", 1325239200, {5, 11, 31}, {4, 11, 30}, 0},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct hours_time now;
		if (schedule_check_zone(cases[i].zone, NULL) < 0)
			skip();
		schedule_clock(&schedule, cases[i].zone, cases[i].at, &now);
		assert_memory_equal(&now.today, &cases[i].today, sizeof(now.today));
		assert_memory_equal(&now.yesterday, &cases[i].yesterday, sizeof(now.yesterday));
		assert_int_equal(now.minute, cases[i].minute);
	}
	struct error err = ERROR_INIT;
	assert_int_equal(schedule_check_zone("Europe/Atlantis", &err), -EINVAL);
	assert_non_null(strstr(err.message, "Europe/Atlantis"));
}

static void texts(void **state)
{
	(void)state;
	static const struct {
		const char *text, *printed; /* NULL: it is none */
	} cases[] = {
		{"mon 1-7 JAN-mar,jul 08:00-12:00", "Jan-Mar Jul 1-7 Mon 08:00-12:00"},
		{"31 28-30 Nov-Feb 08:00-12:00, 08:00-09:00",
			"Jan Feb Nov Dec 28-31 08:00-12:00, 08:00-09:00"},
		{"30-2 08:00-12:00, Feb 29 01:00-02:00",
			"1 2 30 31 08:00-12:00, Feb 29 01:00-02:00"},
		{"8:00-18:00", NULL},
		{"08:00-24:01", NULL},
		{"08:00-08:00", NULL},
		{"08:60-09:00", NULL},
		{"Mon-Fry 08:00-09:00", NULL},
		{"Mon 1", NULL},
		{"1-", NULL},
		{"0 08:00-09:00", NULL},
		{"32 08:00-09:00", NULL},
		{"1-32 08:00-09:00", NULL},
		{"Feb 30 08:00-09:00", NULL},
		{"Feb Apr-Apr 31 08:00-09:00", NULL},
		{"Jan-Mon 08:00-09:00", NULL},
		{"001 08:00-09:00", NULL},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct policy_hours out;
		char text[POLICY_VALUE_MAX + 1];
		assert_int_equal(hours_parse(cases[i].text, &out), cases[i].printed != NULL);
		if (!cases[i].printed)
			continue;
		assert_true(hours_print(&out, text));
		assert_string_equal(text, cases[i].printed);
	}
}

/* How many minutes of the local day that begins near `from` are in the hours. */
static unsigned minutes_in(const struct policy_hours *in, const char *zone, int64_t from)
{
	unsigned count = 0;
	for (int64_t at = from - DAY; at < from + 2 * DAY; at += 60) {
		struct hours_time now;
		schedule_clock(&schedule, zone, at, &now);
		count += hours_contain(in, &now);
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
		{"Mar 29 00:00-24:00", 23 * 60, 0},
		{"Oct 22-28 Sun 00:00-24:00", 0, 25 * 60},
		{"Oct 24 Sat 23:00-02:30", 0, 180 + 60},
		{"Mar Sat Sun 01:30-02:30", 30 + 60, 0},
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
		struct hours_time now, again, utc;
		if (schedule_check_zone(zone, NULL) < 0)
			continue;
		schedule_clock(&schedule, zone, at, &now);
		schedule_clock(&schedule, "UTC", at, &utc);
		schedule_clock(&schedule, zone, at, &again);
		assert_memory_equal(&now, &again, sizeof(now));
		assert_int_equal(utc.minute, at / 60 % 1440);
		assert_int_equal(utc.today.day, (at / DAY + 3) % 7);
		assert_int_equal(now.yesterday.day, (now.today.day + 6) % 7);
		assert_true(now.today.date == 1 ? now.yesterday.date >= 28
						: now.yesterday.date == now.today.date - 1);
		int ahead = ((int)(now.today.day * 1440 + now.minute) -
				    (int)(utc.today.day * 1440 + utc.minute) + 10080) %
			    10080;
		assert_true(ahead <= 14 * 60 || ahead >= 10080 - 12 * 60);
	}
}

#define STEP 4 /* minutes */

static struct policy_span random_span(struct random *random)
{
	struct policy_span span;
	memset(&span, 0, sizeof(span));
	span.days = (uint8_t)(1 + random_below(random, 127));
	span.months = random_below(random, 2) ? 0xfff : (uint16_t)(7u << random_below(random, 10));
	span.dates = random_below(random, 2) ? 0xfffffffe : 15u << (1 + random_below(random, 28));
	span.from = (uint16_t)(STEP * random_below(random, 1440 / STEP));
	span.to = (uint16_t)((span.from + STEP * (1 + random_below(random, 600 / STEP))) % 1440);
	return span;
}

/* Of the years until all that there are have come. */
static bool share_a_minute(const struct policy_hours two[2])
{
	static struct schedule utc;
	struct hours_time now;
	for (int64_t day = 0; day < 28 * 1461 / 4; day++) {
		schedule_clock(&utc, "UTC", day * DAY, &now);
		for (now.minute = 0; now.minute < 1440; now.minute += STEP)
			if (hours_contain(&two[0], &now) && hours_contain(&two[1], &now))
				return true;
	}
	return false;
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
			for (unsigned j = 0; j < two[k].count; j++)
				two[k].list[j] = random_span(&random);
			assert_true(hours_print(&two[k], text));
			assert_true(hours_parse(text, &again));
			assert_memory_equal(&again, &two[k], sizeof(again));
		}
		assert_int_equal(hours_overlap(&two[0], &two[1]), share_a_minute(two));
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
		cmocka_unit_test(texts),
		cmocka_unit_test(clocks),
		cmocka_unit_test(summer_time),
		cmocka_unit_test(property_clocks),
		cmocka_unit_test(property_hours),
	};
	return cmocka_run_group_tests(tests, NULL, forget);
}
