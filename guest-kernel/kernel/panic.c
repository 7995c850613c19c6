/* SPDX-License-Identifier: ISC */
#include "guest-kernel/kernel/panic.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "guest-kernel/include/exceptions.h"
#include "guest-kernel/kernel/console.h"
#include "guest-kernel/kernel/symbols.h"
#include "guest-kernel/platform/platform.h"

#define BACKTRACE_DEPTH 24

extern char text_start[], text_end[], kernel_end[];

/* A panic within a panic (a smashed stack, say) must not go round in circles. */
static void enter(void)
{
	static bool entered;
	if (entered)
		platform()->power_off(POWER_OFF_FAILED);
	entered = true;
}

static void print_address(uint64_t address)
{
	uint64_t offset;
	const char *name = symbol_find(address, &offset);
	console_line("panic:   %#" PRIx64 " %s+%#" PRIx64, address, name, offset);
}

static bool on_a_stack(uint64_t frame)
{
	return frame % 8 == 0 && frame >= (uintptr_t)text_end &&
	       frame < (uintptr_t)kernel_end - 2 * sizeof(uint64_t);
}

/* Frame pointers, kept by -fno-omit-frame-pointer: {caller's rbp, return address}. */
static void backtrace(uint64_t frame)
{
	for (int i = 0; i < BACKTRACE_DEPTH && on_a_stack(frame); i++) {
		const uint64_t *link = (const uint64_t *)frame;
		if (link[1] < (uintptr_t)text_start || link[1] >= (uintptr_t)text_end)
			return;
		print_address(link[1] - 1);
		if (link[0] <= frame)
			return;
		frame = link[0];
	}
}

void panic(const char *format, ...)
{
	enter();
	char text[256];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	console_line("panic: %s", text);
	backtrace((uint64_t)__builtin_frame_address(0));
	platform()->power_off(POWER_OFF_FAILED);
}

void panic_exception(const struct summon_exception *f)
{
	enter();
	console_line("panic: %s (vector %" PRIu64 ", code %#" PRIx64 ") at %#" PRIx64
		     ", cr2 %#" PRIx64,
		exception_name(f->vector), f->vector, f->code, f->rip, f->cr2);
#define R "%016" PRIx64
	console_line("panic: rax " R " rbx " R " rcx " R " rdx " R, f->rax, f->rbx, f->rcx, f->rdx);
	console_line("panic: rsi " R " rdi " R " rbp " R " rsp " R, f->rsi, f->rdi, f->rbp, f->rsp);
	console_line("panic: r8  " R " r9  " R " r10 " R " r11 " R, f->r8, f->r9, f->r10, f->r11);
	console_line("panic: r12 " R " r13 " R " r14 " R " r15 " R, f->r12, f->r13, f->r14, f->r15);
#undef R
	console_line("panic: backtrace:");
	print_address(f->rip);
	backtrace(f->rbp);
	platform()->power_off(POWER_OFF_FAILED);
}
