/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "policies/policy.h"
#include "tests/unit/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct policy fresh(void)
{
	struct policy policy;
	policy_init(&policy, "web");
	return policy;
}

static void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" does not say \"%s\"", text, part);
}

static void defaults_suit_a_web_site(void **state)
{
	(void)state;
	struct policy p = fresh();
	assert_string_equal(p.name, "web");
	assert_int_equal(p.wake_on, POLICY_WAKE_A | POLICY_WAKE_AAAA | POLICY_WAKE_HTTPS);
	assert_int_equal(p.start, POLICY_START_COLD);
	assert_int_equal(p.ready, POLICY_READY_GUEST);
	assert_string_equal(p.ready_line, "summond: ready");
	assert_int_equal(p.ready_port, 80);
	assert_int_equal(p.ready_delay, NS_PER_S);
	assert_string_equal(p.ready_key, "data/summond-ready");
	assert_int_equal(p.ready_settle, 0);
	assert_int_equal(p.ready_timeout, 10 * NS_PER_S);
	assert_int_equal(p.hold, 1200 * NS_PER_MS);
	assert_int_equal(p.at_deadline, POLICY_DEADLINE_ADDRESS);
	assert_int_equal(p.ttl, 5 * NS_PER_S);
	assert_int_equal(p.activity,
		POLICY_ACTIVITY_QUERIES | POLICY_ACTIVITY_TRAFFIC | POLICY_ACTIVITY_CONNECTIONS);
	assert_int_equal(p.idle_after, 60 * NS_PER_S);
	assert_int_equal(p.min_life, 10 * NS_PER_S);
	assert_int_equal(p.max_life, 0);
	assert_int_equal(p.retire, POLICY_RETIRE_DESTROY);
	assert_int_equal(p.shutdown_grace, 5 * NS_PER_S);
	assert_int_equal(p.backoff_first, NS_PER_S);
	assert_int_equal(p.backoff_max, 60 * NS_PER_S);
	assert_int_equal(policy_validate(&p, NULL), 0);
}

/* Every option: its default is one of its values, and what is printed is read back. */
static void fallbacks_are_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < policy_option_count; i++) {
		const struct policy_option *option = &policy_options[i];
		struct policy zero, set;
		char value[POLICY_VALUE_MAX + 1];
		memset(&zero, 0xa5, sizeof(zero));
		set = zero;
		assert_int_equal(policy_set(&set, option->name, option->fallback, NULL), 0);
		assert_memory_not_equal(&set, &zero, sizeof(set));
		assert_int_equal(policy_get(&set, option->name, value, NULL), 0);
		zero = set;
		assert_int_equal(policy_set(&set, option->name, value, NULL), 0);
		assert_memory_equal(&set, &zero, sizeof(set));
		assert_non_null(option->help);
		assert_int_not_equal(option->help[strlen(option->help) - 1], '.');
	}
}

