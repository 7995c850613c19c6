/* SPDX-License-Identifier: ISC */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include <stdarg.h>
#include <stddef.h>

#define CONSOLE_LINE 512

/* One formatted line, "summond: " in front and a newline behind, written in one go; what is longer
 * than CONSOLE_LINE is cut. */
void console_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
void console_line_va(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

#endif
