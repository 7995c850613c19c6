/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config_internal.h"
#include "policies/policy.h"

/* The manual pages and the example name every option that the tables have, and no other. */

#define TEXT_MAX (1u << 18)

static char *slurp(const char *name)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/deploy/%s", SOURCE_ROOT, name);
	FILE *file = fopen(path, "r");
	if (!file)
		fail_msg("%s: missing", path);
	char *text = calloc(1, TEXT_MAX);
	assert_non_null(text);
	assert_true(fread(text, 1, TEXT_MAX - 1, file) > 0);
	fclose(file);
	return text;
}

/* The lines ".It Cm word" of a manual page between two of its lines. */
static size_t count_items(const char *page, const char *from, const char *to)
{
	const char *at = strstr(page, from);
	assert_non_null(at);
	const char *end = strstr(at, to);
	assert_non_null(end);
	size_t count = 0;
	while ((at = strstr(at, "\n.It Cm ")) && at++ < end)
		count++;
	return count;
}

static void configuration(void **state)
{
	(void)state;
	char *page = slurp("man/summond.conf.5"), *example = slurp("examples/summond.conf");
	for (size_t i = 0; i < config_option_count; i++) {
		const char *path = config_options[i].path, *dot = strrchr(path, '.');
		char item[100], line[100];
		snprintf(item, sizeof(item), "\n.It Cm %s\n", path);
		snprintf(line, sizeof(line), "%s = ", dot ? dot + 1 : path);
		if (!strstr(page, item))
			fail_msg("%s is not in summond.conf(5)", path);
		if (!strstr(example, line))
			fail_msg("%s is not in the example", path);
	}
	assert_int_equal(count_items(page, ".Sh OPTIONS", ".Ss Zones"), config_option_count);
	free(page);
	free(example);
}

/* The default of each, too: both stand in the table. The folder of images depends on the build. */
static void defaults(void **state)
{
	(void)state;
	char *page = slurp("man/summond.conf.5");
	for (size_t i = 0; i < config_option_count; i++) {
		const struct config_option *option = &config_options[i];
		char item[100], quoted[200];
		if (strcmp(option->path, "images") == 0)
			continue;
		snprintf(item, sizeof(item), "\n.It Cm %s\n", option->path);
		snprintf(quoted, sizeof(quoted), "\n.Ql %s .\n",
			option->value ? option->value : option->shown);
		const char *at = strstr(page, item);
		assert_non_null(at);
		const char *next = strstr(at + 1, "\n.It Cm "), *value = strstr(at, quoted);
		if (!value || (next && value > next))
			fail_msg("summond.conf(5) has another default for %s", option->path);
	}
	free(page);
}

static void policies(void **state)
{
	(void)state;
	char *page = slurp("man/summond.8");
	for (size_t i = 0; i < policy_option_count; i++) {
		char item[100];
		snprintf(item, sizeof(item), "\n.It Cm %s\n", policy_options[i].name);
		if (!strstr(page, item))
			fail_msg("%s is not in summond(8)", policy_options[i].name);
	}
	assert_int_equal(count_items(page, ".Sh POLICIES", ".Sh SIGNALS"), policy_option_count);
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(configuration),
		cmocka_unit_test(defaults),
		cmocka_unit_test(policies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
