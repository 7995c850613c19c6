/* SPDX-License-Identifier: ISC */
#include "base/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* Largest first, for printing; a unit that is only read stands behind the one that is printed. */
static const struct unit duration_units[] = {
	{"d", 24 * 3600 * NS_PER_S},
	{"h", 3600 * NS_PER_S},
	{"min", 60 * NS_PER_S},
	{"m", 60 * NS_PER_S},
	{"s", NS_PER_S},
	{"ms", NS_PER_MS},
	{"us", NS_PER_US},
	{"ns", 1},
	{0},
};

static const struct unit size_units[] = {
	{"TiB", 1ull << 40},
	{"T", 1ull << 40},
	{"GiB", 1ull << 30},
	{"G", 1ull << 30},
	{"MiB", 1ull << 20},
	{"M", 1ull << 20},
	{"KiB", 1ull << 10},
	{"K", 1ull << 10},
	{"B", 1},
	{0},
};

/* Reads digits, and a fraction, of a number that is to be multiplied by a unit's factor. The
 * fraction is kept as numerator and denominator so that "1.2s" is exact. */
static const char *read_decimal(const char *text, uint64_t *whole, uint64_t *part, uint64_t *scale)
{
	*whole = *part = 0;
	*scale = 1;
	if (!isdigit((unsigned char)*text))
		return NULL;
	for (; isdigit((unsigned char)*text); text++)
		if (__builtin_mul_overflow(*whole, 10u, whole) ||
			__builtin_add_overflow(*whole, (uint64_t)(*text - '0'), whole))
			return NULL;
	if (*text != '.')
		return text;
	if (!isdigit((unsigned char)*++text))
		return NULL;
	for (; isdigit((unsigned char)*text); text++) {
		if (*scale >= 1000000000u)
			return NULL;
		*part = *part * 10 + (uint64_t)(*text - '0');
		*scale *= 10;
	}
	return text;
}

static bool quantity_parse(const struct unit *units, const char *text, uint64_t *out)
{
	uint64_t whole, part, scale;
	const char *end = read_decimal(text, &whole, &part, &scale);
	if (!end)
		return false;
	if (!*end && whole == 0 && part == 0) {
		*out = 0;
		return true;
	}
	while (*end == ' ')
		end++;
	for (const struct unit *unit = units; unit->name; unit++) {
		if (strcmp(end, unit->name) != 0)
			continue;
		/* part < scale <= 10^9 and factor < 2^47: no overflow in 128 bits, nor in the result. */
		unsigned __int128 scaled = (unsigned __int128)part * unit->factor;
		if (scaled % scale != 0)
			return false;
		uint64_t total, fraction = (uint64_t)(scaled / scale);
		if (__builtin_mul_overflow(whole, unit->factor, &total) ||
			__builtin_add_overflow(total, fraction, &total))
			return false;
		*out = total;
		return true;
	}
	return false;
}

static const char *quantity_print(const struct unit *units, uint64_t value, char *text, size_t size)
{
	if (value == 0)
		return strcpy(text, "0");
	const struct unit *unit = units;
	while (value % unit->factor != 0)
		unit++;
	snprintf(text, size, "%" PRIu64 "%s", value / unit->factor, unit->name);
	return text;
}

int duration_parse(const char *text, uint64_t *ns, struct error *err)
{
	if (!quantity_parse(duration_units, text, ns))
		return error_set(err, -EINVAL,
			"'%.40s' is not a duration: write a number and ns, us, ms, s, min, h or d, "
			"as in 1.2s",
			text);
	return 0;
}

const char *duration_print(uint64_t ns, char text[DURATION_TEXT])
{
	return quantity_print(duration_units, ns, text, DURATION_TEXT);
}

int size_parse(const char *text, uint64_t *bytes, struct error *err)
{
	if (!quantity_parse(size_units, text, bytes))
		return error_set(err, -EINVAL,
			"'%.40s' is not a size: write a number and B, KiB, MiB, GiB or TiB, as in "
			"32MiB",
			text);
	return 0;
}

const char *size_print(uint64_t bytes, char text[SIZE_TEXT])
{
	return quantity_print(size_units, bytes, text, SIZE_TEXT);
}

int number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *out, struct error *err)
{
	uint64_t whole, part, scale;
	const char *end = read_decimal(text, &whole, &part, &scale);
	if (!end || *end || scale != 1 || whole < min || whole > max)
		return error_set(err, -EINVAL,
			"'%.40s' is not a whole number from %" PRIu64 " to %" PRIu64, text, min,
			max);
	*out = whole;
	return 0;
}

static uint64_t clock_read(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

uint64_t clock_real(void)
{
	return clock_read(CLOCK_REALTIME);
}
