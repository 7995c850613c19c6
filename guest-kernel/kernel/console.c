/* SPDX-License-Identifier: ISC */
#include "guest-kernel/kernel/console.h"

#include <stdio.h>
#include <string.h>

#include "guest-kernel/platform/platform.h"

void console_line_va(const char *format, va_list args)
{
	static const char prefix[] = "summond: ";
	char line[CONSOLE_LINE];
	size_t used = sizeof(prefix) - 1;
	memcpy(line, prefix, used);
	int wanted = vsnprintf(line + used, sizeof(line) - used - 1, format, args);
	if (wanted > 0)
		used += (size_t)wanted < sizeof(line) - used - 1 ? (size_t)wanted
								 : sizeof(line) - used - 2;
	line[used++] = '\n';
	platform()->console_write(line, used);
}

void console_line(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	console_line_va(format, args);
	va_end(args);
}
