/* SPDX-License-Identifier: ISC */
#include "policies/policy.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/units.h"
#include "policies/lists.h"
#include "policies/nearest.h"

/*
 * One table says all there is to know about an option; a kind says how its field is read from text
 * and written as text. Everything else in this file walks the table.
 */

/* `detail` of KIND_WORD and KIND_FLAGS: the words and their values, ended by a NULL word. In a set
 * of flags, a word of value 0 stands for the empty set. */
struct word {
	const char *word;
	unsigned value;
};

/* `detail` of KIND_DURATION and KIND_NUMBER. */
struct range {
	uint64_t min, max;
	uint64_t step; /* the value is a multiple of it */
};

enum {
	KIND_WORD,
	KIND_FLAGS,
	KIND_DURATION,
	KIND_NUMBER,
	KIND_TEXT,
	KIND_PORTS,
	KIND_PREFIXES,
	KIND_RATE
};

static const struct word wake_words[] = {{"none", 0}, {"A", POLICY_WAKE_A},
	{"AAAA", POLICY_WAKE_AAAA}, {"HTTPS", POLICY_WAKE_HTTPS}, {0}};
static const struct word start_words[] = {{"cold", POLICY_START_COLD},
	{"prepared", POLICY_START_PREPARED}, {"suspended", POLICY_START_SUSPENDED},
	{"snapshot", POLICY_START_SNAPSHOT}, {0}};
static const struct word ready_words[] = {{"guest", POLICY_READY_GUEST},
	{"console", POLICY_READY_CONSOLE}, {"frame", POLICY_READY_FRAME}, {"tcp", POLICY_READY_TCP},
	{"delay", POLICY_READY_DELAY}, {0}};
static const struct word deadline_words[] = {
	{"address", POLICY_DEADLINE_ADDRESS}, {"servfail", POLICY_DEADLINE_SERVFAIL}, {0}};
static const struct word answer_words[] = {
	{"when-ready", POLICY_ANSWER_WHEN_READY}, {"at-once", POLICY_ANSWER_AT_ONCE}, {0}};
static const struct word switch_words[] = {{"no", POLICY_NO}, {"yes", POLICY_YES}, {0}};
static const struct word activity_words[] = {{"none", 0}, {"queries", POLICY_ACTIVITY_QUERIES},
	{"traffic", POLICY_ACTIVITY_TRAFFIC}, {"connections", POLICY_ACTIVITY_CONNECTIONS}, {0}};
static const struct word retire_words[] = {{"destroy", POLICY_RETIRE_DESTROY},
	{"shutdown", POLICY_RETIRE_SHUTDOWN}, {"suspend", POLICY_RETIRE_SUSPEND},
	{"snapshot", POLICY_RETIRE_SNAPSHOT}, {0}};

#define NS_PER_DAY (24 * 3600 * NS_PER_S)

/* Ten years keep every sum of two spans and a clock far from the end of uint64_t. */
static const struct range any_span = {0, 3650 * NS_PER_DAY, 1};
static const struct range delay_span = {0, 3600 * NS_PER_S, 1};
static const struct range timeout_span = {NS_PER_MS, 3600 * NS_PER_S, 1};
static const struct range hold_span = {0, 5 * NS_PER_S, 1};
static const struct range ttl_span = {0, NS_PER_DAY, NS_PER_S};
static const struct range shells_range = {0, 64, 1};
static const struct range port_range = {0, UINT16_MAX, 1};

#define PORTS_VALUES "up to 16 ports and ranges, as in 80 443 8000-8099; or any, none"
#define SPAN_VALUES  "a duration from 0 to 3650d, as in 60s"

#define OPTION(field, kind_, fallback_, values_, help_, detail_)                                   \
	{                                                                                          \
		.name = #field, .fallback = (fallback_), .values = (values_), .help = (help_),     \
		.kind = (kind_), .offset = offsetof(struct policy, field), .detail = (detail_)     \
	}

