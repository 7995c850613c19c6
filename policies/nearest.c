/* SPDX-License-Identifier: ISC */
#include "policies/nearest.h"

#include <string.h>

enum { NEAREST_MAX = 32, NEAREST_EDITS = 2 };

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Levenshtein's distance, one row at a time; `b` is at most NEAREST_MAX long. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NEAREST_MAX + 1];
	size_t width = strlen(b);
	for (size_t j = 0; j <= width; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];
		row[0] = i + 1;
		for (size_t j = 1; j <= width; j++) {
			size_t replaced = diagonal + (a[i] != b[j - 1]);
			diagonal = row[j];
			row[j] = least(replaced, least(row[j], row[j - 1]) + 1);
		}
	}
	return row[width];
}

const struct policy_option *nearest_option(const char *typed)
{
	const struct policy_option *nearest = NULL;
	size_t best = NEAREST_EDITS + 1;
	size_t length = strnlen(typed, NEAREST_MAX + 1);
	/* Two edits turn a short word into any other. */
	if (length > NEAREST_MAX || length < NEAREST_EDITS)
		return NULL;
	for (size_t i = 0; i < policy_option_count; i++) {
		size_t edits = distance(policy_options[i].name, typed);
		if (edits < best) {
			best = edits;
			nearest = &policy_options[i];
		}
	}
	return nearest;
}
