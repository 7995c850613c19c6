/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_PROCESS_H
#define SUMMON_VMM_PROCESS_H

#include <stdint.h>

struct process {
	struct process_state *state; /* behind the signals' stack; NULL: not open */
	uint64_t mapped;             /* where the memory that was mapped for the guest ends */
};

#endif
