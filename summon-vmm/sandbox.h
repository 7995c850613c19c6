/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_SANDBOX_H
#define SUMMON_VMM_SANDBOX_H

#include "base/error.h"

/* Closes every descriptor but standard error and those up to `last`. For the very beginning: what a
 * careless starter left open is nothing for a guest's monitor. */
int sandbox_close_inherited(int last, struct error *err);

/* After this the process has no capabilities, gains no privileges, opens nothing, and makes the
 * system calls of the table in sandbox.c only; another one ends it with SIGSYS. */
int sandbox_enter(struct error *err);

#endif
