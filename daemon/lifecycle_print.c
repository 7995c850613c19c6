/* SPDX-License-Identifier: ISC */
#include "daemon/lifecycle_print.h"

#include "daemon/lifecycle.h"

void lifecycle_print(FILE *stream)
{
	fputs("digraph lifecycle {\n\tnode [shape=box, style=rounded];\n", stream);
	for (size_t i = 0; i < lifecycle_row_count; i++) {
		const struct lifecycle_row *row = &lifecycle_rows[i];
		fprintf(stream, "\t%s -> %s [label=\"%s", lifecycle_state_name(row->state),
			lifecycle_state_name(row->next), lifecycle_event_name(row->event));
		for (size_t j = 0; row->effects[j]; j++)
			fprintf(stream, "%s%s", j ? ", " : "\\n",
				lifecycle_effect_name(row->effects[j]));
		fputs("\"];\n", stream);
	}
	fputs("}\n", stream);
}
