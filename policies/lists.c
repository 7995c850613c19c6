/* SPDX-License-Identifier: ISC */
#include "policies/lists.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/units.h"

#define SEPARATORS " \t,"
#define WORD_MAX   63

/* The next word of *text into `word`: 1, 0 at the end, -1 where it is longer than any that means
 * something. */
static int next_word(const char **text, char word[WORD_MAX + 1])
{
	*text += strspn(*text, SEPARATORS);
	size_t length = strcspn(*text, SEPARATORS);
	if (length > WORD_MAX)
		return -1;
	memcpy(word, *text, length);
	word[length] = '\0';
	*text += length;
	return length > 0;
}

static bool is_alone(const char *text, const char *word)
{
	text += strspn(text, SEPARATORS);
	size_t length = strlen(word);
	return strncasecmp(text, word, length) == 0 &&
	       text[length + strspn(text + length, SEPARATORS)] == '\0';
}

/* Appends to a text of POLICY_VALUE_MAX; false where it does not fit. */
static bool append(char *text, size_t *used, const char *word)
{
	int length = snprintf(
		text + *used, POLICY_VALUE_MAX + 1 - *used, "%s%s", *used ? " " : "", word);
	*used += (size_t)length;
	return *used <= POLICY_VALUE_MAX;
}

/* --- ports --- */

static bool range_parse(char *word, uint16_t *first, uint16_t *last)
{
	uint64_t low, high;
	char *dash = strchr(word, '-');
	if (dash)
		*dash = '\0';
	if (number_parse(word, 1, UINT16_MAX, &low, NULL) < 0 ||
		number_parse(dash ? dash + 1 : word, 1, UINT16_MAX, &high, NULL) < 0 || low > high)
		return false;
	*first = (uint16_t)low;
	*last = (uint16_t)high;
	return true;
}

