/* SPDX-License-Identifier: ISC */
#include "rehearse/when.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/units.h"

#define SECONDS_MAX                                                                                \
	13569465600ull /* 2400-01-01: in nanoseconds still far from the end of 64 bits */

/* Exactly `count` digits. */
static bool take_digits(const char **text, unsigned count, uint64_t *out)
{
	*out = 0;
	for (unsigned i = 0; i < count; i++, (*text)++) {
		if (!isdigit((unsigned char)**text))
			return false;
		*out = *out * 10 + (uint64_t)(**text - '0');
	}
	return true;
}

static bool take(const char **text, const char *any_of)
{
	if (!**text || !strchr(any_of, **text))
		return false;
	(*text)++;
	return true;
}

/* ".25" or nothing. */
static bool take_fraction(const char **text, uint64_t *ns)
{
	uint64_t unit = NS_PER_S;
	*ns = 0;
	if (!take(text, "."))
		return true;
	if (!isdigit((unsigned char)**text))
		return false;
	for (; isdigit((unsigned char)**text); (*text)++) {
		unit /= 10;
		*ns += unit * (uint64_t)(**text - '0');
		if (unit == 0)
			return false; /* more than nine */
	}
	return true;
}

static bool read_seconds(const char *text, uint64_t *ns)
{
	uint64_t seconds = 0, fraction;
	if (!isdigit((unsigned char)*text))
		return false;
	for (; isdigit((unsigned char)*text); text++) {
		seconds = seconds * 10 + (uint64_t)(*text - '0');
		if (seconds >= SECONDS_MAX)
			return false;
	}
	if (!take_fraction(&text, &fraction) || *text)
		return false;
	*ns = seconds * NS_PER_S + fraction;
	return true;
}

struct date {
	uint64_t year, month, day, hour, minute, second;
};

static bool is_leap(uint64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static uint64_t days_of(uint64_t year, uint64_t month)
{
	static const uint64_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	return days[month - 1] + (month == 2 && is_leap(year));
}

static bool is_date(const struct date *date)
{
	return date->year >= 1970 && date->year < 2400 && date->month >= 1 && date->month <= 12 &&
	       date->day >= 1 && date->day <= days_of(date->year, date->month) && date->hour < 24 &&
	       date->minute < 60 && date->second <= 60; /* a leap second */
}

static uint64_t seconds_of(const struct date *date)
{
	uint64_t days = date->day - 1;
	for (uint64_t year = 1970; year < date->year; year++)
		days += is_leap(year) ? 366 : 365;
	for (uint64_t month = 1; month < date->month; month++)
		days += days_of(date->year, month);
	return ((days * 24 + date->hour) * 60 + date->minute) * 60 + date->second;
}

static bool take_date(const char **text, struct date *date)
{
	return take_digits(text, 4, &date->year) && take(text, "-") &&
	       take_digits(text, 2, &date->month) && take(text, "-") &&
	       take_digits(text, 2, &date->day) && take(text, "Tt ") &&
	       take_digits(text, 2, &date->hour) && take(text, ":") &&
	       take_digits(text, 2, &date->minute) && take(text, ":") &&
	       take_digits(text, 2, &date->second) && is_date(date);
}

/* "Z", or how far local time is ahead, in seconds. */
static bool take_zone(const char **text, int64_t *ahead)
{
	uint64_t hours, minutes;
	*ahead = 0;
	if (take(text, "Zz"))
		return true;
	int64_t sign = **text == '-' ? -1 : 1;
	if (!take(text, "+-") || !take_digits(text, 2, &hours) || !take(text, ":") ||
		!take_digits(text, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ahead = sign * (int64_t)(hours * 3600 + minutes * 60);
	return true;
}

static bool read_date(const char *text, uint64_t *ns)
{
	struct date date;
	uint64_t fraction;
	int64_t ahead;
	if (!take_date(&text, &date) || !take_fraction(&text, &fraction) ||
		!take_zone(&text, &ahead) || *text)
		return false;
	int64_t seconds = (int64_t)seconds_of(&date) - ahead;
	if (seconds < 0)
		return false;
	*ns = (uint64_t)seconds * NS_PER_S + fraction;
	return true;
}

int when_parse(const char *text, uint64_t *ns, struct error *err)
{
	if (read_seconds(text, ns) || read_date(text, ns))
		return 0;
	return error_set(err, -EINVAL,
		"'%.40s' is no time: write seconds, as in 1700000000.25, or RFC 3339, as in "
		"2023-11-14T22:13:20.25Z",
		text);
}
