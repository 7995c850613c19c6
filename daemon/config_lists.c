/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "daemon/config_internal.h"

/* Kinds of options whose text has parts. */

static const char blanks[] = " \t";
static const char hex_digits[] = "0123456789abcdefABCDEF";

#define FIELD(loaded, option, type) ((type *)(void *)((char *)&(loaded)->config + (option)->offset))

int config_set_secrets(struct config_loaded *loaded, const struct config_option *option,
	const char *text, struct error *err)
{
	(void)option;
	unsigned count = 0;
	for (text += strspn(text, blanks); *text; text += strspn(text, blanks), count++) {
		size_t length = strcspn(text, blanks);
		/* Not quoted in the message: it is a secret. */
		if (length != 2 * DNS_COOKIE_SECRET_SIZE || strspn(text, hex_digits) < length)
			return error_set(err, -EINVAL,
				"secret number %u is not one of %d hexadecimal digits", count + 1,
				2 * DNS_COOKIE_SECRET_SIZE);
		if (count == CONFIG_COOKIE_SECRETS)
			return error_set(err, -EINVAL,
				"has more than two secrets: the one to make cookies with, and one "
				"more to be taken");
		for (size_t i = 0; i < DNS_COOKIE_SECRET_SIZE; i++, text += 2) {
			const char digits[3] = {text[0], text[1]};
			loaded->config.dns.cookie_secrets[count][i] =
				(uint8_t)strtoul(digits, NULL, 16);
		}
	}
	loaded->config.dns.cookie_secret_count = count;
	return 0;
}

int config_set_prefixes(struct config_loaded *loaded, const struct config_option *option,
	const char *text, struct error *err)
{
	struct config_prefixes list = {0};
	char *words = config_copy(loaded, text), *rest = NULL;
	list.rules = config_alloc(loaded, (strlen(text) / 2 + 1) * sizeof(*list.rules));
	if (!words || !list.rules)
		return error_set(err, -ENOMEM, "no memory");
	for (char *word = strtok_r(words, blanks, &rest); word;
		word = strtok_r(NULL, blanks, &rest)) {
		struct prefix_rule *rule = &list.rules[list.count++];
		rule->yes = option->min;
		int rc = ip_prefix_parse(word, &rule->prefix, err);
		if (rc < 0)
			return rc;
	}
	*FIELD(loaded, option, struct config_prefixes) = list;
	return 0;
}

int config_set_rate(struct config_loaded *loaded, const struct config_option *option,
	const char *text, struct error *err)
{
	struct budget_rate rate = {.span = NS_PER_S};
	const char *slash = strchr(text, '/');
	char count[16];
	uint64_t value = 0;
	bool good = strcmp(text, "none") == 0;
	if (!good && slash && (size_t)(slash - text) < sizeof(count)) {
		memcpy(count, text, (size_t)(slash - text));
		count[slash - text] = '\0';
		good = number_parse(count, 1, 1000000, &value, NULL) == 0 &&
		       duration_parse(slash + 1, &rate.span, NULL) == 0 && rate.span >= NS_PER_MS &&
		       rate.span <= 24 * 3600 * NS_PER_S;
	}
	if (!good)
		return error_set(err, -EINVAL,
			"'%.40s' is not a rate: write how many in what time (from 1ms to 1d), as "
			"in "
			"60/1min, or none for no limit",
			text);
	rate.count = (uint32_t)value;
	*FIELD(loaded, option, struct budget_rate) = rate;
	return 0;
}