static void values_that_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *option, *value, *printed;
	} good[] = {
		{"wake_on", "a", "A"},
		{"wake_on", "AAAA,A", "A AAAA"},
		{"wake_on", "https", "HTTPS"},
		{"wake_on", "  AAAA ,, AAAA", "AAAA"},
		{"wake_on", "", "none"},
		{"wake_on", "none", "none"},
		{"start", "prepared", "prepared"},
		{"start", "Suspended", "suspended"},
		{"ready", "frame", "frame"},
		{"ready", "tcp", "tcp"},
		{"ready", "delay", "delay"},
		{"ready_line", "", ""},
		{"ready_line", " a \"b\" ~ ", " a \"b\" ~ "},
		{"ready_port", "65535", "65535"},
		{"ready_port", "0", "0"},
		{"ready_timeout", "1h", "1h"},
		{"hold", "0", "0"},
		{"hold", "5s", "5s"},
		{"hold", "1.2s", "1200ms"},
		{"at_deadline", "servfail", "servfail"},
		{"ttl", "1d", "1d"},
		{"ttl", "0s", "0"},
		{"activity", "traffic", "traffic"},
		{"idle_after", "3650d", "3650d"},
		{"answer", "At-once", "at-once"},
		{"ring_tcp", "none", "none"},
		{"ring_tcp", "", "none"},
		{"ring_tcp", "Any", "any"},
		{"ring_tcp", "1-65535", "any"},
		{"ring_tcp", "443, 80", "80 443"},
		{"ring_tcp", "80 82 81 90-99 95-120 121", "80-82 90-121"},
		{"ring_udp", "65535 1", "1 65535"},
		{"ring_ping", "yes", "yes"},
		{"ring_from", "any", "any"},
		{"ring_from", "none", "none"},
		{"ring_from", "fd00::/8,10.0.0.0/8 192.0.2.7", "fd00::/8 10.0.0.0/8 192.0.2.7/32"},
		{"ring_rate", "None", "none"},
		{"ring_rate", "7/1h", "7/1h"},
		{"ring_rate", " 1000000/60s ", "1000000/1min"},
		{"retire", "shutdown", "shutdown"},
		{"retire", "suspend", "suspend"},
		{"backoff_max", "10min", "10min"},
		{"keep_awake", "mon-fri 08:00-18:00", "Mon-Fri 08:00-18:00"},
		{"keep_awake", "Fri-Mon 22:00-02:00", "Mon Fri-Sun 22:00-02:00"},
		{"keep_awake", "Mon,Tue Sun 00:00-24:00,, 12:00-13:30",
			"Mon Tue Sun 00:00-24:00, 12:00-13:30"},
		{"keep_asleep", "Mon-Sun 23:59-00:00", "23:59-00:00"},
		{"keep_asleep", " NONE ", "none"},
		{"time_zone", "America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"},
		{"time_zone", "Etc/GMT+5", "Etc/GMT+5"},
		{"needs", "DB.example.org. cache.example.org", "db.example.org cache.example.org"},
		{"needs", "none", "none"},
		{"tiers", "None", "none"},
		{"tiers", "Snapshot after 600s", "snapshot after 10min"},
		{"tiers", " destroy after 1d ", "destroy after 1d"},
		{"tiers", "snapshot after 10min destroy after 24h",
			"snapshot after 10min, destroy after 1d"},
		{"tiers", "snapshot after 0, destroy after 3650d",
			"snapshot after 0, destroy after 3650d"},
	};
	for (size_t i = 0; i < COUNT(good); i++) {
		struct policy p = fresh();
		char value[POLICY_VALUE_MAX + 1];
		assert_int_equal(policy_set(&p, good[i].option, good[i].value, NULL), 0);
		assert_int_equal(policy_get(&p, good[i].option, value, NULL), 0);
		assert_string_equal(value, good[i].printed);
	}
}

struct refused {
	const char *option, *value, *says;
};

static void assert_refused(const struct refused *bad, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct policy p = fresh(), before = p;
		struct error err = ERROR_INIT;
		assert_int_equal(policy_set(&p, bad[i].option, bad[i].value, &err), -EINVAL);
		assert_int_equal(err.code, -EINVAL);
		assert_memory_equal(&p, &before, sizeof(p));
		assert_contains(err.message, bad[i].option);
		assert_contains(err.message, bad[i].says);
	}
}

