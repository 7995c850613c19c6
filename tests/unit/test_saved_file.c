/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "summon-xl/found.h"
#include "summon-xl/saved_file.h"

#define IDENTITY   0x00c0ffee12345678u
#define STARTED_AT 1700000000123456789u
#define CONFIG     "{\"c_info\": {\"name\": \"a\"}}"
#define HEAD       32 /* magic, started_at, config_size */
#define SIZE_AT    24

/* ---- names ---- */

static void takes_its_own_names(void **state)
{
	(void)state;
	static const struct guest_id ids[] = {{1, 1}, {0, 0}, {UINT32_MAX, UINT32_MAX}};
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		char name[SAVED_NAME + sizeof(SAVED_NEW)];
		struct guest_id id;
		saved_file_name(IDENTITY, ids[i], name);
		assert_int_equal(saved_file_which(name, IDENTITY, &id), SAVED_WHOLE);
		assert_true(guest_id_equal(id, ids[i]));
		strcat(name, SAVED_NEW);
		assert_int_equal(saved_file_which(name, IDENTITY, &id), SAVED_UNFINISHED);
		assert_true(guest_id_equal(id, ids[i]));
	}
}

static void leaves_other_names_alone(void **state)
{
	(void)state;
	static const char *const names[] = {
		"",
		".",
		"..",
		"00c0ffee12345678",
		"00c0ffee12345678-",
		"00c0ffee12345678-1",
		"00c0ffee12345678-1-",
		"00c0ffee12345678-1-2-3",
		"00c0ffee12345678-1-2.old",
		"00c0ffee12345678-1-2.new.new",
		"00c0ffee12345678-01-2",
		"00c0ffee12345678-1- 2",
		"00c0ffee12345678-+1-2",
		"00c0ffee12345678--1-2",
		"00c0ffee12345678-1-4294967296",
		"00c0ffee12345678-1-99999999999999999999",
		" 00c0ffee12345678-1-2",
		"0xc0ffee12345678-1-2",
		"c0ffee12345678-1-2",
		"00C0FFEE12345678-1-2",
		"00c0ffee12345679-1-2",
	};
	struct guest_id id;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(saved_file_which(names[i], IDENTITY, &id), SAVED_OTHER);
}

/* ---- files ---- */

