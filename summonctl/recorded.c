/* SPDX-License-Identifier: ISC */
#include "summonctl/recorded.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

CLEANUP_DEFINE(json_decref, json_t *, json_decref)

#define PAGE 1000

/* The API gives them newest first, page by page. */
int recorded_summons(struct context *context, size_t most, json_t **out)
{
	CLEANUP(json_decref) json_t *all = json_array();
	uint64_t before = 0;
	for (size_t got = PAGE; got == PAGE && json_array_size(all) < most;) {
		CLEANUP(json_decref) json_t *answer = NULL;
		char path[80];
		snprintf(path, sizeof(path), "/v1/summons?limit=%d", PAGE);
		if (before)
			snprintf(path + strlen(path), sizeof(path) - strlen(path),
				"&before=%" PRIu64, before);
		int rc = call(context, "GET", path, NULL, NULL, &answer);
		if (rc != EXIT_OK)
			return rc;
		const json_t *page = json_object_get(answer, "summons");
		got = json_array_size(page);
		json_array_extend(all, (json_t *)(uintptr_t)page);
		before = number_of(json_array_get(page, got ? got - 1 : 0), "id");
	}
	*out = STEAL_POINTER(all);
	return EXIT_OK;
}

/* "query A 192.0.2.7", "packet TCP port 80 from 192.0.2.7@4711", "packet ping from 192.0.2.7" into
 * the event and the source of a trace; false: what is neither query nor packet, as a pin. */
static bool read_cause(const char *cause, char event[32], char source[64])
{
	unsigned port;
	char protocol[8];
	if (sscanf(cause, "query %15s %47s", event, source) == 2)
		return true;
	if (sscanf(cause, "packet ping from %47s", source) == 1) {
		strcpy(event, "ping");
		return true;
	}
	if (sscanf(cause, "packet %3s port %5u from %47[^@]", protocol, &port, source) != 3)
		return false;
	snprintf(event, 32, "%s/%u", strcmp(protocol, "TCP") == 0 ? "tcp" : "udp", port);
	return true;
}

/* Numbers of summons are given when they are admitted, which may be in another order than that of
 * their queries. */
static int compare(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;
	int order = strcmp(text_of(*x, "started"), text_of(*y, "started"));
	uint64_t first = number_of(*x, "id"), second = number_of(*y, "id");
	return order ? order : first < second ? -1 : first > second;
}

int recorded_trace(const json_t *summons, FILE *file)
{
	size_t count = json_array_size(summons);
	CLEANUP(free) const json_t **sorted = calloc(count + 1, sizeof(const json_t *));
	if (!sorted)
		return fail("no memory");
	for (size_t i = 0; i < count; i++)
		sorted[i] = json_array_get(summons, i);
	qsort(sorted, count, sizeof(*sorted), compare);
	fputs("time,event,name,source\n", file);
	for (size_t i = 0; i < count; i++) {
		char event[32], source[64];
		/* Which of several machines it was is for the rehearsal to find out. */
		const char *service = text_of(sorted[i], "service");
		if (read_cause(text_of(sorted[i], "cause"), event, source))
			fprintf(file, "%s,%s,%.*s,%s\n", text_of(sorted[i], "started"), event,
				(int)strcspn(service, "#"), service, source);
	}
	return EXIT_OK;
}
