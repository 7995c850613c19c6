/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_LIFECYCLE_PRINT_H
#define DAEMON_LIFECYCLE_PRINT_H

#include <stdio.h>

/* The lifecycle table as a Graphviz digraph, for the documentation. */
void lifecycle_print(FILE *stream);

#endif
