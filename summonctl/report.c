/* SPDX-License-Identifier: ISC */
#include "summonctl/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "summonctl/command.h"
#include "summonctl/table.h"

#define TEXT        48
#define SOME        10 /* services, where not all are asked for */
#define MIB_PER_GIB 1024

/* --- figures --- */

enum form { COUNT, SECONDS, MEMORY, MILLISECONDS };

static double figure(const json_t *of, const char *group, const char *member)
{
	return json_number_value(json_object_get(json_object_get(of, group), member));
}

static const char *print_seconds(double seconds, char text[TEXT])
{
	static const struct {
		double from, unit;
		const char *name;
	} units[] = {{2 * 86400, 86400, "d"}, {2 * 3600, 3600, "h"}, {300, 60, "min"}};
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (seconds >= units[i].from) {
			snprintf(text, TEXT, "%.1f %s", seconds / units[i].unit, units[i].name);
			return text;
		}
	snprintf(text, TEXT, "%.1f s", seconds);
	return text;
}

static const char *print_figure(enum form form, double value, char text[TEXT])
{
	switch (form) {
	case COUNT:
		snprintf(text, TEXT, "%.0f", value);
		break;
	case SECONDS:
		return print_seconds(value, text);
	case MEMORY:
		snprintf(text, TEXT, "%.1f %s s", value >= 10000 ? value / MIB_PER_GIB : value,
			value >= 10000 ? "GiB" : "MiB");
		break;
	case MILLISECONDS:
		snprintf(text, TEXT, "%.3g ms", value);
		if (value >= 1000)
			snprintf(text, TEXT, "%.2f s", value / 1000);
		else if (value >= 100)
			snprintf(text, TEXT, "%.0f ms", value);
		break;
	}
	return text;
}

static const char *print_ratio(double now, double with, char text[TEXT])
{
	if (now > 0)
		snprintf(text, TEXT, "x %.3g", with / now);
	else
		snprintf(text, TEXT, "%s", with > 0 ? "new" : "");
	return text;
}

/* --- in all --- */

static const struct row {
	const char *title, *group, *member;
	enum form form;
	bool always; /* also where it is 0 */
} rows[] = {
	{"starts", "starts", "all", COUNT, true},
	{"  cold", "starts", "cold", COUNT, false},
	{"  prepared", "starts", "prepared", COUNT, false},
	{"  resumed from memory", "starts", "resumed", COUNT, false},
	{"  restored from disk", "starts", "restored", COUNT, false},
	{"starts ahead of demand", "starts", "ahead", COUNT, false},
	{"starts that failed", "starts", "failed", COUNT, true},
	{"time awake", "seconds", "awake", SECONDS, true},
	{"memory x time", "memory_mib_s", "all", MEMORY, true},
	{"  awake", "memory_mib_s", "awake", MEMORY, false},
	{"  starting", "memory_mib_s", "starting", MEMORY, false},
	{"  stopping", "memory_mib_s", "stopping", MEMORY, false},
	{"  prepared", "memory_mib_s", "prepared", MEMORY, false},
	{"  suspended", "memory_mib_s", "suspended", MEMORY, false},
	{"queries", "queries", "all", COUNT, true},
	{"  answered at once", "queries", "at_once", COUNT, false},
	{"  that wake nothing", "queries", "no_wake", COUNT, false},
	{"  answered when ready", "queries", "waited", COUNT, false},
	{"  answered at the deadline", "queries", "deadline", COUNT, true},
	{"  whose start failed", "queries", "failed", COUNT, false},
	{"  refused", "queries", "refused", COUNT, true},
	{"  open at the end", "queries", "open", COUNT, false},
	{"answers after, p50", "answers", "p50_ms", MILLISECONDS, false},
	{"  p90", "answers", "p90_ms", MILLISECONDS, false},
	{"  p99", "answers", "p99_ms", MILLISECONDS, false},
	{"  max", "answers", "max_ms", MILLISECONDS, false},
	{"packets", "packets", "all", COUNT, false},
	{"  to an awake guest", "packets", "at_once", COUNT, false},
	{"  that waited for it", "packets", "waited", COUNT, false},
	{"  whose start failed", "packets", "failed", COUNT, false},
	{"  refused", "packets", "refused", COUNT, false},
	{"  open at the end", "packets", "open", COUNT, false},
	{"packets served after, p50", "packet_waits", "p50_ms", MILLISECONDS, false},
	{"  p90", "packet_waits", "p90_ms", MILLISECONDS, false},
	{"  p99", "packet_waits", "p99_ms", MILLISECONDS, false},
	{"  max", "packet_waits", "max_ms", MILLISECONDS, false},
};

static void add_row(
	struct table *table, const char *title, enum form form, double now, double with, bool both)
{
	char a[TEXT], b[TEXT], ratio[TEXT];
	print_figure(form, now, a);
	if (both)
		table_row(table, title, a, print_figure(form, with, b),
			print_ratio(now, with, ratio));
	else
		table_row(table, title, a);
}