static int by_first(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

static void join_ranges(struct policy_ports *ports)
{
	unsigned kept = 0;
	qsort(ports->ranges, ports->count, sizeof(ports->ranges[0]), by_first);
	for (unsigned i = 1; i < ports->count; i++) {
		if (ports->ranges[i].first > ports->ranges[kept].last + 1)
			ports->ranges[++kept] = ports->ranges[i];
		else if (ports->ranges[i].last > ports->ranges[kept].last)
			ports->ranges[kept].last = ports->ranges[i].last;
	}
	if (ports->count)
		ports->count = kept + 1;
	memset(ports->ranges + ports->count, 0,
		(POLICY_PORTS_MAX - ports->count) * sizeof(ports->ranges[0]));
}

bool ports_parse(const char *text, struct policy_ports *out)
{
	struct policy_ports ports = {0};
	char word[WORD_MAX + 1];
	int more = 0;
	if (is_alone(text, "any"))
		text = "1-65535";
	else if (is_alone(text, "none"))
		text = "";
	while ((more = next_word(&text, word)) > 0) {
		if (ports.count == POLICY_PORTS_MAX ||
			!range_parse(word, &ports.ranges[ports.count].first,
				&ports.ranges[ports.count].last))
			return false;
		ports.count++;
	}
	if (more < 0)
		return false;
	join_ranges(&ports);
	*out = ports;
	return true;
}

bool ports_print(const struct policy_ports *ports, char text[POLICY_VALUE_MAX + 1])
{
	size_t used = 0;
	char word[16];
	unsigned last = 0;
	if (ports->count > POLICY_PORTS_MAX)
		return false;
	for (unsigned i = 0; i < ports->count; i++) {
		unsigned first = ports->ranges[i].first, end = ports->ranges[i].last;
		if (first == 0 || end < first || (i > 0 && first <= last + 1))
			return false;
		last = end;
		if (end == first)
			snprintf(word, sizeof(word), "%u", first);
		else
			snprintf(word, sizeof(word), "%u-%u", first, end);
		if (!append(text, &used, word))
			return false;
	}
	if (ports->count == 0)
		strcpy(text, "none");
	else if (strcmp(text, "1-65535") == 0)
		strcpy(text, "any");
	return true;
}

bool ports_contain(const struct policy_ports *ports, uint16_t port)
{
	for (unsigned i = 0; i < ports->count; i++)
		if (port >= ports->ranges[i].first && port <= ports->ranges[i].last)
			return true;
	return false;
}

/* --- prefixes --- */

bool prefixes_parse(const char *text, struct policy_prefixes *out)
{
	struct policy_prefixes prefixes = {.any = is_alone(text, "any")};
	char word[WORD_MAX + 1], printed[POLICY_VALUE_MAX + 1];
	int more = 0;
	if (prefixes.any || is_alone(text, "none"))
		text = "";
	while ((more = next_word(&text, word)) > 0)
		if (prefixes.count == POLICY_PREFIXES_MAX ||
			ip_prefix_parse(word, &prefixes.list[prefixes.count++], NULL) < 0)
			return false;
	if (more < 0 || !prefixes_print(&prefixes, printed))
		return false;
	*out = prefixes;
	return true;
}

bool prefixes_print(const struct policy_prefixes *prefixes, char text[POLICY_VALUE_MAX + 1])
{
	size_t used = 0;
	char word[IP_PREFIX_TEXT];
	if (prefixes->count > POLICY_PREFIXES_MAX || (prefixes->any && prefixes->count))
		return false;
	for (unsigned i = 0; i < prefixes->count; i++)
		if (!ip_address_is_set(&prefixes->list[i].address) ||
			!append(text, &used, ip_prefix_print(&prefixes->list[i], word)))
			return false;
	if (prefixes->count == 0)
		strcpy(text, prefixes->any ? "any" : "none");
	return true;
}

bool prefixes_contain(const struct policy_prefixes *prefixes, const struct ip_address *address)
{
	bool found = prefixes->any;
	for (unsigned i = 0; i < prefixes->count && !found; i++)
		found = ip_prefix_contains(&prefixes->list[i], address);
	return found;
}

/* --- rates --- */

bool rate_parse(const char *text, struct budget_rate *out)
{
	struct budget_rate rate = {.span = NS_PER_S};
	char word[WORD_MAX + 1];
	uint64_t count = 0;
	if (next_word(&text, word) != 1 || text[strspn(text, SEPARATORS)])
		return false;
	if (strcasecmp(word, "none") != 0) {
		char *slash = strchr(word, '/');
		if (!slash)
			return false;
		*slash = '\0';
		if (number_parse(word, 1, 1000000, &count, NULL) < 0 ||
			duration_parse(slash + 1, &rate.span, NULL) < 0 || rate.span < NS_PER_MS ||
			rate.span > 24 * 3600 * NS_PER_S)
			return false;
	}
	rate.count = (uint32_t)count;
	*out = rate;
	return true;
}

bool rate_print(const struct budget_rate *rate, char text[POLICY_VALUE_MAX + 1])
{
	char span[DURATION_TEXT];
	if (rate->count == 0)
		strcpy(text, "none");
	else
		snprintf(text, POLICY_VALUE_MAX + 1, "%u/%s", rate->count,
			duration_print(rate->span, span));
	return rate->span > 0;
}

/* --- tiers --- */

static const struct {
	const char *word;
	enum policy_retire how;
} depths[] = {{"snapshot", POLICY_RETIRE_SNAPSHOT}, {"destroy", POLICY_RETIRE_DESTROY}};
#define DEPTHS (sizeof(depths) / sizeof(depths[0]))

static size_t depth(enum policy_retire how)
{
	size_t i = 0;
	while (i < DEPTHS && depths[i].how != how)
		i++;
	return i;
}

static bool tiers_are_right(const struct policy_tiers *tiers)
{
	bool right = tiers->count <= POLICY_TIERS_MAX;
	for (unsigned i = 0; right && i < tiers->count; i++)
		right = depth(tiers->list[i].how) < DEPTHS &&
			(i == 0 || (depth(tiers->list[i].how) > depth(tiers->list[i - 1].how) &&
					   tiers->list[i].after > tiers->list[i - 1].after));
	return right;
}

/* "WORD after DURATION" into the next place; false where it is something else. */
static bool tier_parse(const char **text, const char *word, struct policy_tiers *tiers)
{
	char after[WORD_MAX + 1], span[WORD_MAX + 1];
	size_t i = 0;
	uint64_t ns;
	while (i < DEPTHS && strcasecmp(depths[i].word, word) != 0)
		i++;
	if (i == DEPTHS || tiers->count == POLICY_TIERS_MAX || next_word(text, after) != 1 ||
		strcasecmp(after, "after") != 0 || next_word(text, span) != 1 ||
		duration_parse(span, &ns, NULL) < 0 || ns > POLICY_SPAN_MAX)
		return false;
	tiers->list[tiers->count].how = depths[i].how;
	tiers->list[tiers->count++].after = ns;
	return true;
}

bool tiers_parse(const char *text, struct policy_tiers *out)
{
	struct policy_tiers tiers = {0};
	char word[WORD_MAX + 1];
	int more = 0;
	if (!is_alone(text, "none"))
		while ((more = next_word(&text, word)) > 0)
			if (!tier_parse(&text, word, &tiers))
				return false;
	if (more < 0 || !tiers_are_right(&tiers))
		return false;
	*out = tiers;
	return true;
}

bool tiers_print(const struct policy_tiers *tiers, char text[POLICY_VALUE_MAX + 1])
{
	char span[DURATION_TEXT];
	size_t used = 0;
	if (!tiers_are_right(tiers))
		return false;
	strcpy(text, "none");
	for (unsigned i = 0; i < tiers->count; i++)
		used += (size_t)snprintf(text + used, POLICY_VALUE_MAX + 1 - used, "%s%s after %s",
			used ? ", " : "", depths[depth(tiers->list[i].how)].word,
			duration_print(tiers->list[i].after, span));
	return true;
}

/* --- names of hosts --- */

bool list_next(const char **at, char word[POLICY_VALUE_MAX + 1])
{
	*at += strspn(*at, SEPARATORS);
	size_t length = strcspn(*at, SEPARATORS);
	if (length == 0 || length > POLICY_VALUE_MAX)
		return false;
	memcpy(word, *at, length);
	word[length] = '\0';
	*at += length;
	return true;
}

static bool is_in(const char *hosts, const char *name)
{
	char word[POLICY_VALUE_MAX + 1];
	while (list_next(&hosts, word))
		if (strcmp(word, name) == 0)
			return true;
	return false;
}

/* Lower case, and no final dot; false for what is no host name. */
static bool host_parse(char *name)
{
	size_t length = strlen(name);
	if (length > 0 && name[length - 1] == '.')
		name[--length] = '\0';
	for (char *c = name; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return length > 0 && name[0] != '.' && name[length - 1] != '.' && !strstr(name, "..") &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == length;
}

bool hosts_parse(const char *text, char out[POLICY_VALUE_MAX + 1])
{
	char hosts[POLICY_VALUE_MAX + 1], word[POLICY_VALUE_MAX + 1];
	size_t used = 0;
	memset(hosts, 0, sizeof(hosts));
	if (strlen(text) > POLICY_VALUE_MAX)
		return false;
	if (!is_alone(text, "none"))
		while (list_next(&text, word))
			if (!host_parse(word) || strcmp(word, "none") == 0 || is_in(hosts, word) ||
				!append(hosts, &used, word))
				return false;
	memcpy(out, hosts, sizeof(hosts));
	return true;
}

bool hosts_print(const char *hosts, char text[POLICY_VALUE_MAX + 1])
{
	if (!memchr(hosts, '\0', POLICY_VALUE_MAX + 1))
		return false;
	strcpy(text, hosts[0] ? hosts : "none");
	return true;
}
