/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_CHECK_H
#define SUMMON_VMM_CHECK_H

#include <stddef.h>

#include "base/error.h"

/* Whether this host's KVM can run our guests, by running a few instructions of one: 64-bit code at
 * CPL 3 with SSE, a call, an exception. Returns 0 and writes a line of facts, or says in *err what
 * does not work. Takes some milliseconds; a KVM that hangs ends the process (SIGALRM). */
int check_kvm(char *facts, size_t size, struct error *err);

#endif
