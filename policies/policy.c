/* SPDX-License-Identifier: ISC */
#include "policies/policy.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/units.h"
#include "policies/hours.h"
#include "policies/instances.h"
#include "policies/lists.h"
#include "policies/nearest.h"
#include "policies/option.h"

/*
 * One table (options.c) says all there is to know about an option; a kind says how its field is read
 * from text and written as text. Everything else in this file walks the table.
 */

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

static bool tiers_field_parse(const struct policy_option *option, const char *text, void *field)
{
	(void)option;
	return tiers_parse(text, field);
}

static bool tiers_field_print(const struct policy_option *option, const void *field, char *text)
{
	(void)option;
	return tiers_print(field, text);
}

static bool hours_field_parse(const struct policy_option *option, const char *text, void *field)
{
	(void)option;
	return hours_parse(text, field);
}

static bool hours_field_print(const struct policy_option *option, const void *field, char *text)
{
	(void)option;
	return hours_print(field, text);
}

static bool zone_field_parse(const struct policy_option *option, const char *text, void *field)
{
	(void)option;
	return zone_parse(text, field);
}

static bool zone_field_print(const struct policy_option *option, const void *field, char *text)
{
	(void)option;
	if (!memchr(field, '\0', POLICY_ZONE_MAX + 1))
		return false;
	strcpy(text, field);
	return true;
}

static bool names_field_parse(const struct policy_option *option, const char *text, void *field)
{
	(void)option;
	return hosts_parse(text, field);
}

static bool names_field_print(const struct policy_option *option, const void *field, char *text)
{
	(void)option;
	return hosts_print(field, text);
}

static bool instances_field_parse(const struct policy_option *option, const char *text, void *field)
{
	(void)option;
	return instances_parse(text, field);
}

static bool instances_field_print(const struct policy_option *option, const void *field, char *text)
{
	(void)option;
	return instances_print(field, text);
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
	[KIND_TIERS] = {tiers_field_parse, tiers_field_print},
	[KIND_HOURS] = {hours_field_parse, hours_field_print},
	[KIND_ZONE] = {zone_field_parse, zone_field_print},
	[KIND_NAMES] = {names_field_parse, names_field_print},
	[KIND_INSTANCES] = {instances_field_parse, instances_field_print},
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
