/* SPDX-License-Identifier: ISC */
#ifndef POLICIES_HOURS_H
#define POLICIES_HOURS_H

#include "policies/policy.h"

/* Hours of the week, by what a clock on the wall shows: one that is shown twice, as when summer time
 * ends, counts twice; one that is skipped never comes. */

/* "Mon-Fri 08:00-18:00, Sat Sun 22:00-02:00", "00:00-24:00" (every day), or "none". Those that end
 * before they begin end on the next day. Writes *out only where it returns true. */
bool hours_parse(const char *text, struct policy_hours *out);
bool hours_print(const struct policy_hours *hours, char text[POLICY_VALUE_MAX + 1]);
/* `day` is 0 for Monday, `minute` since midnight. */
bool hours_contain(const struct policy_hours *hours, unsigned day, unsigned minute);
bool hours_overlap(const struct policy_hours *a, const struct policy_hours *b);

/* "Europe/Berlin": a name as in /usr/share/zoneinfo, which is not looked at. */
bool zone_parse(const char *text, char out[POLICY_ZONE_MAX + 1]);

#endif
