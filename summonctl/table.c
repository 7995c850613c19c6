/* SPDX-License-Identifier: ISC */
#include "summonctl/table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/units.h"

struct table {
	size_t columns, rows;
	size_t widths[TABLE_COLUMNS];
	char **cells; /* rows * columns */
	bool incomplete;
};

struct table *table_create(size_t columns)
{
	struct table *table = calloc(1, sizeof(*table));
	if (table)
		table->columns = columns;
	return table;
}

/* Letters of UTF-8, of which the bytes 10xxxxxx are only the rest. */
static size_t width_of(const char *text)
{
	size_t width = 0;
	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static char *copy_cell(const char *text)
{
	char *copy = strdup(text && *text ? text : "-");
	for (char *c = copy; c && *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	return copy;
}

void table_row(struct table *table, ...)
{
	if (!table)
		return;
	size_t count = (table->rows + 1) * table->columns;
	char **cells = reallocarray(table->cells, count, sizeof(*cells));
	if (!cells) {
		table->incomplete = true;
		return;
	}
	table->cells = cells;
	va_list args;
	va_start(args, table);
	for (size_t i = 0; i < table->columns; i++) {
		char *cell = copy_cell(va_arg(args, const char *));
		cells[table->rows * table->columns + i] = cell;
		table->incomplete |= !cell;
		if (cell && width_of(cell) > table->widths[i])
			table->widths[i] = width_of(cell);
	}
	va_end(args);
	table->rows++;
}

int table_print(struct table *table, FILE *stream)
{
	if (!table)
		return -ENOMEM;
	for (size_t i = 0; i < table->rows * table->columns; i++) {
		const char *cell = table->cells[i] ? table->cells[i] : "?";
		size_t column = i % table->columns;
		bool last = column + 1 == table->columns;
		size_t padding = last ? 0 : table->widths[column] + 2 - width_of(cell);
		fprintf(stream, "%s%*s%s", cell, (int)padding, "", last ? "\n" : "");
		free(table->cells[i]);
	}
	int rc = table->incomplete ? -ENOMEM : 0;
	free(table->cells);
	free(table);
	return rc;
}

const char *print_elapsed(uint64_t ns, char text[WHEN_TEXT])
{
	if (ns < 10 * NS_PER_S)
		snprintf(text, WHEN_TEXT, "%.3f ms", (double)ns / (double)NS_PER_MS);
	else
		snprintf(text, WHEN_TEXT, "%.1f s", (double)ns / (double)NS_PER_S);
	return text;
}

const char *print_age(const char *time_text, char text[WHEN_TEXT])
{
	static const struct {
		int64_t seconds;
		const char *unit;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	struct tm tm = {0};
	const char *end = time_text ? strptime(time_text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	int64_t age = end ? (int64_t)time(NULL) - (int64_t)timegm(&tm) : -1;
	if (age < 0) {
		snprintf(text, WHEN_TEXT, "%s", time_text ? time_text : "-");
		return text;
	}
	size_t i = 0;
	while (i < 3 && age < units[i].seconds)
		i++;
	snprintf(text, WHEN_TEXT, "%" PRId64 "%s", age / units[i].seconds, units[i].unit);
	return text;
}
