/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_CONSOLE_H
#define DAEMON_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The last bytes that a service's guests wrote, and the line that is being written now. Bounded,
 * whatever a guest does. */
#define CONSOLE_RING_SIZE (64u * 1024)
#define CONSOLE_LINE_MAX  511 /* a longer line is looked at in pieces */

struct console {
	char ring[CONSOLE_RING_SIZE];
	uint64_t written; /* bytes ever; the ring holds the last CONSOLE_RING_SIZE of them */
	char line[CONSOLE_LINE_MAX + 1];
	size_t line_length;
};

struct console *console_create(void); /* NULL: out of memory */
void console_destroy(struct console *console);

/* Keeps the bytes and calls `line` for each line that they complete, without its end. It may be
 * NULL. */
void console_write(struct console *console, const uint8_t *data, size_t length,
	void (*line)(void *ctx, const char *line), void *ctx);
/* A new guest writes: an unfinished line of the old one is forgotten, and the ring says so. */
void console_new_guest(struct console *console);

/* A malloc'd copy of what is kept, oldest first. NULL: out of memory. */
char *console_copy(const struct console *console, size_t *length);

/* The number in "... ready after 1234 us", a guest's own word on how long its boot took; false
 * where the line has none. */
bool console_boot_time(const char *line, uint64_t *ns);

#endif
