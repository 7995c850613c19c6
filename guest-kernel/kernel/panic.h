/* SPDX-License-Identifier: ISC */
#ifndef KERNEL_PANIC_H
#define KERNEL_PANIC_H

#include <stdint.h>
#include <stdnoreturn.h>

/* What kernel/start.S leaves on the stack of an exception. */
struct exception_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, code;
	uint64_t rip, cs, rflags, rsp, ss;
};

/* Prints "summond: panic: ..." and where it happened, then powers off as failed. */
noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for an exception, with its registers; called by kernel/start.S only. */
noreturn void panic_exception(const struct exception_frame *frame);

#endif
