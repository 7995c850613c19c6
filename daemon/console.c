/* SPDX-License-Identifier: ISC */
#include "daemon/console.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

struct console *console_create(void)
{
	return calloc(1, sizeof(struct console));
}

void console_destroy(struct console *console)
{
	free(console);
}

static void keep(struct console *console, const uint8_t *data, size_t length)
{
	if (length > CONSOLE_RING_SIZE) {
		console->written += length - CONSOLE_RING_SIZE;
		data += length - CONSOLE_RING_SIZE;
		length = CONSOLE_RING_SIZE;
	}
	size_t at = console->written % CONSOLE_RING_SIZE;
	size_t first = CONSOLE_RING_SIZE - at < length ? CONSOLE_RING_SIZE - at : length;
	memcpy(console->ring + at, data, first);
	memcpy(console->ring, data + first, length - first);
	console->written += length;
}

static void end_line(struct console *console, void (*line)(void *, const char *), void *ctx)
{
	if (console->line_length == 0)
		return;
	console->line[console->line_length] = '\0';
	console->line_length = 0;
	if (line)
		line(ctx, console->line);
}

void console_write(struct console *console, const uint8_t *data, size_t length,
	void (*line)(void *, const char *), void *ctx)
{
	keep(console, data, length);
	for (size_t i = 0; i < length; i++) {
		if (data[i] == '\n' || data[i] == '\r') {
			end_line(console, line, ctx);
			continue;
		}
		console->line[console->line_length++] = data[i] ? (char)data[i] : ' ';
		if (console->line_length == CONSOLE_LINE_MAX)
			end_line(console, line, ctx);
	}
}

void console_new_guest(struct console *console)
{
	console->line_length = 0;
	if (console->written && console->ring[(console->written - 1) % CONSOLE_RING_SIZE] != '\n')
		keep(console, (const uint8_t *)"\n", 1);
}

char *console_copy(const struct console *console, size_t *length)
{
	size_t kept = console->written < CONSOLE_RING_SIZE ? console->written : CONSOLE_RING_SIZE;
	char *copy = malloc(kept + 1);
	if (!copy)
		return NULL;
	size_t at = (console->written - kept) % CONSOLE_RING_SIZE;
	size_t first = CONSOLE_RING_SIZE - at < kept ? CONSOLE_RING_SIZE - at : kept;
	memcpy(copy, console->ring + at, first);
	memcpy(copy + first, console->ring, kept - first);
	*length = kept;
	return copy;
}

bool console_boot_time(const char *line, uint64_t *ns)
{
	static const char words[] = "ready after ";
	const char *at = strstr(line, words);
	if (!at)
		return false;
	at += sizeof(words) - 1;
	char digits[16];
	size_t length = 0;
	while (isdigit((unsigned char)at[length]) && length < sizeof(digits) - 1) {
		digits[length] = at[length];
		length++;
	}
	digits[length] = '\0';
	uint64_t us;
	if (number_parse(digits, 0, 3600u * 1000000u, &us, NULL) < 0 ||
		strncmp(at + length, " us", 3) != 0)
		return false;
	*ns = us * NS_PER_US;
	return true;
}
