/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/prefixes.h"
#include "tests/unit/random.h"

#define MAX_RULES 64

struct list {
	struct prefix_rule rules[MAX_RULES];
	struct prefix_range ranges[PREFIXES_ROOM(MAX_RULES)];
	struct prefixes prefixes;
	size_t count;
};

static void add(struct list *list, const char *prefix, bool yes)
{
	struct prefix_rule *rule = &list->rules[list->count++];
	rule->yes = yes;
	assert_int_equal(ip_prefix_parse(prefix, &rule->prefix, NULL), 0);
}

static int build(struct list *list, bool otherwise, struct error *err)
{
	return prefixes_build(
		list->rules, list->count, otherwise, list->ranges, &list->prefixes, err);
}

static bool match(const struct list *list, const struct ip_address *ip)
{
	struct sockaddr_storage storage;
	ip_address_to_sockaddr(ip, 53, &storage);
	return prefixes_match(&list->prefixes, (struct sockaddr *)&storage);
}

static bool says(const struct list *list, const char *address)
{
	struct ip_address ip;
	assert_int_equal(ip_address_parse(address, &ip, NULL), 0);
	return match(list, &ip);
}

static void the_longest_decides(void **state)
{
	(void)state;
	struct list list = {0};
	add(&list, "10.1.2.3", true);
	add(&list, "10.0.0.0/8", true);
	add(&list, "10.1.0.0/16", false);
	add(&list, "2001:db8::/32", true);
	add(&list, "2001:db8:ffff::/48", false);
	assert_int_equal(build(&list, false, NULL), 0);
	assert_true(says(&list, "10.0.0.0"));
	assert_true(says(&list, "10.255.255.255"));
	assert_false(says(&list, "10.1.0.0"));
	assert_false(says(&list, "10.1.2.2"));
	assert_true(says(&list, "10.1.2.3"));
	assert_false(says(&list, "10.1.2.4"));
	assert_true(says(&list, "10.2.0.0"));
	assert_false(says(&list, "9.255.255.255"));
	assert_false(says(&list, "11.0.0.0"));
	assert_true(says(&list, "2001:db8::1"));
	assert_false(says(&list, "2001:db8:ffff::1"));
	assert_false(says(&list, "2001:db9::"));
	assert_false(says(&list, "::ffff:10.0.0.1"));
}

static void the_ends_of_a_family(void **state)
{
	(void)state;
	struct list list = {0};
	add(&list, "255.255.255.255", true);
	add(&list, "0.0.0.0", true);
	add(&list, "::/0", true);
	add(&list, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false);
	assert_int_equal(build(&list, false, NULL), 0);
	assert_true(says(&list, "255.255.255.255"));
	assert_false(says(&list, "255.255.255.254"));
	assert_true(says(&list, "0.0.0.0"));
	assert_false(says(&list, "0.0.0.1"));
	assert_true(says(&list, "::"));
	assert_true(says(&list, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"));
	assert_false(says(&list, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
}

static void without_rules(void **state)
{
	(void)state;
	const struct sockaddr none = {.sa_family = AF_UNIX};
	struct list list = {0};
	assert_false(says(&list, "10.0.0.1"));
	assert_int_equal(build(&list, true, NULL), 0);
	assert_true(says(&list, "10.0.0.1"));
	assert_true(says(&list, "::1"));
	assert_true(prefixes_match(&list.prefixes, &none));
}

static void contradictions_are_named(void **state)
{
	(void)state;
	struct list list = {0};
	struct error err = ERROR_INIT;
	add(&list, "10.1.0.0/16", true);
	add(&list, "10.0.0.0/8", false);
	add(&list, "10.1.2.3/16", true);
	assert_int_equal(build(&list, true, &err), 0);
	add(&list, "10.1.99.0/16", false);
	assert_int_equal(build(&list, true, &err), -EEXIST);
	assert_non_null(strstr(err.message, "/16 is both allowed and denied"));
}

/* What the list says when each rule is looked at. */
static bool model(const struct list *list, const struct ip_address *ip, bool otherwise)
{
	int longest = -1;
	for (size_t i = 0; i < list->count; i++) {
		const struct prefix_rule *rule = &list->rules[i];
		if (rule->prefix.length > longest && ip_prefix_contains(&rule->prefix, ip)) {
			longest = rule->prefix.length;
			otherwise = rule->yes;
		}
	}
	return otherwise;
}

/* Few bits differ, so that prefixes contain one another. */
static struct ip_address random_address(struct random *random)
{
	struct ip_address ip = {.family = random_below(random, 2) ? AF_INET : AF_INET6};
	size_t size = ip_address_size(&ip);
	for (int i = 0; i < 6; i++)
		ip.bytes[random_below(random, size)] = random_below(random, 3) ? 0 : 0xff;
	return ip;
}

static void it_is_what_looking_at_each_rule_gives(void **state)
{
	(void)state;
	struct random random = {3};
	for (int run = 0; run < 500; run++) {
		struct list list = {.count = random_below(&random, MAX_RULES)};
		bool otherwise = random_below(&random, 2);
		for (size_t i = 0; i < list.count; i++) {
			struct ip_prefix *prefix = &list.rules[i].prefix;
			prefix->address = random_address(&random);
			prefix->length = (uint8_t)random_below(
				&random, 8 * ip_address_size(&prefix->address) + 1);
			list.rules[i].yes = random_below(&random, 2);
		}
		if (build(&list, otherwise, NULL) < 0)
			continue;
		assert_true(list.prefixes.count[0] + list.prefixes.count[1] <=
			    PREFIXES_ROOM(list.count));
		for (int i = 0; i < 100; i++) {
			struct ip_address ip = random_address(&random);
			assert_int_equal(match(&list, &ip), model(&list, &ip, otherwise));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_longest_decides),
		cmocka_unit_test(the_ends_of_a_family),
		cmocka_unit_test(without_rules),
		cmocka_unit_test(contradictions_are_named),
		cmocka_unit_test(it_is_what_looking_at_each_rule_gives),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
