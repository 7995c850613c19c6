/* SPDX-License-Identifier: ISC */
#include "policies/hours.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SEPARATORS " \t,"
#define DAY        (24u * 60)

static const char *const day_names[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
static const char *const month_names[] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const unsigned month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

/* What a span can be limited to. The order is that in which it is printed. */
enum { MONTHS, DATES, DAYS, LIMITS };
static const struct limit {
	const char *const *names; /* NULL: numbers */
	unsigned first, count;
} limits[LIMITS] = {
	[MONTHS] = {month_names, 0, 12},
	[DATES] = {NULL, 1, 31},
	[DAYS] = {day_names, 0, 7},
};

static uint32_t all_of(const struct limit *limit)
{
	return (uint32_t)(((1ull << limit->count) - 1) << limit->first);
}

/* --- from text --- */

/* How many letters name one, whose number is written to *out; 0: none do. */
static size_t one_parse(const struct limit *limit, const char *text, unsigned *out)
{
	if (!limit->names) {
		size_t digits = strspn(text, "0123456789");
		*out = 0;
		for (size_t i = 0; i < digits && i < 3; i++)
			*out = *out * 10 + (unsigned)(text[i] - '0');
		return digits <= 2 && *out >= limit->first && *out <= limit->count ? digits : 0;
	}
	for (*out = 0; *out < limit->count; (*out)++)
		if (strncasecmp(text, limit->names[*out], 3) == 0)
			return 3;
	return 0;
}

/* "Mon" or "Fri-Mon" of `length` letters. */
static bool range_parse(const struct limit *limit, const char *text, size_t length, uint32_t *mask)
{
	unsigned first, last;
	size_t used = one_parse(limit, text, &first);
	last = first;
	if (used > 0 && text[used] == '-') {
		size_t more = one_parse(limit, text + used + 1, &last);
		used = more ? used + 1 + more : 0;
	}
	if (used == 0 || used != length)
		return false;
	for (unsigned at = first;;
		at = at + 1 == limit->first + limit->count ? limit->first : at + 1) {
		*mask |= 1u << at;
		if (at == last)
			return true;
	}
}

static bool limit_parse(const char *text, size_t length, uint32_t masks[LIMITS])
{
	for (unsigned i = 0; i < LIMITS; i++)
		if (range_parse(&limits[i], text, length, &masks[i]))
			return true;
	return false;
}

static bool clock_parse(const char *text, uint16_t *minute)
{
	for (unsigned i = 0; i < 5; i++)
		if (i == 2 ? text[i] != ':' : text[i] < '0' || text[i] > '9')
			return false;
	unsigned hours = (unsigned)(text[0] - '0') * 10 + (unsigned)(text[1] - '0');
	unsigned minutes = (unsigned)(text[3] - '0') * 10 + (unsigned)(text[4] - '0');
	*minute = (uint16_t)(hours * 60 + minutes);
	return minutes < 60 && *minute <= DAY;
}

/* "08:00-18:00" of `length` letters. */
static bool span_parse(const char *text, size_t length, uint16_t *from, uint16_t *to)
{
	return length == 11 && text[5] == '-' && clock_parse(text, from) &&
	       clock_parse(text + 6, to) && *from < DAY && *from != *to;
}

/* There is no 31 June. */
static bool ever_comes(const struct policy_span *span)
{
	for (unsigned month = 0; month < 12; month++)
		if (span->months & 1u << month && span->dates & ((2ull << month_days[month]) - 1))
			return true;
	return false;
}

static bool span_add(
	struct policy_hours *hours, const char *text, size_t length, const uint32_t masks[LIMITS])
{
	uint32_t each[LIMITS];
	struct policy_span *span = &hours->list[hours->count];
	if (hours->count == POLICY_HOURS_MAX)
		return false;
	for (unsigned i = 0; i < LIMITS; i++)
		each[i] = masks[i] ? masks[i] : all_of(&limits[i]);
	span->months = (uint16_t)each[MONTHS];
	span->dates = each[DATES];
	span->days = (uint8_t)each[DAYS];
	hours->count++;
	return span_parse(text, length, &span->from, &span->to) && ever_comes(span);
}

bool hours_parse(const char *text, struct policy_hours *out)
{
	struct policy_hours hours;
	uint32_t masks[LIMITS] = {0};
	bool is_limited = false;
	memset(&hours, 0, sizeof(hours));
	text += strspn(text, SEPARATORS);
	bool none = strncasecmp(text, "none", 4) == 0 && !text[4 + strspn(text + 4, SEPARATORS)];
	for (; *text && !none; text += strspn(text, SEPARATORS)) {
		size_t length = strcspn(text, SEPARATORS);
		is_limited = limit_parse(text, length, masks);
		if (!is_limited) {
			if (!span_add(&hours, text, length, masks))
				return false;
			memset(masks, 0, sizeof(masks));
		}
		text += length;
	}
	char printed[POLICY_VALUE_MAX + 1];
	if (is_limited || !hours_print(&hours, printed))
		return false;
	*out = hours;
	return true;
}

/* --- to text --- */

struct writer {
	char *text;
	size_t used;
	bool full;
};

static void put(struct writer *writer, const char *separator, const char *word)
{
	size_t left = POLICY_VALUE_MAX + 1 - writer->used;
	int length = snprintf(writer->text + writer->used, left, "%s%s", separator, word);
	writer->full |= (size_t)length >= left;
	writer->used += writer->full ? 0 : (size_t)length;
}

static void put_one(
	struct writer *writer, const char *separator, const struct limit *limit, unsigned number)
{
	char text[16];
	snprintf(text, sizeof(text), "%u", number);
	put(writer, separator, limit->names ? limit->names[number] : text);
}

/* Three and more in a row as a range. */
static void put_limit(struct writer *writer, const struct limit *limit, uint32_t mask)
{
	const unsigned end = limit->first + limit->count;
	if (mask == all_of(limit))
		return;
	for (unsigned at = limit->first; at < end; at++) {
		unsigned last = at;
		if (!(mask & (1u << at)))
			continue;
		while (last + 1 < end && mask & (1u << (last + 1)))
			last++;
		put_one(writer, "", limit, at);
		if (last >= at + 2) {
			put_one(writer, "-", limit, last);
			at = last;
		}
		put(writer, " ", "");
	}
}

static bool span_print(const struct policy_span *span, struct writer *writer)
{
	const uint32_t masks[LIMITS] = {
		[MONTHS] = span->months, [DATES] = span->dates, [DAYS] = span->days};
	char text[32];
	if (span->from >= DAY || span->to > DAY || span->from == span->to)
		return false;
	for (unsigned i = 0; i < LIMITS; i++) {
		if (masks[i] == 0 || masks[i] & ~all_of(&limits[i]))
			return false;
		put_limit(writer, &limits[i], masks[i]);
	}
	snprintf(text, sizeof(text), "%02u:%02u-%02u:%02u", span->from / 60, span->from % 60,
		span->to / 60, span->to % 60);
	put(writer, "", text);
	return true;
}

bool hours_print(const struct policy_hours *hours, char text[POLICY_VALUE_MAX + 1])
{
	struct writer writer = {.text = text};
	if (hours->count > POLICY_HOURS_MAX)
		return false;
	strcpy(text, "none");
	for (unsigned i = 0; i < hours->count; i++) {
		put(&writer, i ? ", " : "", "");
		if (!span_print(&hours->list[i], &writer))
			return false;
	}
	return !writer.full;
}

/* --- what time it is --- */

static bool begins_on(const struct policy_span *span, const struct hours_day *day)
{
	return span->days & 1u << day->day && span->months & 1u << day->month &&
	       span->dates & 1u << day->date;
}

bool hours_contain(const struct policy_hours *hours, const struct hours_time *now)
{
	for (unsigned i = 0; i < hours->count; i++) {
		const struct policy_span *span = &hours->list[i];
		bool over_night = span->from > span->to;
		bool today = begins_on(span, &now->today) && now->minute >= span->from &&
			     (over_night || now->minute < span->to);
		bool yesterday =
			over_night && begins_on(span, &now->yesterday) && now->minute < span->to;
		if (today || yesterday)
			return true;
	}
	return false;
}

/* In as many years each date has been each day of the week, also in leap years. */
#define YEARS 28

static bool next_day(struct hours_day *day, unsigned *year)
{
	bool is_leap = *year % 4 == 0;
	unsigned last = day->month == 1 && !is_leap ? 28 : month_days[day->month];
	day->day = (day->day + 1) % 7;
	if (day->date++ < last)
		return true;
	day->date = 1;
	day->month = (day->month + 1) % 12;
	*year += day->month == 0;
	return *year < YEARS;
}

/* Whether a day on which `a` begins ever is, or comes just before, one on which `b` does. */
static bool ever_meet(const struct policy_span *a, const struct policy_span *b, bool before)
{
	struct hours_day day = {.date = 1}, last = {.day = 6, .month = 11, .date = 31};
	unsigned year = 0;
	do {
		if (begins_on(a, before ? &last : &day) && begins_on(b, &day))
			return true;
		last = day;
	} while (next_day(&day, &year));
	return false;
}

static unsigned end_of(const struct policy_span *span)
{
	return span->to + (span->from > span->to ? DAY : 0);
}

static bool spans_overlap(const struct policy_span *a, const struct policy_span *b)
{
	return (a->from < end_of(b) && b->from < end_of(a) && ever_meet(a, b, false)) ||
	       (b->from + DAY < end_of(a) && ever_meet(a, b, true)) ||
	       (a->from + DAY < end_of(b) && ever_meet(b, a, true));
}

bool hours_overlap(const struct policy_hours *a, const struct policy_hours *b)
{
	for (unsigned i = 0; i < a->count; i++)
		for (unsigned k = 0; k < b->count; k++)
			if (spans_overlap(&a->list[i], &b->list[k]))
				return true;
	return false;
}

bool zone_parse(const char *text, char out[POLICY_ZONE_MAX + 1])
{
	size_t length =
		strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/");
	if (length == 0 || length > POLICY_ZONE_MAX || text[length] || text[0] == '/')
		return false;
	memset(out, 0, POLICY_ZONE_MAX + 1);
	memcpy(out, text, length);
	return true;
}
