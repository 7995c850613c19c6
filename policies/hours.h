/* SPDX-License-Identifier: ISC */
#ifndef POLICIES_HOURS_H
#define POLICIES_HOURS_H

#include "policies/policy.h"

/* Hours of days, by what a clock on the wall shows: one that is shown twice, as when summer time ends,
 * counts twice; one that is skipped never comes. */

/* "Mon-Fri 08:00-18:00, Sat Sun 22:00-02:00", "00:00-24:00" (every day), or "none". Months and dates
 * stand before a span as days do, and it is on days for which all of these are so: "Jan-Mar 1-7 Mon
 * 08:00-12:00". Spans that end before they begin end on the next day, whichever that is. Writes *out
 * only where it returns true. */
bool hours_parse(const char *text, struct policy_hours *out);
bool hours_print(const struct policy_hours *hours, char text[POLICY_VALUE_MAX + 1]);

struct hours_day {
	unsigned day;   /* 0 for Monday */
	unsigned month; /* 0 for January */
	unsigned date;  /* 1 to 31 */
};
struct hours_time {
	struct hours_day today, yesterday;
	unsigned minute; /* since midnight */
};
bool hours_contain(const struct policy_hours *hours, const struct hours_time *now);
/* Whether there ever is a minute that is in both. */
bool hours_overlap(const struct policy_hours *a, const struct policy_hours *b);

/* "Europe/Berlin": a name as in /usr/share/zoneinfo, which is not looked at. */
bool zone_parse(const char *text, char out[POLICY_ZONE_MAX + 1]);

#endif
