/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <string.h>

#include "daemon/console.h"

struct lines {
	char text[4][CONSOLE_LINE_MAX + 1];
	size_t count;
};

static void note_line(void *ctx, const char *line)
{
	struct lines *lines = ctx;
	assert_true(lines->count < 4);
	strcpy(lines->text[lines->count++], line);
}

static void write_text(struct console *console, const char *text, struct lines *lines)
{
	console_write(console, (const uint8_t *)text, strlen(text), note_line, lines);
}

static void lines_are_put_together(void **state)
{
	(void)state;
	struct console *console = console_create();
	struct lines lines = {0};
	write_text(console, "boo", &lines);
	write_text(console, "ting\r\n\nsummond: rea", &lines);
	assert_int_equal(lines.count, 1);
	assert_string_equal(lines.text[0], "booting");
	write_text(console, "dy\nrest", &lines);
	assert_int_equal(lines.count, 2);
	assert_string_equal(lines.text[1], "summond: ready");
	console_new_guest(console);
	write_text(console, "of another\n", &lines);
	assert_string_equal(lines.text[2], "of another");
	size_t length;
	char *copy = console_copy(console, &length);
	assert_memory_equal(copy, "booting\r\n\nsummond: ready\nrest\nof another\n", length);
	free(copy);
	console_destroy(console);
}

static void the_ring_keeps_the_last_bytes(void **state)
{
	(void)state;
	struct console *console = console_create();
	enum { TOTAL = CONSOLE_RING_SIZE * 2 + 1000 };
	uint8_t *bytes = malloc(TOTAL);
	for (size_t i = 0; i < TOTAL; i++)
		bytes[i] = (uint8_t)('a' + i % 26);
	/* In pieces of all sizes, one of them larger than the ring. */
	size_t at = 0;
	for (size_t piece = 1; at + piece < CONSOLE_RING_SIZE; at += piece, piece = piece * 3 + 1)
		console_write(console, bytes + at, piece, NULL, NULL);
	console_write(console, bytes + at, TOTAL - at, NULL, NULL);
	size_t length;
	char *copy = console_copy(console, &length);
	assert_int_equal(length, CONSOLE_RING_SIZE);
	assert_memory_equal(copy, bytes + TOTAL - CONSOLE_RING_SIZE, length);
	free(copy);
	free(bytes);
	console_destroy(console);
}

static void long_lines_come_in_pieces(void **state)
{
	(void)state;
	struct console *console = console_create();
	struct lines lines = {0};
	char text[CONSOLE_LINE_MAX + 10];
	memset(text, 'x', sizeof(text) - 2);
	strcpy(text + sizeof(text) - 2, "\n");
	write_text(console, text, &lines);
	assert_int_equal(lines.count, 2);
	assert_int_equal(strlen(lines.text[0]), CONSOLE_LINE_MAX);
	console_destroy(console);
}

static void boot_times(void **state)
{
	(void)state;
	uint64_t ns;
	assert_true(console_boot_time("summond: ready after 3120 us", &ns));
	assert_int_equal(ns, 3120000);
	static const char *const bad[] = {"summond: ready", "ready after us", "ready after 12 ms",
		"ready after -1 us", "ready after 99999999999999999999 us"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(console_boot_time(bad[i], &ns));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_put_together),
		cmocka_unit_test(the_ring_keeps_the_last_bytes),
		cmocka_unit_test(long_lines_come_in_pieces),
		cmocka_unit_test(boot_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
