/* SPDX-License-Identifier: ISC */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rehearse/trace.h"

/* Traces, as strangers write them. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "does not hold: %s\n", what);
	abort();
}

static void check(const struct trace_event *event, uint64_t last)
{
	size_t length = strlen(event->name);
	must(event->at >= last, "time goes on");
	must(event->kind <= TRACE_PING, "its kind is one");
	must(length > 0 && length <= TRACE_NAME_MAX, "its name has a length");
	for (size_t i = 0; i < length; i++)
		must(event->name[i] > ' ' && event->name[i] < 0x7f &&
				(event->name[i] < 'A' || event->name[i] > 'Z'),
			"its name is canonical");
	must(ip_address_is_set(&event->source), "it has a source");
	bool packet = event->kind == TRACE_TCP || event->kind == TRACE_UDP;
	must(!packet || event->number > 0, "its port is one");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trace *trace;
	struct error err = {.code = 0};
	struct trace_event event;
	uint64_t last = 0;
	int rc;
	FILE *file = size > 0 ? fmemopen((void *)(uintptr_t)data, size, "r") : NULL;
	if (!file || trace_open_file(file, "trace", &trace, NULL) < 0)
		return 0;
	while ((rc = trace_next(trace, &event, &err)) == 1) {
		check(&event, last);
		last = event.at;
	}
	must(rc == 0 || (err.code == rc && strncmp(err.message, "trace:", 6) == 0),
		"a refusal names the line");
	trace_close(trace);
	return 0;
}
