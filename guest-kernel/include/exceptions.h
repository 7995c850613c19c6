/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_EXCEPTIONS_H
#define SUMMON_EXCEPTIONS_H

#include <stdint.h>

/* What a vector is called (Intel SDM volume 3, table 6-1), whether the guest reports on it or its
 * monitor does. */
static inline const char *exception_name(uint64_t vector)
{
	static const char *const names[] = {
		[0] = "divide error",
		[1] = "debug exception",
		[2] = "non-maskable interrupt",
		[3] = "breakpoint",
		[4] = "overflow",
		[5] = "bound range exceeded",
		[6] = "invalid opcode",
		[7] = "device not available",
		[8] = "double fault",
		[10] = "invalid task state",
		[11] = "segment not present",
		[12] = "stack fault",
		[13] = "general protection fault",
		[14] = "page fault",
		[16] = "floating-point error",
		[17] = "alignment check",
		[18] = "machine check",
		[19] = "SIMD floating-point error",
	};
	const uint64_t count = sizeof(names) / sizeof(names[0]);
	return vector < count && names[vector] ? names[vector] : "exception";
}

#endif
