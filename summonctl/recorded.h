/* SPDX-License-Identifier: ISC */
#ifndef SUMMONCTL_RECORDED_H
#define SUMMONCTL_RECORDED_H

#include <jansson.h>
#include <stdio.h>

#include "summonctl/command.h"

/* The last summons that the daemon remembers, newest first: `most` or a page more. Returns an enum
 * exit_code, and has said what is wrong. */
int recorded_summons(struct context *context, size_t most, json_t **out);
/* Those that a query or a packet caused, as a trace (rehearse/trace.h). */
int recorded_trace(const json_t *summons, FILE *file);

#endif
