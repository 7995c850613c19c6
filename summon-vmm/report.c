/* SPDX-License-Identifier: ISC */
#include "summon-vmm/monitor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "guest-kernel/include/exceptions.h"

void report_summarise(const struct summon_exception *e, struct error *err)
{
	error_set(err, -EFAULT,
		"%s (vector %" PRIu64 ", code %#" PRIx64 ") at %#" PRIx64 ", cr2 %#" PRIx64,
		exception_name(e->vector), e->vector, e->code, e->rip, e->cr2);
}

void report_print(const struct summon_exception *e, char text[REPORT_TEXT])
{
	struct error summary;
	report_summarise(e, &summary);
#define R "%016" PRIx64
	snprintf(text, REPORT_TEXT,
		"summon-vmm: %.200s\n"
		"summon-vmm: rax " R " rbx " R " rcx " R " rdx " R "\n"
		"summon-vmm: rsi " R " rdi " R " rbp " R " rsp " R "\n"
		"summon-vmm: r8  " R " r9  " R " r10 " R " r11 " R "\n"
		"summon-vmm: r12 " R " r13 " R " r14 " R " r15 " R "\n",
		summary.message, e->rax, e->rbx, e->rcx, e->rdx, e->rsi, e->rdi, e->rbp, e->rsp,
		e->r8, e->r9, e->r10, e->r11, e->r12, e->r13, e->r14, e->r15);
#undef R
}