static void add_refusals(struct table *table, const json_t *now, const json_t *with)
{
	const char *reason;
	json_t *count;
	json_t *reasons = json_copy(json_object_get(now, "refusals"));
	json_object_update_missing(reasons, json_object_get(with, "refusals"));
	json_object_foreach(reasons, reason, count)
	{
		char text[160];
		snprintf(text, sizeof(text), "refused: %s", reason);
		add_row(table, text, COUNT, figure(now, "refusals", reason),
			figure(with, "refusals", reason), with != NULL);
	}
	json_decref(reasons);
}

static int print_total(const json_t *now, const json_t *with, const char *file)
{
	char title[128];
	struct table *table = table_create(with ? 4 : 2);
	snprintf(title, sizeof(title), "WITH %.100s", file ? file : "");
	if (with)
		table_row(table, "IN ALL", "NOW", title, "RATIO");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		double a = figure(now, row->group, row->member),
		       b = figure(with, row->group, row->member);
		/* 0 ms is a figure, too, where anything was measured. */
		bool measured =
			row->form == MILLISECONDS && (figure(now, row->group, "count") > 0 ||
							     figure(with, row->group, "count") > 0);
		if (row->always || measured || a > 0 || b > 0)
			add_row(table, row->title, row->form, a, b, with != NULL);
	}
	add_refusals(table, now, with);
	return table_print(table, stdout) < 0 ? fail("no memory") : EXIT_OK;
}

/* --- by service --- */

struct pair {
	const json_t *now, *with;
	double weight;
};

/* What takes most memory, then what was started most often. */
static double weight(const json_t *service)
{
	return figure(service, "memory_mib_s", "all") + figure(service, "starts", "all") / 1000 +
	       figure(service, "queries", "refused") / 1000;
}

static int compare(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	return x->weight > y->weight ? -1 : x->weight < y->weight;
}

static const json_t *find(const json_t *list, const char *name, size_t hint)
{
	const json_t *near = json_array_get(list, hint);
	size_t i;
	const json_t *service;
	if (near && strcmp(text_of(near, "name"), name) == 0)
		return near;
	json_array_foreach(list, i, service)
	{
		if (strcmp(text_of(service, "name"), name) == 0)
			return service;
	}
	return NULL;
}

static const char *cell(const struct pair *pair, enum form form, const char *group,
	const char *member, bool both, char text[2 * TEXT + 4])
{
	char a[TEXT], b[TEXT];
	print_figure(form, figure(pair->now, group, member), a);
	print_figure(form, figure(pair->with, group, member), b);
	snprintf(text, 2 * TEXT + 4, both ? "%s | %s" : "%s", a, b);
	return text;
}

static void add_service(struct table *table, const struct pair *pair, bool both)
{
	static const struct {
		const char *group, *member;
		enum form form;
	} columns[] = {{"starts", "all", COUNT}, {"seconds", "awake", SECONDS},
		{"memory_mib_s", "all", MEMORY}, {"answers", "p50_ms", MILLISECONDS},
		{"answers", "p99_ms", MILLISECONDS}, {"queries", "refused", COUNT}};
	char text[6][2 * TEXT + 4];
	for (size_t i = 0; i < 6; i++)
		cell(pair, columns[i].form, columns[i].group, columns[i].member, both, text[i]);
	table_row(table, text_of(pair->now, "name"), text[0], text[1], text[2], text[3], text[4],
		text[5]);
}

static int print_services(const json_t *now, const json_t *with, bool all)
{
	const json_t *list = json_object_get(now, "services"),
		     *other = json_object_get(with, "services");
	size_t count = json_array_size(list), shown = all || count < SOME ? count : SOME;
	CLEANUP(free) struct pair *pairs = calloc(count + 1, sizeof(*pairs));
	struct table *table = table_create(7);
	if (!pairs)
		return fail("no memory");
	for (size_t i = 0; i < count; i++) {
		const json_t *service = json_array_get(list, i);
		pairs[i] = (struct pair){
			service, find(other, text_of(service, "name"), i), weight(service)};
	}
	qsort(pairs, count, sizeof(*pairs), compare);
	table_row(table, "SERVICE", "STARTS", "AWAKE", "MEMORY", "P50", "P99", "REFUSED");
	for (size_t i = 0; i < shown; i++)
		add_service(table, &pairs[i], with != NULL);
	if (table_print(table, stdout) < 0)
		return fail("no memory");
	if (shown < count)
		printf("and %zu more: --all shows them\n", count - shown);
	return EXIT_OK;
}

/* --- all together --- */

int report_print(
	const json_t *now, const json_t *with, const char *file, const char *delays, bool all)
{
	char length[TEXT];
	print_seconds(json_number_value(json_object_get(now, "seconds")), length);
	printf("%" PRIu64 " events, %s", number_of(now, "events"), length);
	if (number_of(now, "strangers") > 0)
		printf("; %" PRIu64 " of them for names of no service",
			number_of(now, "strangers"));
	printf("\nguests take: %s\n\n", delays);
	int rc = print_total(json_object_get(now, "total"), json_object_get(with, "total"), file);
	putchar('\n');
	return rc == EXIT_OK ? print_services(now, with, all) : rc;
}