static void values_that_are_refused(void **state)
{
	(void)state;
	static const struct refused bad[] = {
		{"wake_on", "MX", "any of A, AAAA, HTTPS"},
		{"wake_on", "none A", "any of A, AAAA, HTTPS"},
		{"wake_on", "A none", "any of A, AAAA, HTTPS"},
		{"start", "", "cold | prepared | suspended | snapshot"},
		{"start", "cold prepared", "cold | prepared | suspended | snapshot"},
		{"ready", "tpc", "console | frame | tcp | delay"},
		{"ready_line", "two\nlines", "printable"},
		{"ready_line", "\xc3\xa9", "printable"},
		{"ready_port", "65536", "0 to 65535"},
		{"ready_port", "-1", "0 to 65535"},
		{"ready_port", "80.0", "0 to 65535"},
		{"ready_timeout", "0", "1ms to 1h"},
		{"ready_timeout", "61min", "1ms to 1h"},
		{"hold", "5001ms", "resolvers give up"},
		{"hold", "1.2", "a duration from 0 to 5s"},
		{"at_deadline", "refused", "address | servfail"},
		{"ttl", "1500ms", "whole seconds"},
		{"ttl", "86401s", "0 to 1d"},
		{"activity", "luck", "queries, traffic, connections"},
		{"idle_after", "3651d", "0 to 3650d"},
		{"idle_after", "99999999999999999999s", "0 to 3650d"},
		{"answer", "never", "when-ready | at-once"},
		{"ring_tcp", "0", "any, none"},
		{"ring_tcp", "65536", "any, none"},
		{"ring_tcp", "90-80", "any, none"},
		{"ring_tcp", "80-", "any, none"},
		{"ring_tcp", "any 80", "any, none"},
		{"ring_tcp", "none 80", "any, none"},
		{"ring_tcp", "1 3 5 7 9 11 13 15 17 19 21 23 25 27 29 31 33", "up to 16"},
		{"ring_udp", "http", "any, none"},
		{"ring_ping", "maybe", "yes | no"},
		{"ring_from", "10.0.0.0/33", "prefixes"},
		{"ring_from", "any 10.0.0.0/8", "prefixes"},
		{"ring_from", "example.org", "prefixes"},
		{"ring_from",
			"1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5 1.1.1.6 1.1.1.7 1.1.1.8 1.1.1.9 "
			"1.1.1.10 1.1.1.11 1.1.1.12 1.1.1.13",
			"up to 12"},
		{"ring_rate", "30", "how many in what time"},
		{"ring_rate", "0/1min", "how many in what time"},
		{"ring_rate", "30/2d", "how many in what time"},
		{"ring_rate", "30/1min 2/1s", "how many in what time"},
		{"ring_rate", "1000001/1s", "how many in what time"},
		{"retire", "kill", "destroy | shutdown | suspend | snapshot"},
		{"shutdown_grace", "2h", "0 to 1h"},
	};
	assert_refused(bad, COUNT(bad));
}

static void times_that_are_refused(void **state)
{
	(void)state;
	static const struct refused bad[] = {
		{"keep_awake", "Mon", "up to 12 times"},
		{"keep_asleep", "* * * * *", "up to 12 times"},
		{"time_zone", "", "a zone of tzdata"},
		{"time_zone", "/etc/passwd", "a zone of tzdata"},
		{"time_zone", "../../etc/passwd", "a zone of tzdata"},
		{"time_zone", "UTC0<x>", "a zone of tzdata"},
		{"tiers", "suspend after 1s", "snapshot after 10min"},
		{"needs", "none a.b", "names of services"},
		{"needs", "a.b A.B.", "names of services"},
		{"needs", "a.b..", "names of services"},
		{"tiers", "shutdown after 1s", "snapshot after 10min"},
		{"tiers", "snapshot", "snapshot after 10min"},
		{"tiers", "snapshot after soon", "snapshot after 10min"},
		{"tiers", "snapshot after 10min, none", "snapshot after 10min"},
		{"tiers", "snapshot after 1d, destroy after 1d", "snapshot after 10min"},
		{"tiers", "destroy after 1min, snapshot after 2min", "snapshot after 10min"},
		{"tiers", "destroy after 3651d", "snapshot after 10min"},
		{"tiers", "snapshot after 1s, snapshot after 2s", "snapshot after 10min"},
		{"tiers", "snapshot after 1s, destroy after 2s, destroy after 3s", "or none"},
	};
	assert_refused(bad, COUNT(bad));
}

static void long_text(void **state)
{
	(void)state;
	struct policy p = fresh(), before = p;
	char line[POLICY_VALUE_MAX + 2], value[POLICY_VALUE_MAX + 1];
	memset(line, 'x', sizeof(line));
	line[POLICY_VALUE_MAX + 1] = '\0';
	assert_int_equal(policy_set(&p, "ready_line", line, NULL), -EINVAL);
	assert_memory_equal(&p, &before, sizeof(p));
	line[POLICY_VALUE_MAX] = '\0';
	assert_int_equal(policy_set(&p, "ready_line", line, NULL), 0);
	assert_int_equal(policy_get(&p, "ready_line", value, NULL), 0);
	assert_string_equal(value, line);
}