static int open_file(void)
{
	int fd = memfd_create("saved", MFD_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static int make_file(const void *bytes, size_t size)
{
	int fd = open_file();
	assert_int_equal(write(fd, bytes, size), size);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* A file that is right, and what is in it; returns its size. */
static size_t make_bytes(char bytes[256])
{
	CLEANUP(close) int fd = open_file();
	assert_int_equal(saved_file_write(fd, STARTED_AT, CONFIG, NULL), 0);
	ssize_t size = pread(fd, bytes, 256, 0);
	assert_int_equal(size, HEAD + strlen(CONFIG));
	return (size_t)size;
}

static void reads_what_was_written(void **state)
{
	(void)state;
	char stream[8] = "";
	CLEANUP(free) char *config = NULL;
	uint64_t started_at = 0;
	CLEANUP(close) int fd = open_file();
	assert_int_equal(saved_file_write(fd, STARTED_AT, CONFIG, NULL), 0);
	assert_int_equal(write(fd, "stream", 6), 6);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(saved_file_read(fd, &started_at, &config, NULL), 0);
	assert_string_equal(config, CONFIG);
	assert_true(started_at == STARTED_AT);
	assert_int_equal(read(fd, stream, sizeof(stream)), 6);
	assert_string_equal(stream, "stream");
}

/* Reads what it has to refuse, and leaves the rest untouched. */
static void refuses(const char *bytes, size_t size, const char *why)
{
	struct error err = ERROR_INIT;
	char *config = NULL;
	uint64_t started_at = 1;
	CLEANUP(close) int fd = make_file(bytes, size);
	assert_int_equal(saved_file_read(fd, &started_at, &config, &err), -EINVAL);
	assert_null(config);
	assert_true(started_at == 1);
	if (!strstr(err.message, why))
		fail_msg("'%s' does not say '%s'", err.message, why);
}

static void refuses_what_is_cut(void **state)
{
	(void)state;
	char bytes[256];
	size_t size = make_bytes(bytes);
	for (size_t cut = 0; cut < size; cut++)
		refuses(bytes, cut, "cut");
}

static void refuses_what_is_something_else(void **state)
{
	(void)state;
	char bytes[256];
	size_t size = make_bytes(bytes);
	for (size_t at = 0; bytes[at]; at++) {
		bytes[at] ^= 1;
		refuses(bytes, size, "no guest that was kept");
		bytes[at] ^= 1;
	}
	memset(bytes, 'x', 16); /* without an end */
	refuses(bytes, size, "no guest that was kept");
}

static void refuses_wrong_sizes(void **state)
{
	(void)state;
	static const uint64_t sizes[] = {
		256 * 1024 + 1, 1ull << 32, INT64_MAX, UINT64_MAX, UINT64_MAX - HEAD};
	char bytes[256];
	size_t size = make_bytes(bytes);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		memcpy(bytes + SIZE_AT, &sizes[i], sizeof(sizes[i]));
		refuses(bytes, size, "at most 262144");
	}
	const uint64_t most = 256 * 1024;
	memcpy(bytes + SIZE_AT, &most, sizeof(most));
	refuses(bytes, size, "cut");
}

static void refuses_what_is_no_text(void **state)
{
	(void)state;
	char bytes[256];
	size_t size = make_bytes(bytes);
	bytes[HEAD + 3] = '\0';
	refuses(bytes, size, "no text");
}

/* Of one that is not refused for ever. */
static void tells_what_cannot_be_read_now(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	char *config = NULL;
	uint64_t started_at;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(saved_file_read(ends[1], &started_at, &config, &err), -EBADF);
	assert_int_equal(saved_file_write(ends[0], STARTED_AT, CONFIG, &err), -EBADF);
	assert_null(config);
	close(ends[0]);
	close(ends[1]);
}

/* So that whatever is written can be read. */
static void writes_no_more_than_it_reads(void **state)
{
	(void)state;
	const size_t most = 256 * 1024;
	CLEANUP(free) char *long_one = calloc(1, most + 2), *config = NULL;
	CLEANUP(close) int fd = open_file();
	uint64_t started_at;
	memset(long_one, 'x', most + 1);
	assert_int_equal(saved_file_write(fd, STARTED_AT, long_one, NULL), -E2BIG);
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	long_one[most] = '\0';
	assert_int_equal(saved_file_write(fd, STARTED_AT, long_one, NULL), 0);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(saved_file_read(fd, &started_at, &config, NULL), 0);
	assert_string_equal(config, long_one);
}

/* ---- what is told of it ---- */

static void tells_words(void **state)
{
	(void)state;
	static const char wanted[] = "a.example\0tap0\0/dev/pts/1\0data/ready";
	char text[XL_TEXT_MAX];
	const struct found_words words = {"a.example", "tap0", "/dev/pts/1", "data/ready"};
	assert_int_equal(found_text(&words, text, NULL), sizeof(wanted));
	assert_memory_equal(text, wanted, sizeof(wanted));
	assert_int_equal(found_text(&(struct found_words){"", "", "", ""}, text, NULL), 4);
	assert_memory_equal(text, "\0\0\0", 4);
}

static void tells_no_words_that_are_too_long(void **state)
{
	(void)state;
	static const size_t most[] = {SERVICE_MAX, DEVICE_MAX, CONSOLE_MAX, KEY_MAX};
	static const char *const names[] = {"service", "device", "console", "ready key"};
	char text[XL_TEXT_MAX], words[4][KEY_MAX + 2] = {"", "", "", ""};
	const struct found_words all = {words[0], words[1], words[2], words[3]};
	for (size_t i = 0; i < 4; i++) {
		struct error err = ERROR_INIT;
		memset(words[i], 'x', most[i]);
		assert_true(found_text(&all, text, NULL) > (int)most[i]);
		words[i][most[i]] = 'x';
		assert_int_equal(found_text(&all, text, &err), -EINVAL);
		assert_non_null(strstr(err.message, names[i]));
		words[i][most[i]] = '\0'; /* as long as it may be, and so are those before it */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_its_own_names),
		cmocka_unit_test(leaves_other_names_alone),
		cmocka_unit_test(reads_what_was_written),
		cmocka_unit_test(refuses_what_is_cut),
		cmocka_unit_test(refuses_what_is_something_else),
		cmocka_unit_test(refuses_wrong_sizes),
		cmocka_unit_test(refuses_what_is_no_text),
		cmocka_unit_test(tells_what_cannot_be_read_now),
		cmocka_unit_test(writes_no_more_than_it_reads),
		cmocka_unit_test(tells_words),
		cmocka_unit_test(tells_no_words_that_are_too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
