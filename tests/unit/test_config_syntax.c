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

#include "base/config_syntax.h"

/* The tree as one line: key=text, key{...}, key[...]; "@n" is the line. */
static void print(const struct config_node *node, FILE *out)
{
	if (node->key)
		fprintf(out, "%s@%u", node->key, node->line);
	if (node->kind == CONFIG_TEXT) {
		fprintf(out, node->key ? "=%s" : "%s", node->text);
		return;
	}
	fputc(node->kind == CONFIG_LIST ? '[' : '{', out);
	for (const struct config_node *child = node->first; child; child = child->next) {
		print(child, out);
		if (child->next)
			fputc(' ', out);
	}
	fputc(node->kind == CONFIG_LIST ? ']' : '}', out);
}

static void expect_tree(const struct config_node *root, const char *expected)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	print(root, out);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

static void forms(void **state)
{
	(void)state;
	static const struct {
		const char *text, *tree;
	} good[] = {
		{"", "{}"},
		{"# only this", "{}"},
		{"a = b", "{a@1=b}"},
		{"a = b;\nc: d\ne f", "{a@1=b c@2=d e@3=f}"},
		{"a=1;b=2,c=3", "{a@1=1 b@1=2 c@1=3}"},
		{"{\"a\": \"b\",\n \"c\": {\"d\": [1, 2]}}", "{a@1=b c@2{d@2[1 2]}}"},
		{"s { a = 1 }", "{s@1{a@1=1}}"},
		{"s {\n a = 1\n}\ns { b = 2 }", "{s@1{a@2=1 b@4=2}}"},
		{"s \"x y\" { a = 1 } s z { }", "{s@1{x y@1{a@1=1} z@1{}}}"},
		{"s\n{\n}\nt u\n{\n}", "{s@1{} t@4{u@4{}}}"},
		{"s = { a = 1 }", "{s@1{a@1=1}}"},
		{"a = [x, \"y\",\n# no\n z, ]", "{a@1[x y z]}"},
		{"a [x]", "{a@1[x]}"},
		{"/* a\nb */ c = d /* e */; f = g # h", "{c@2=d f@2=g}"},
		{"a = \"q\\\"\\\\\\n\\u00e9#;{\"", "{a@1=q\"\\\n\u00e9#;{}"},
		{"a = 'raw\\n'", "{a@1=raw\\n}"},
		{"a = ::1@53; b: 10.0.0.1/8\nc = /x/y*z", "{a@1=::1@53 b@1=10.0.0.1/8 c@2=/x/y*z}"},
		{"a =\n b", "{a@1=b}"},
		{";;a = b;;", "{a@1=b}"},
	};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct config_node *root = NULL;
		struct error err = ERROR_INIT;
		if (config_syntax_parse(good[i].text, strlen(good[i].text), "f", &root, &err) < 0)
			fail_msg("%s: %s", good[i].text, err.message);
		expect_tree(root, good[i].tree);
		config_node_destroy(root);
	}
}

static void mistakes(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
	} bad[] = {
		{"a = b c", "f:1: a value ends with ;"},
		{"\n\na = \"b\n\"", "f:3: this text has no end"},
		{"a = \"b", "f:1: this text has no end"},
		{"a = \"\\", "f:1: this text has no end"},
		{"a = \"\\q\"", "f:1: \\q is no escape"},
		{"a = \"\\u12\"", "f:1: \\u stands before four"},
		{"a = \"\\u0000\"", "f:1: \\u0000 is no letter"},
		{"\ns {\n a = 1\n", "f:2: this section has no end"},
		{"a = [1, 2", "f:1: this list has no end"},
		{"a = [1 2]", "f:1: the parts of a list"},
		{"a = 1\nb = 2\na = 3", "f:3: a: is already set in line 1"},
		{"s { a = 1 }\ns { a = 2 }", "f:2: a: is already set in line 1"},
		{"a = 1\na { b = 2 }", "f:2: a: is already set in line 1"},
		{"a", "f:1: a: its value is missing"},
		{"a\nb = 1", "f:1: a: its value is missing"},
		{"a;", "f:1: a: its value is missing"},
		{"a =", "f:1: something is missing at the end"},
		{"a = ;", "f:1: ';' is not expected"},
		{"}", "f:1: '}' is not expected"},
		{"= b", "f:1: '=' is not expected"},
		{"a = 1 /* b", "f:1: this comment has no end"},
		{".include \"x\"", "f:1: macros"},
		{"{\"a\": 1} b", "f:1: nothing may follow"},
		{"a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{", "f:1: more than 16 sections"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct config_node *root = NULL;
		struct error err = ERROR_INIT;
		assert_int_equal(
			config_syntax_parse(bad[i].text, strlen(bad[i].text), "f", &root, &err),
			-EINVAL);
		assert_null(root);
		if (strncmp(err.message, bad[i].message, strlen(bad[i].message)) != 0)
			fail_msg("%s: '%s'", bad[i].text, err.message);
	}
	struct error err = ERROR_INIT;
	struct config_node *root = NULL;
	assert_int_equal(config_syntax_parse("a = \0b", 6, "f", &root, &err), -EINVAL);
	assert_int_equal(config_syntax_read("/nonexistent/x", &root, &err), -ENOENT);
}

/* Every prefix of a text, and every text with one byte changed, is read or refused. */
static void damaged_texts(void **state)
{
	(void)state;
	static const char text[] =
		"a = \"b\\u00e9\"; s 'n' { l = [1, {x: y}]; /* c */ k v\n} # e\n";
	for (size_t length = 0; length < sizeof(text); length++) {
		char *copy = malloc(
			length ? length : 1); /* exact, so that a sanitizer sees an overrun */
		assert_non_null(copy);
		memcpy(copy, text, length);
		for (size_t i = 0; i < length; i++)
			for (const char *c = "\"\\{}[]=;#/*\n"; *c; c++) {
				struct config_node *root = NULL;
				struct error err = ERROR_INIT;
				char old = copy[i];
				copy[i] = *c;
				int rc = config_syntax_parse(copy, length, "f", &root, &err);
				assert_true(rc == 0 ? root != NULL : rc == -EINVAL && *err.message);
				config_node_destroy(root);
				copy[i] = old;
			}
		free(copy);
	}
}

static struct config_node *parse(const char *text)
{
	struct config_node *root = NULL;
	assert_int_equal(config_syntax_parse(text, strlen(text), "f", &root, NULL), 0);
	return root;
}

static void merging(void **state)
{
	(void)state;
	struct config_node *root = parse("a = 1; s { b = 2; l = [1, 2] } t = x");
	config_node_merge(root, parse("s {\n l = [3]; c = 4 } t { u = 5 } n = 6"));
	expect_tree(root, "{a@1=1 s@1{b@1=2 l@2[3] c@2=4} t@2{u@2=5} n@2=6}");
	assert_non_null(config_node_find(root, "n"));
	assert_null(config_node_find(root, "m"));
	config_node_destroy(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),
		cmocka_unit_test(mistakes),
		cmocka_unit_test(damaged_texts),
		cmocka_unit_test(merging),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
