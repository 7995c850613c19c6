/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_LIFECYCLE_PRINT_H
#define DAEMON_LIFECYCLE_PRINT_H

#include <stdio.h>

/* The lifecycle tables as Markdown with a Mermaid diagram: docs/lifecycle.md is this, word for
 * word, and a test compares. */
void lifecycle_print(FILE *stream);

#endif
