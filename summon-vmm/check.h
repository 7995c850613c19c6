/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_CHECK_H
#define SUMMON_VMM_CHECK_H

#include "summon-vmm/cpu.h"

#define CHECK_FACTS 128

/* Whether guests can be run so on this host, by running a few instructions of one: 64-bit code with
 * SSE, calls, an exception; in its sandbox, where that is what keeps it. Returns 0 and writes a line of
 * facts, or says in *err what does not work. Takes some milliseconds, in a process of its own. */
int check_cpu(const struct cpu_ops *cpu, char facts[CHECK_FACTS], struct error *err);

#endif