const struct policy_option policy_options[] = {
	OPTION(wake_on, KIND_FLAGS, "A AAAA HTTPS", "any of A, AAAA, HTTPS; or none",
		"Types of query that wake the service", wake_words),
	OPTION(start, KIND_WORD, "cold", "cold | prepared | suspended | snapshot",
		"How it rests while asleep: not at all, created but not booted, or booted and "
		"paused",
		start_words),
	OPTION(shells, KIND_NUMBER, "0", "a whole number from 0 to 64",
		"How many empty machines are kept ready for its services together, where the "
		"backend knows such (vmm)",
		&shells_range),
	OPTION(ready, KIND_WORD, "guest", "guest | console | frame | tcp | delay",
		"How it is known that the guest can serve", ready_words),
	OPTION(ready_line, KIND_TEXT, "summond: ready",
		"up to 255 printable ASCII characters, as in \"summond: ready\"",
		"What a line of the console contains when the guest is ready (ready console or "
		"guest)",
		NULL),
	OPTION(ready_port, KIND_NUMBER, "80", "a whole number from 0 to 65535",
		"The TCP port that accepts when the guest is ready (ready tcp)", &port_range),
	OPTION(ready_delay, KIND_DURATION, "1s", "a duration from 0 to 1h, as in 500ms",
		"How long after its start the guest counts as ready (ready delay)", &delay_span),
	OPTION(ready_timeout, KIND_DURATION, "10s", "a duration from 1ms to 1h, as in 10s",
		"When a start that is not ready counts as failed", &timeout_span),
	OPTION(hold, KIND_DURATION, "1.2s",
		"a duration from 0 to 5s (resolvers give up after that), as in 1.2s",
		"How long an answer waits for the guest at most", &hold_span),
	OPTION(at_deadline, KIND_WORD, "address", "address | servfail",
		"What is answered when the guest is not ready in that time", deadline_words),
	OPTION(answer, KIND_WORD, "when-ready", "when-ready | at-once",
		"Whether a query waits for the guest, or is answered while the guest starts",
		answer_words),
	OPTION(ring_tcp, KIND_PORTS, "80 443", PORTS_VALUES,
		"The TCP ports at which a connection wakes the service", NULL),
	OPTION(ring_udp, KIND_PORTS, "none", PORTS_VALUES,
		"The UDP ports at which a datagram wakes the service", NULL),
	OPTION(ring_ping, KIND_WORD, "no", "yes | no", "Whether an echo request wakes the service",
		switch_words),
	OPTION(ring_from, KIND_PREFIXES, "any",
		"up to 12 prefixes in at most 255 characters, as in 10.0.0.0/8 fd00::/8; or any, "
		"none",
		"The clients whose packets wake the service", NULL),
	OPTION(ring_rate, KIND_RATE, "30/1min",
		"how many in what time (from 1ms to 1d), as in 30/1min; or none for no limit",
		"How often packets wake the service at most", NULL),
	OPTION(ttl, KIND_DURATION, "5s", "whole seconds from 0 to 1d, as in 5s",
		"How long clients may keep an answer", &ttl_span),
	OPTION(activity, KIND_FLAGS, "queries traffic connections",
		"any of queries, traffic, connections; or none", "What counts as use",
		activity_words),
	OPTION(idle_after, KIND_DURATION, "60s", SPAN_VALUES,
		"How long without use until the guest is retired; 0 for never", &any_span),
	OPTION(min_life, KIND_DURATION, "10s", SPAN_VALUES, "How long the guest is kept at least",
		&any_span),
	OPTION(max_life, KIND_DURATION, "0", SPAN_VALUES,
		"When the guest is retired even if it is in use; 0 for never", &any_span),
	OPTION(retire, KIND_WORD, "destroy", "destroy | shutdown | suspend | snapshot",
		"What retiring does to the guest", retire_words),
	OPTION(shutdown_grace, KIND_DURATION, "5s", "a duration from 0 to 1h, as in 5s",
		"How long a shutdown may take before the guest is destroyed (retire shutdown)",
		&delay_span),
	OPTION(backoff_first, KIND_DURATION, "1s", SPAN_VALUES,
		"How long no start is tried after a failure; doubles with each; 0 for not at all",
		&any_span),
	OPTION(backoff_max, KIND_DURATION, "60s", SPAN_VALUES,
		"How long no start is tried after many failures", &any_span),
};
const size_t policy_option_count = sizeof(policy_options) / sizeof(policy_options[0]);

/* --- kinds --- */

