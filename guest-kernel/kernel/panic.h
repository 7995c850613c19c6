/* SPDX-License-Identifier: ISC */
#ifndef KERNEL_PANIC_H
#define KERNEL_PANIC_H

#include <stdnoreturn.h>

#include "guest-kernel/include/summon_abi.h"

/* Prints "summond: panic: ..." and where it happened, then powers off as failed. */
noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for an exception, with its registers; called by kernel/start.S only. It leaves on the
 * stack what summon-vmm tells in the boot page. */
noreturn void panic_exception(const struct summon_exception *frame);

#endif