static void unknown_options(void **state)
{
	(void)state;
	static const struct {
		const char *typed, *says;
	} typos[] = {
		{"idel_after", "unknown option 'idel_after': did you mean 'idle_after'?"},
		{"tll", "did you mean 'ttl'?"},
		{"wakeon", "did you mean 'wake_on'?"},
		{"backoff-max", "did you mean 'backoff_max'?"},
		{"colour", "the options are wake_on, start,"},
		{"", "the options are wake_on"},
		{"x", "backoff_max"},
		{"a_name_that_goes_on_and_on_and_on_and_on_for_very_long", "the options are"},
		{"\033[2J", "unknown option '?[2J'"},
	};
	for (size_t i = 0; i < COUNT(typos); i++) {
		struct policy p = fresh(), before = p;
		char value[POLICY_VALUE_MAX + 1];
		struct error err = ERROR_INIT;
		assert_int_equal(policy_set(&p, typos[i].typed, "1s", &err), -ENOENT);
		assert_contains(err.message, typos[i].says);
		assert_memory_equal(&p, &before, sizeof(p));
		assert_int_equal(policy_get(&p, typos[i].typed, value, &err), -ENOENT);
	}
}

static void names(void **state)
{
	(void)state;
	char longest[POLICY_NAME_MAX + 2];
	memset(longest, 'a', sizeof(longest));
	longest[POLICY_NAME_MAX + 1] = '\0';
	static const char *const good[] = {"default", "a", "web-1.eu_x", "0", "a."};
	static const char *const bad[] = {"", ".a", "Web", "a b", "a/b", "\xc3\xa4", "a\n"};
	for (size_t i = 0; i < COUNT(good); i++)
		assert_int_equal(policy_check_name(good[i], NULL), 0);
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct error err = ERROR_INIT;
		assert_int_equal(policy_check_name(bad[i], &err), -EINVAL);
		assert_contains(err.message, "a-z 0-9");
	}
	assert_int_equal(policy_check_name(longest, NULL), -EINVAL);
	struct policy p;
	policy_init(&p, longest);
	assert_int_equal(strlen(p.name), POLICY_NAME_MAX);
	assert_int_equal(policy_check_name(p.name, NULL), 0);
}

