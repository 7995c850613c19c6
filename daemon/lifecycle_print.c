/* SPDX-License-Identifier: ISC */
#include "daemon/lifecycle_print.h"

#include "daemon/lifecycle.h"

static void print_diagram(FILE *stream)
{
	fputs("```mermaid\nstateDiagram-v2\n    [*] --> asleep\n", stream);
	for (size_t i = 0; i < lifecycle_row_count; i++) {
		const struct lifecycle_row *row = &lifecycle_rows[i];
		fprintf(stream, "    %s --> %s : %s\n", lifecycle_state_name(row->state),
			lifecycle_state_name(row->next), lifecycle_event_name(row->event));
	}
	fputs("```\n", stream);
}

static void print_rows(FILE *stream)
{
	fputs("| state | event | next | effects, in order |\n| --- | --- | --- | --- |\n", stream);
	for (size_t i = 0; i < lifecycle_row_count; i++) {
		const struct lifecycle_row *row = &lifecycle_rows[i];
		fprintf(stream, "| %s | %s | %s |", lifecycle_state_name(row->state),
			lifecycle_event_name(row->event), lifecycle_state_name(row->next));
		for (size_t j = 0; row->effects[j]; j++)
			fprintf(stream, "%s %s", j ? "," : "",
				lifecycle_effect_name(row->effects[j]));
		fputs(" |\n", stream);
	}
}

static void print_ignored(FILE *stream)
{
	fputs("| event | ignored in | because |\n| --- | --- | --- |\n", stream);
	for (size_t i = 0; i < lifecycle_ignored_count; i++) {
		const struct lifecycle_ignored *cell = &lifecycle_ignored_cells[i];
		const char *comma = "";
		fprintf(stream, "| %s | ", lifecycle_event_name(cell->event));
		for (unsigned state = 0; state < STATE_COUNT; state++) {
			if (!(cell->states & (1u << state)))
				continue;
			fprintf(stream, "%s%s", comma, lifecycle_state_name(state));
			comma = ", ";
		}
		fprintf(stream, " | %s |\n", cell->reason);
	}
}

void lifecycle_print(FILE *stream)
{
	fputs("<!-- SPDX-License-Identifier: ISC -->\n# The lifecycle of a service\n\n"
	      "Printed by `summond --lifecycle` from the tables in `daemon/lifecycle.c`.\n\n",
		stream);
	print_diagram(stream);
	fputs("\n## What happens\n\n", stream);
	print_rows(stream);
	fputs("\n## What is ignored, and why\n\n", stream);
	print_ignored(stream);
}