int config_set_upstreams(struct config_loaded *loaded, const struct config_option *option,
	const char *text, struct error *err)
{
	struct config *config = &loaded->config;
	char *words = config_copy(loaded, text), *rest = NULL;
	(void)option;
	if (!words)
		return error_set(err, -ENOMEM, "no memory");
	for (char *word = strtok_r(words, blanks, &rest); word;
		word = strtok_r(NULL, blanks, &rest)) {
		if (config->forward.upstream_count == CONFIG_UPSTREAMS)
			return error_set(
				err, -EINVAL, "has more than %d addresses", CONFIG_UPSTREAMS);
		int rc = ip_endpoint_parse(word, 53,
			&config->forward.upstreams[config->forward.upstream_count++], err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* --- what several lists say together --- */

static void append(struct config_prefixes *all, const struct config_prefixes *more)
{
	if (more->count > 0)
		memcpy(all->rules + all->count, more->rules, more->count * sizeof(*all->rules));
	all->count += more->count;
}

static int build(struct config_loaded *loaded, const struct config_prefixes *allow,
	const struct config_prefixes *deny, bool otherwise, struct prefixes *out, struct error *err)
{
	size_t count = allow->count + deny->count;
	struct config_prefixes all = {
		.rules = config_alloc(loaded, (count + 1) * sizeof(*all.rules))};
	struct prefix_range *ranges = config_alloc(loaded, PREFIXES_ROOM(count) * sizeof(*ranges));
	if (!all.rules || !ranges)
		return error_set(err, -ENOMEM, "no memory");
	append(&all, allow);
	append(&all, deny);
	return prefixes_build(all.rules, all.count, otherwise, ranges, out, err);
}

/* By default those whose address nobody outside can take: this machine, and the guests behind our
 * own bridge. Not every private address: on an open network a packet may come with any. */
static int fill_in(struct config_loader *loader, struct config_prefixes *list)
{
	const struct config *config = &loader->loaded->config;
	const struct ip_prefix all[] = {
		{{AF_INET, {127}}, 8},
		{{AF_INET6, {[15] = 1}}, 128},
		config->network.address,
		config->network.address6,
	};
	size_t count = config->network.enabled ? 4 : 2;
	if (list->rules)
		return 0;
	list->rules = config_alloc(loader->loaded, count * sizeof(*list->rules));
	for (size_t i = 0; list->rules && i < count; i++)
		if (ip_address_is_set(&all[i].address))
			list->rules[list->count++] =
				(struct prefix_rule){.prefix = all[i], .yes = true};
	return list->rules ? 0 : -ENOMEM;
}

static void compile(struct config_loader *loader, const char *path,
	const struct config_prefixes *allow, const struct config_prefixes *deny, bool otherwise,
	struct prefixes *out)
{
	struct error err = ERROR_INIT;
	if (build(loader->loaded, allow, deny, otherwise, out, &err) < 0)
		config_problem(loader, NULL, path, "%s", err.message);
}

void config_derive_lists(struct config_loader *loader)
{
	static const struct config_prefixes none;
	struct config *config = &loader->loaded->config;
	char path[300];
	if (fill_in(loader, &config->wake.trusted) < 0 ||
		fill_in(loader, &config->dns.unlimited) < 0 ||
		fill_in(loader, &config->forward.allow) < 0)
		config_problem(loader, NULL, "wake", "no memory");
	compile(loader, "wake", &config->wake.allow, &config->wake.deny,
		config->wake.allow.count == 0, &config->wake.access);
	compile(loader, "wake.trusted", &config->wake.trusted, &none, false, &config->wake.trusts);
	compile(loader, "dns.unlimited", &config->dns.unlimited, &none, false, &config->dns.exempt);
	compile(loader, "forward", &config->forward.allow, &config->forward.deny, false,
		&config->forward.clients);
	for (size_t i = 0; i < config->zone_count; i++) {
		struct config_zone *zone = &config->zones[i];
		snprintf(path, sizeof(path), "zone.%.200s", zone->origin);
		compile(loader, path, &zone->allow, &zone->deny, zone->allow.count == 0,
			&zone->access);
	}
}

void config_read_prefixes(struct config_loader *loader, const struct config_node *node,
	const char *path, bool yes, struct config_prefixes *out)
{
	const struct config_node *first = node->kind == CONFIG_LIST ? node->first : node;
	struct error err = ERROR_INIT;
	size_t count = 0;
	for (const struct config_node *item = first; item; item = item->next)
		count++;
	out->rules = config_alloc(loader->loaded, (count + 1) * sizeof(*out->rules));
	for (const struct config_node *item = first; item && out->rules; item = item->next) {
		struct prefix_rule *rule = &out->rules[out->count++];
		rule->yes = yes;
		if (item->kind != CONFIG_TEXT)
			config_problem(loader, item, path, "must be a list of prefixes");
		else if (ip_prefix_parse(item->text, &rule->prefix, &err) < 0)
			config_problem(loader, item, path, "%s", err.message);
		if (node->kind != CONFIG_LIST)
			break;
	}
}
