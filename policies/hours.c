/* SPDX-License-Identifier: ISC */
#include "policies/hours.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SEPARATORS " \t,"
#define EVERY_DAY  0x7fu
#define DAY        (24u * 60)

static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

/* --- from text --- */

static unsigned find_day(const char *text)
{
	unsigned day = 0;
	while (day < 7 && strncasecmp(text, days[day], 3) != 0)
		day++;
	return day;
}

/* "Mon" or "Fri-Mon" of `length` letters. */
static bool days_parse(const char *text, size_t length, unsigned *mask)
{
	if (length != 3 && !(length == 7 && text[3] == '-'))
		return false;
	unsigned first = find_day(text), last = length == 7 ? find_day(text + 4) : first;
	if (first == 7 || last == 7)
		return false;
	for (unsigned day = first;; day = (day + 1) % 7) {
		*mask |= 1u << day;
		if (day == last)
			return true;
	}
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

bool hours_parse(const char *text, struct policy_hours *out)
{
	struct policy_hours hours;
	unsigned mask = 0;
	memset(&hours, 0, sizeof(hours));
	text += strspn(text, SEPARATORS);
	bool none = strncasecmp(text, "none", 4) == 0 && !text[4 + strspn(text + 4, SEPARATORS)];
	for (; *text && !none; text += strspn(text, SEPARATORS)) {
		size_t length = strcspn(text, SEPARATORS);
		uint16_t from, to;
		if (!days_parse(text, length, &mask)) {
			if (!span_parse(text, length, &from, &to) ||
				hours.count == POLICY_HOURS_MAX)
				return false;
			hours.list[hours.count].days = (uint8_t)(mask ? mask : EVERY_DAY);
			hours.list[hours.count].from = from;
			hours.list[hours.count++].to = to;
			mask = 0;
		}
		text += length;
	}
	char printed[POLICY_VALUE_MAX + 1];
	if (mask || !hours_print(&hours, printed))
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

/* Three and more in a row as a range. */
static void put_days(struct writer *writer, unsigned mask)
{
	for (unsigned day = 0; day < 7; day++) {
		unsigned last = day;
		if (!(mask & (1u << day)))
			continue;
		while (last < 6 && mask & (1u << (last + 1)))
			last++;
		put(writer, "", days[day]);
		if (last >= day + 2) {
			put(writer, "-", days[last]);
			day = last;
		}
		put(writer, " ", "");
	}
}

bool hours_print(const struct policy_hours *hours, char text[POLICY_VALUE_MAX + 1])
{
	struct writer writer = {.text = text};
	if (hours->count > POLICY_HOURS_MAX)
		return false;
	strcpy(text, "none");
	for (unsigned i = 0; i < hours->count; i++) {
		unsigned from = hours->list[i].from, to = hours->list[i].to;
		unsigned mask = hours->list[i].days;
		char span[32];
		if (mask == 0 || mask > EVERY_DAY || from >= DAY || to > DAY || from == to)
			return false;
		put(&writer, i ? ", " : "", "");
		if (mask != EVERY_DAY)
			put_days(&writer, mask);
		snprintf(span, sizeof(span), "%02u:%02u-%02u:%02u", from / 60, from % 60, to / 60,
			to % 60);
		put(&writer, "", span);
	}
	return !writer.full;
}

/* --- what time it is --- */

bool hours_contain(const struct policy_hours *hours, unsigned day, unsigned minute)
{
	for (unsigned i = 0; i < hours->count; i++) {
		unsigned from = hours->list[i].from, to = hours->list[i].to;
		bool today = hours->list[i].days & (1u << day);
		bool yesterday = hours->list[i].days & (1u << (day + 6) % 7);
		if (from < to ? today && minute >= from && minute < to
			      : (today && minute >= from) || (yesterday && minute < to))
			return true;
	}
	return false;
}

bool hours_overlap(const struct policy_hours *a, const struct policy_hours *b)
{
	bool both = false;
	if (a->count == 0 || b->count == 0)
		return false;
	for (unsigned at = 0; at < 7 * DAY && !both; at++)
		both = hours_contain(a, at / DAY, at % DAY) && hours_contain(b, at / DAY, at % DAY);
	return both;
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