static void options_that_do_not_fit(void **state)
{
	(void)state;
	static const struct {
		const char *set[4][2];
		const char *says; /* NULL: they do fit */
	} cases[] = {
		{{{"ttl", "60s"}}, "ttl '1min' and idle_after '1min'"},
		{{{"ttl", "59s"}}, NULL},
		{{{"ttl", "60s"}, {"idle_after", "0"}}, NULL},
		{{{"ttl", "0"}, {"idle_after", "1ns"}}, NULL},
		{{{"ready_timeout", "1s"}}, "hold '1200ms' and ready_timeout '1s'"},
		{{{"ready_timeout", "1200ms"}}, NULL},
		{{{"ready", "delay"}, {"ready_delay", "10s"}}, "every start fails"},
		{{{"ready_delay", "10s"}}, NULL},
		{{{"ready_settle", "10s"}}, "ready_settle '10s' and ready_timeout '10s'"},
		{{{"ready_settle", "9s"}}, NULL},
		{{{"ready", "key"}}, NULL},
		{{{"ready", "key"}, {"ready_key", "data/x_1-y"}}, NULL},
		{{{"ready", "key"}, {"ready_key", ""}}, "ready_key"},
		{{{"ready", "key"}, {"ready_key", "/data"}}, "relative to /local/domain/N/"},
		{{{"ready", "key"}, {"ready_key", "data/"}}, "ready_key"},
		{{{"ready", "key"}, {"ready_key", "a//b"}}, "ready_key"},
		{{{"ready", "key"}, {"ready_key", "a b"}}, "ready_key"},
		{{{"ready", "frame"}, {"ready_key", "a b"}}, NULL},
		{{{"backoff_first", "61s"}}, "backoff_first '61s' and backoff_max '1min'"},
		{{{"backoff_first", "60s"}}, NULL},
		{{{"max_life", "9s"}}, "min_life '10s' and max_life '9s'"},
		{{{"max_life", "10s"}}, NULL},
		{{{"ready", "tcp"}, {"ready_port", "0"}}, "ready_port"},
		{{{"ready", "frame"}, {"ready_port", "0"}}, NULL},
		{{{"ready_line", ""}}, "ready_line"},
		{{{"ready_line", ""}, {"ready", "frame"}}, NULL},
		{{{"activity", "none"}}, "idle_after '1min' and activity 'none'"},
		{{{"activity", "none"}, {"idle_after", "0"}}, NULL},
		{{{"wake_on", "none"}}, NULL},
		{{{"start", "suspended"}, {"retire", "shutdown"}}, NULL},
		{{{"keep_awake", "Mon 22:00-02:00"}, {"keep_asleep", "Tue 01:59-03:00"}},
			"hours in common"},
		{{{"keep_awake", "Mon 22:00-02:00"}, {"keep_asleep", "Tue 02:00-03:00"}}, NULL},
		{{{"keep_awake", "Dec 31 22:00-02:00"}, {"keep_asleep", "Jan 1 01:00-03:00"}},
			"keep_asleep"},
		{{{"keep_awake", "Dec 31 22:00-02:00"}, {"keep_asleep", "Jan 2-31 01:00-03:00"}},
			NULL},
		{{{"keep_awake", "Feb 29 Mon 08:00-12:00"}, {"keep_asleep", "Mon 11:00-13:00"}},
			"keep_asleep"},
		{{{"keep_awake", "Sun 22:00-02:00"}, {"keep_asleep", "Mon 00:00-00:01"}},
			"hours in common"},
		{{{"tiers", "destroy after 1d"}}, "retire 'destroy' and tiers 'destroy after 1d'"},
		{{{"tiers", "destroy after 1d"}, {"retire", "shutdown"}}, "set retire to suspend"},
		{{{"tiers", "destroy after 1d"}, {"retire", "snapshot"}}, NULL},
		{{{"tiers", "snapshot after 1d"}, {"retire", "suspend"}}, NULL},
		{{{"tiers", "snapshot after 1d"}, {"retire", "snapshot"}}, "from the beginning"},
		{{{"tiers", "snapshot after 1d"}, {"start", "suspended"}}, NULL},
		{{{"tiers", "destroy after 1d"}, {"start", "suspended"}}, "made ready again"},
		{{{"tiers", "destroy after 1d"}, {"start", "snapshot"}}, NULL},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct policy p = fresh();
		struct error err = ERROR_INIT;
		for (size_t k = 0; k < 4 && cases[i].set[k][0]; k++)
			assert_int_equal(
				policy_set(&p, cases[i].set[k][0], cases[i].set[k][1], NULL), 0);
		assert_int_equal(policy_validate(&p, &err), cases[i].says ? -EINVAL : 0);
		if (cases[i].says)
			assert_contains(err.message, cases[i].says);
	}
}

/* A struct that was not filled by policy_set. */
static void fields_out_of_range(void **state)
{
	(void)state;
	struct policy p = fresh();
	struct error err = ERROR_INIT;
	p.start = (enum policy_start)9;
	assert_int_equal(policy_validate(&p, &err), -EINVAL);
	assert_contains(err.message, "'start'");
	p = fresh(), p.wake_on = 8;
	assert_int_equal(policy_validate(&p, &err), -EINVAL);
	assert_contains(err.message, "'wake_on'");
	p = fresh(), p.idle_after = UINT64_MAX;
	assert_int_equal(policy_validate(&p, &err), -EINVAL);
	assert_contains(err.message, "'idle_after'");
	p = fresh(), p.ttl = NS_PER_MS;
	assert_int_equal(policy_validate(&p, &err), -EINVAL);
	assert_contains(err.message, "'ttl'");
	p = fresh(), memset(p.ready_line, 'x', sizeof(p.ready_line));
	assert_int_equal(policy_validate(&p, &err), -EINVAL);
	assert_contains(err.message, "'ready_line'");
	p = fresh(), p.name[0] = '\0';
	assert_int_equal(policy_validate(&p, &err), -EINVAL);
	assert_contains(err.message, "name of a policy");
}