static_assert(sizeof(enum policy_start) == sizeof(unsigned) &&
		      sizeof(enum policy_ready) == sizeof(unsigned) &&
		      sizeof(enum policy_deadline) == sizeof(unsigned) &&
		      sizeof(enum policy_answer) == sizeof(unsigned) &&
		      sizeof(enum policy_switch) == sizeof(unsigned) &&
		      sizeof(enum policy_retire) == sizeof(unsigned),
	"KIND_WORD reads and writes enums as unsigned");

static const struct word *find_word(const struct word *words, const char *text, size_t length)
{
	for (; words->word; words++)
		if (strlen(words->word) == length && strncasecmp(words->word, text, length) == 0)
			return words;
	return NULL;
}

static bool word_parse(const struct policy_option *option, const char *text, void *field)
{
	const struct word *word = find_word(option->detail, text, strlen(text));
	if (!word)
		return false;
	*(unsigned *)field = word->value;
	return true;
}

static bool word_print(const struct policy_option *option, const void *field, char *text)
{
	for (const struct word *word = option->detail; word->word; word++) {
		if (word->value != *(const unsigned *)field)
			continue;
		snprintf(text, POLICY_VALUE_MAX + 1, "%s", word->word);
		return true;
	}
	return false;
}

static bool flags_parse(const struct policy_option *option, const char *text, void *field)
{
	static const char separators[] = " \t,";
	unsigned flags = 0, count = 0;
	bool none = false;
	for (text += strspn(text, separators); *text; text += strspn(text, separators)) {
		size_t length = strcspn(text, separators);
		const struct word *word = find_word(option->detail, text, length);
		if (!word)
			return false;
		flags |= word->value;
		none |= word->value == 0;
		count++;
		text += length;
	}
	if (none && count > 1)
		return false;
	*(unsigned *)field = flags;
	return true;
}

static bool flags_print(const struct policy_option *option, const void *field, char *text)
{
	unsigned flags = *(const unsigned *)field;
	size_t used = 0;
	if (flags == 0)
		return word_print(option, field, text);
	for (const struct word *word = option->detail; word->word; word++) {
		if (!(word->value & flags))
			continue;
		used += (size_t)snprintf(text + used, POLICY_VALUE_MAX + 1 - used, "%s%s",
			used ? " " : "", word->word);
		flags &= ~word->value;
	}
	return flags == 0;
}

static bool duration_field_parse(const struct policy_option *option, const char *text, void *field)
{
	const struct range *range = option->detail;
	uint64_t ns;
	if (duration_parse(text, &ns, NULL) < 0 || ns < range->min || ns > range->max ||
		ns % range->step != 0)
		return false;
	*(uint64_t *)field = ns;
	return true;
}

static bool duration_field_print(const struct policy_option *option, const void *field, char *text)
{
	(void)option;
	duration_print(*(const uint64_t *)field, text);
	return true;
}

static bool number_field_parse(const struct policy_option *option, const char *text, void *field)
{
	const struct range *range = option->detail;
	uint64_t number;
	if (number_parse(text, range->min, range->max, &number, NULL) < 0)
		return false;
	*(uint16_t *)field = (uint16_t)number;
	return true;
}

static bool number_field_print(const struct policy_option *option, const void *field, char *text)
{
	(void)option;
	snprintf(text, POLICY_VALUE_MAX + 1, "%u", *(const uint16_t *)field);
	return true;
}

static bool is_printable(char c)
{
	return c >= 0x20 && c <= 0x7e;
}

static bool text_parse(const struct policy_option *option, const char *text, void *field)
{
	(void)option;
	size_t length = strlen(text);
	if (length > POLICY_VALUE_MAX)
		return false;
	for (const char *at = text; *at; at++)
		if (!is_printable(*at))
			return false;
	memset(field, 0, POLICY_VALUE_MAX + 1);
	memcpy(field, text, length);
	return true;
}

static bool text_print(const struct policy_option *option, const void *field, char *text)
{
	(void)option;
	if (!memchr(field, '\0', POLICY_VALUE_MAX + 1))
		return false;
	snprintf(text, POLICY_VALUE_MAX + 1, "%s", (const char *)field);
	return true;
}

static bool ports_field_parse(const struct policy_option *option, const char *text, void *field)
{
	(void)option;
	return ports_parse(text, field);
}

static bool ports_field_print(const struct policy_option *option, const void *field, char *text)
{
	(void)option;
	return ports_print(field, text);
}

static bool prefixes_field_parse(const struct policy_option *option, const char *text, void *field)
{
	(void)option;
	return prefixes_parse(text, field);
}

