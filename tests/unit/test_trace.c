/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/units.h"
#include "rehearse/trace.h"
#include "rehearse/when.h"

#define TEXT(text) text, sizeof(text) - 1

static struct trace *open_text(const char *text, size_t length)
{
	struct trace *trace = NULL;
	FILE *file = tmpfile();
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, length, file), length);
	rewind(file);
	assert_int_equal(trace_open_file(file, "t.csv", &trace, NULL), 0);
	return trace;
}

static void events_of_all_kinds(void **state)
{
	(void)state;
	struct trace_event event;
	struct trace *trace = open_text(TEXT("# what\n"
					     "time, Event ,name,source\n"
					     "\n"
					     "1.5,A,WWW.Example.Test.,192.0.2.7\r\n"
					     "  1.5 , \"type65\" , \"a.test\" , 2001:db8::1 \n"
					     " # and\n"
					     "2,tcp/80,a.test,192.0.2.7\n"
					     "2.000000001,udp/53,a.test,192.0.2.7\n"
					     "1970-01-01T01:00:03.25+01:00,ping,a.test,192.0.2.7"));
	static const struct {
		uint64_t at;
		enum trace_kind kind;
		uint16_t number;
		const char *name;
	} wanted[] = {{1500 * NS_PER_MS, TRACE_QUERY, 1, "www.example.test"},
		{1500 * NS_PER_MS, TRACE_QUERY, 65, "a.test"},
		{2 * NS_PER_S, TRACE_TCP, 80, "a.test"},
		{2 * NS_PER_S + 1, TRACE_UDP, 53, "a.test"},
		{3250 * NS_PER_MS, TRACE_PING, 0, "a.test"}};
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		assert_int_equal(trace_next(trace, &event, NULL), 1);
		assert_int_equal(event.at, wanted[i].at);
		assert_int_equal(event.kind, wanted[i].kind);
		assert_int_equal(event.number, wanted[i].number);
		assert_string_equal(event.name, wanted[i].name);
		assert_int_equal(event.source.family, i == 1 ? AF_INET6 : AF_INET);
	}
	assert_int_equal(trace_next(trace, &event, NULL), 0);
	assert_int_equal(trace_next(trace, &event, NULL), 0);
	trace_close(trace);
}

/* Each is refused with its line and with what would be right. */
static void bad_lines(void **state)
{
	(void)state;
	static char longest[2000];
	memset(longest, 'a', sizeof(longest) - 1);
	static const struct {
		const char *text;
		size_t length;
		const char *said;
	} cases[] = {
		{TEXT("1,A,a.test\n"), "t.csv:1: 3 of 4 fields: write time,event,name,source"},
		{TEXT("\n1,A,a.test,::1,x\n"), "t.csv:2: more than 4 fields"},
		{TEXT("time,event,name,source\ntime,event,name,source\n"), "t.csv:2: 'time' is no"},
		{TEXT("yesterday,A,a.test,::1\n"), "2023-11-14T22:13:20.25Z"},
		{TEXT("1,B,a.test,::1\n"), "'B' is no event: write a type of query"},
		{TEXT("1,TYPE65536,a.test,::1\n"), "is no event"},
		{TEXT("1,tcp/0,a.test,::1\n"), "'tcp/0' is no event"},
		{TEXT("1,tcp/65536,a.test,::1\n"), "is no event"},
		{TEXT("1,sctp/80,a.test,::1\n"), "is no event"},
		{TEXT("1,A,,::1\n"), "a name has 1 to 253 letters"},
		{TEXT("1,A,a b,::1\n"), "printable ASCII"},
		{TEXT("1,A,a.test,localhost\n"), "'localhost'"},
		{TEXT("2,A,a.test,::1\n1.9,A,a.test,::1\n"), "t.csv:2: '1.9' is earlier than"},
		{TEXT("1,A,a.test\0,::1\n"), "t.csv:1: has a NUL in it"},
		{longest, sizeof(longest) - 1, "t.csv:1: is longer than"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = {0};
		struct trace_event event;
		struct trace *trace = open_text(cases[i].text, cases[i].length);
		int rc;
		while ((rc = trace_next(trace, &event, &err)) == 1)
			;
		if (rc != -EINVAL || !strstr(err.message, cases[i].said))
			fail_msg("%zu: %d '%s', not '%s'", i, rc, err.message, cases[i].said);
		trace_close(trace);
	}
}

static void names_of_all_lengths(void **state)
{
	(void)state;
	for (size_t length = 1; length < 260; length++) {
		char line[400] = "1,A,";
		struct trace_event event;
		memset(line + 4, 'x', length);
		strcpy(line + 4 + length, ",::1\n");
		struct trace *trace = open_text(line, strlen(line));
		assert_int_equal(
			trace_next(trace, &event, NULL), length <= TRACE_NAME_MAX ? 1 : -EINVAL);
		trace_close(trace);
	}
}

static void times(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{"0", 0},
		{"0.000000001", 1},
		{"1700000000.25", 1700000000250000000ull},
		{"1970-01-01T00:00:00Z", 0},
		{"2000-02-29T12:00:00z", 951825600000000000ull},
		{"2023-11-14 22:13:20.25Z", 1700000000250000000ull},
		{"2023-11-14T23:13:20+01:00", 1700000000000000000ull},
		{"2023-11-14T20:43:20-01:30", 1700000000000000000ull},
		{"2016-12-31T23:59:60Z", 1483228800000000000ull},
		{"2399-12-31T23:59:59.999999999Z", 13569465599999999999ull},
	};
	static const char *const bad[] = {"", ".", "1.", ".5", "-1", "1e3", "1.0000000001", " 1",
		"1 ", "13569465600", "99999999999999999999", "2023-11-14", "2023-11-14T22:13Z",
		"2023-11-14T22:13:20", "2023-02-29T00:00:00Z", "2023-13-01T00:00:00Z",
		"2023-00-01T00:00:00Z", "2023-01-00T00:00:00Z", "2023-01-01T24:00:00Z",
		"2023-01-01T00:60:00Z", "2023-01-01T00:00:61Z", "1969-12-31T23:59:59Z",
		"1970-01-01T00:00:00+00:01", "2400-01-01T00:00:00Z", "2023-01-01T00:00:00+24:00",
		"2023-01-01T00:00:00+0100", "2023-01-01T00:00:00Zx", "2023-01-01T00:00:00.Z"};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint64_t ns = 7;
		if (when_parse(good[i].text, &ns, NULL) < 0 || ns != good[i].ns)
			fail_msg("%s: %llu", good[i].text, (unsigned long long)ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t ns;
		if (when_parse(bad[i], &ns, NULL) == 0)
			fail_msg("'%s' is taken", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_of_all_kinds),
		cmocka_unit_test(bad_lines),
		cmocka_unit_test(names_of_all_lengths),
		cmocka_unit_test(times),
	};
	return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