static void needs(void **state)
{
	(void)state;
	struct policy p = fresh();
	assert_int_equal(policy_needs(&p), POLICY_NEEDS_CONSOLE);
	p.ready = POLICY_READY_CONSOLE;
	assert_int_equal(policy_needs(&p), POLICY_NEEDS_CONSOLE);
	p.ready = POLICY_READY_FRAME;
	assert_int_equal(policy_needs(&p), 0);
	p.start = POLICY_START_PREPARED;
	assert_int_equal(policy_needs(&p), POLICY_NEEDS_PREPARE);
	p.start = POLICY_START_SUSPENDED;
	assert_int_equal(policy_needs(&p), POLICY_NEEDS_SUSPEND);
	p.start = POLICY_START_COLD, p.retire = POLICY_RETIRE_SUSPEND;
	assert_int_equal(policy_needs(&p), POLICY_NEEDS_SUSPEND);
	assert_int_equal(policy_set(&p, "tiers", "destroy after 1d", NULL), 0);
	assert_int_equal(policy_needs(&p), POLICY_NEEDS_SUSPEND);
	assert_int_equal(policy_set(&p, "tiers", "snapshot after 1d", NULL), 0);
	assert_int_equal(policy_needs(&p), POLICY_NEEDS_SUSPEND | POLICY_NEEDS_SNAPSHOT);
	assert_int_equal(policy_set(&p, "tiers", "none", NULL), 0);
	p.retire = POLICY_RETIRE_SHUTDOWN;
	assert_int_equal(policy_needs(&p), POLICY_NEEDS_SHUTDOWN);
	assert_contains(policy_need_reason(POLICY_NEEDS_PREPARE), "start prepared");
	assert_contains(policy_need_reason(POLICY_NEEDS_SUSPEND), "retire suspend");
	assert_contains(policy_need_reason(POLICY_NEEDS_SHUTDOWN), "retire shutdown");
	assert_contains(policy_need_reason(POLICY_NEEDS_CONSOLE), "ready guest or console");
}

/* Pieces of values, put together at random: some are values, most are not. */
static void random_value(struct random *random, char *text, size_t size)
{
	static const char *const pieces[] = {"A", "AAAA", "none", " ", ",", "cold", "tcp",
		"console", "shutdown", "traffic", "queries", "1", "0", "9", "65535", ".", "5", "s",
		"ms", "min", "d", "h", "-", "\n", "\x01", "\xff", "summond: ready", "servfail",
		"suspend", "snapshot", "destroy", " after 1s", "Mon", "Sat-Tue", " 08:00-09:00",
		"22:15-02:30 ", "Europe/", "Berlin"};
	text[0] = '\0';
	for (uint64_t n = random_below(random, 5); n > 0; n--) {
		size_t used = strlen(text);
		snprintf(text + used, size - used, "%s",
			pieces[random_below(random, COUNT(pieces))]);
	}
}

static void property_set_and_get(void **state)
{
	(void)state;
	struct random random = {1};
	struct policy p = fresh();
	unsigned taken = 0, refused = 0;
	for (unsigned i = 0; i < 200000; i++) {
		const struct policy_option *option =
			&policy_options[random_below(&random, policy_option_count)];
		struct policy before = p, again;
		char value[64], printed[POLICY_VALUE_MAX + 1];
		random_value(&random, value, sizeof(value));
		if (policy_set(&p, option->name, value, NULL) < 0) {
			refused++;
			assert_memory_equal(&p, &before, sizeof(p));
			continue;
		}
		taken++;
		assert_int_equal(policy_get(&p, option->name, printed, NULL), 0);
		again = before;
		assert_int_equal(policy_set(&again, option->name, printed, NULL), 0);
		assert_memory_equal(&again, &p, sizeof(p));
	}
	assert_true(taken > 1000);
	assert_true(refused > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_suit_a_web_site),
		cmocka_unit_test(fallbacks_are_values),
		cmocka_unit_test(values_that_are_read),
		cmocka_unit_test(values_that_are_refused),
		cmocka_unit_test(times_that_are_refused),
		cmocka_unit_test(long_text),
		cmocka_unit_test(unknown_options),
		cmocka_unit_test(names),
		cmocka_unit_test(options_that_do_not_fit),
		cmocka_unit_test(fields_out_of_range),
		cmocka_unit_test(needs),
		cmocka_unit_test(property_set_and_get),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