static bool prefixes_field_print(const struct policy_option *option, const void *field, char *text)
{
	(void)option;
	return prefixes_print(field, text);
}

static bool rate_field_parse(const struct policy_option *option, const char *text, void *field)
{
	(void)option;
	return rate_parse(text, field);
}

static bool rate_field_print(const struct policy_option *option, const void *field, char *text)
{
	(void)option;
	return rate_print(field, text);
}

/* `parse` writes the field only where it returns true; `print` is false for a field that no text
 * gives. */
static const struct kind {
	bool (*parse)(const struct policy_option *option, const char *text, void *field);
	bool (*print)(const struct policy_option *option, const void *field, char *text);
} kinds[] = {
	[KIND_WORD] = {word_parse, word_print},
	[KIND_FLAGS] = {flags_parse, flags_print},
	[KIND_DURATION] = {duration_field_parse, duration_field_print},
	[KIND_NUMBER] = {number_field_parse, number_field_print},
	[KIND_TEXT] = {text_parse, text_print},
	[KIND_PORTS] = {ports_field_parse, ports_field_print},
	[KIND_PREFIXES] = {prefixes_field_parse, prefixes_field_print},
	[KIND_RATE] = {rate_field_parse, rate_field_print},
};

static bool option_parse(
	const struct policy_option *option, const char *text, struct policy *policy)
{
	return kinds[option->kind].parse(option, text, (char *)policy + option->offset);
}

static bool option_print(
	const struct policy_option *option, const struct policy *policy, char *text)
{
	return kinds[option->kind].print(option, (const char *)policy + option->offset, text);
}

/* --- the contract --- */

void policy_init(struct policy *policy, const char *name)
{
	memset(policy, 0, sizeof(*policy));
	snprintf(policy->name, sizeof(policy->name), "%s", name);
	for (size_t i = 0; i < policy_option_count; i++)
		option_parse(&policy_options[i], policy_options[i].fallback, policy);
}

/* What a message may quote of a text that somebody sent: short, and nothing that moves a cursor. */
static const char *quoted(const char *text, char out[41])
{
	size_t i;
	for (i = 0; i < 40 && text[i]; i++)
		out[i] = is_printable(text[i]) ? text[i] : '?';
	out[i] = '\0';
	return out;
}

int policy_check_name(const char *name, struct error *err)
{
	char quote[41];
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.");
	if (length == 0 || length > POLICY_NAME_MAX || name[length] || name[0] == '.')
		return error_set(err, -EINVAL,
			"'%s' cannot be the name of a policy: write 1 to %d of a-z 0-9 - _ . and "
			"no dot first",
			quoted(name, quote), POLICY_NAME_MAX);
	return 0;
}

static int unknown_option(const char *name, struct error *err)
{
	char quote[41];
	char names[480] = "";
	size_t used = 0;
	const struct policy_option *nearest = nearest_option(name);
	quoted(name, quote);
	if (nearest)
		return error_set(err, -ENOENT, "unknown option '%s': did you mean '%s'?", quote,
			nearest->name);
	for (size_t i = 0; i < policy_option_count && used < sizeof(names); i++)
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "",
			policy_options[i].name);
	return error_set(err, -ENOENT, "unknown option '%s': the options are %s", quote, names);
}

static const struct policy_option *find_option(const char *name)
{
	for (size_t i = 0; i < policy_option_count; i++)
		if (strcmp(policy_options[i].name, name) == 0)
			return &policy_options[i];
	return NULL;
}

int policy_set(struct policy *policy, const char *name, const char *value, struct error *err)
{
	char quote[41];
	const struct policy_option *option = find_option(name);
	if (!option)
		return unknown_option(name, err);
	if (!option_parse(option, value, policy))
		return error_set(err, -EINVAL, "option '%s' cannot be '%s': write %s", name,
			quoted(value, quote), option->values);
	return 0;
}

int policy_get(const struct policy *policy, const char *name, char value[POLICY_VALUE_MAX + 1],
	struct error *err)
{
	const struct policy_option *option = find_option(name);
	if (!option)
		return unknown_option(name, err);
	if (!option_print(option, policy, value))
		return error_set(
			err, -EINVAL, "option '%s' holds no value: write %s", name, option->values);
	return 0;
}
