/* SPDX-License-Identifier: ISC */
#include "base/config_syntax.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define DEPTH_MAX 16

CLEANUP_DEFINE(config_node_destroy, struct config_node *, config_node_destroy)

struct parser {
	const char *at, *end;
	const char *file;
	unsigned line;
	unsigned depth;
	struct error *err;
};

#define FAIL(parser, ...) fail_at(parser, (parser)->line, __VA_ARGS__)

__attribute__((format(printf, 3, 4))) static int fail_at(
	struct parser *p, unsigned line, const char *format, ...)
{
	char message[400];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	return error_set(p->err, -EINVAL, "%s:%u: %s", p->file, line, message);
}

static struct config_node *node_create(const struct parser *p, enum config_kind kind)
{
	struct config_node *node = calloc(1, sizeof(*node));
	if (!node)
		return NULL;
	node->kind = kind;
	node->line = p->line;
	node->file = strdup(p->file);
	if (!node->file) {
		free(node);
		return NULL;
	}
	return node;
}

/* --- words --- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Skips blanks and comments. Returns whether a line ended, or -EINVAL. */
static int skip(struct parser *p)
{
	int ended = 0;
	for (; p->at < p->end; p->at++) {
		if (*p->at == '\n') {
			p->line++;
			ended = 1;
		} else if (*p->at == '#') {
			while (p->at + 1 < p->end && p->at[1] != '\n')
				p->at++;
		} else if (p->end - p->at >= 2 && p->at[0] == '/' && p->at[1] == '*') {
			const char *close =
				memmem(p->at + 2, (size_t)(p->end - p->at - 2), "*/", 2);
			if (!close)
				return FAIL(p, "this comment has no end: */ is missing");
			for (; p->at < close; p->at++)
				p->line += *p->at == '\n';
			p->at = close + 1;
		} else if (!is_space(*p->at)) {
			return ended;
		}
	}
	return 1;
}

static bool next_is(const struct parser *p, char c)
{
	return p->at < p->end && *p->at == c;
}

static bool take(struct parser *p, char c)
{
	if (!next_is(p, c))
		return false;
	p->at++;
	return true;
}

/* The letters of a \uXXXX escape as UTF-8. Surrogate pairs are not put together: such a letter can
 * be written as itself. */
static int read_unicode(struct parser *p, char **to)
{
	unsigned code = 0;
	for (int i = 0; i < 4; i++, p->at++) {
		if (p->at == p->end || !isxdigit((unsigned char)*p->at))
			return FAIL(p, "\\u stands before four hexadecimal digits");
		code = code * 16 +
		       (unsigned)(*p->at <= '9' ? *p->at - '0' : (*p->at | 32) - 'a' + 10);
	}
	if (code == 0 || (code >= 0xd800 && code < 0xe000))
		return FAIL(p, "\\u%04x is no letter: write the letter itself", code);
	if (code < 0x80) {
		*(*to)++ = (char)code;
	} else if (code < 0x800) {
		*(*to)++ = (char)(0xc0 | code >> 6);
		*(*to)++ = (char)(0x80 | (code & 0x3f));
	} else {
		*(*to)++ = (char)(0xe0 | code >> 12);
		*(*to)++ = (char)(0x80 | (code >> 6 & 0x3f));
		*(*to)++ = (char)(0x80 | (code & 0x3f));
	}
	return 0;
}

static int read_escape(struct parser *p, char **to)
{
	static const char escapes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
	if (p->at == p->end)
		return FAIL(p, "this text has no end: a quote is missing");
	char c = *p->at++;
	if (c == 'u')
		return read_unicode(p, to);
	for (const char *escape = escapes; *escape; escape += 2)
		if (*escape == c) {
			*(*to)++ = escape[1];
			return 0;
		}
	return FAIL(p, "\\%c is no escape: write \\\\ for a backslash", c);
}

/* Text in quotes. No escape is shorter than what it stands for, so the text fits its source. */
static int read_quoted(struct parser *p, char **out)
{
	char quote = *p->at++;
	unsigned begin = p->line;
	CLEANUP(free) char *text = malloc((size_t)(p->end - p->at) + 1);
	if (!text)
		return error_set(p->err, -ENOMEM, "no memory");
	char *to = text;
	while (p->at < p->end && *p->at != quote) {
		char c = *p->at++;
		if (c == '\n' || c == '\0')
			return fail_at(p, begin, "this text has no end: a quote is missing");
		if (c == '\\' && quote == '"') {
			int rc = read_escape(p, &to);
			if (rc < 0)
				return rc;
		} else {
			*to++ = c;
		}
	}
	if (!take(p, quote))
		return fail_at(p, begin, "this text has no end: a quote is missing");
	*to = '\0';
	*out = strdup(text);
	return *out ? 0 : error_set(p->err, -ENOMEM, "no memory");
}

static int read_bare(struct parser *p, const char *stops, char **out)
{
	const char *begin = p->at;
	while (p->at < p->end && *p->at && !is_space(*p->at) && !strchr(stops, *p->at))
		p->at++;
	if (p->at == begin)
		return p->at == p->end ? FAIL(p, "something is missing at the end of the file")
				       : FAIL(p, "'%c' is not expected here",
						 isprint((unsigned char)*p->at) ? *p->at : '?');
	*out = strndup(begin, (size_t)(p->at - begin));
	return *out ? 0 : error_set(p->err, -ENOMEM, "no memory");
}

static int read_word(struct parser *p, const char *stops, char **out)
{
	if (next_is(p, '"') || next_is(p, '\''))
		return read_quoted(p, out);
	return read_bare(p, stops, out);
}

/* --- sentences --- */

#define KEY_STOPS   "=:;,{}[]\"'#"
#define VALUE_STOPS ";,{}[]\"'#"

static int read_value(struct parser *p, struct config_node **out);
static int read_members(struct parser *p, struct config_node *section, bool to_the_end);

static int read_list(struct parser *p, struct config_node *list)
{
	for (;;) {
		if (skip(p) < 0)
			return -EINVAL;
		if (take(p, ']'))
			return 0;
		if (p->at == p->end)
			return fail_at(p, list->line, "this list has no end: ] is missing");
		struct config_node *item;
		int rc = read_value(p, &item);
		if (rc < 0)
			return rc;
		config_node_append(list, item);
		if (skip(p) < 0)
			return -EINVAL;
		if (!take(p, ',') && !next_is(p, ']') && p->at < p->end)
			return FAIL(p, "the parts of a list have a comma between them");
	}
}

static int read_value(struct parser *p, struct config_node **out)
{
	enum config_kind kind = next_is(p, '[')   ? CONFIG_LIST
				: next_is(p, '{') ? CONFIG_SECTION
						  : CONFIG_TEXT;
	CLEANUP(config_node_destroy) struct config_node *node = node_create(p, kind);
	if (!node)
		return error_set(p->err, -ENOMEM, "no memory");
	if (p->depth == DEPTH_MAX)
		return FAIL(p, "more than %d sections and lists within one another", DEPTH_MAX);
	p->depth++;
	int rc;
	if (kind == CONFIG_TEXT) {
		rc = read_word(p, VALUE_STOPS, &node->text);
	} else {
		p->at++;
		rc = kind == CONFIG_LIST ? read_list(p, node) : read_members(p, node, false);
	}
	p->depth--;
	if (rc == 0)
		*out = STEAL_POINTER(node);
	return rc;
}

/* Adds a member, or joins a section with the one of the same name. Takes over both. */
static int add_member(
	struct parser *p, struct config_node *section, char *key, struct config_node *value)
{
	struct config_node *old = config_node_find(section, key);
	value->key = key;
	if (!old) {
		config_node_append(section, value);
		return 0;
	}
	int rc = 0;
	if (old->kind != CONFIG_SECTION || value->kind != CONFIG_SECTION)
		rc = fail_at(p, value->line, "%s: is already set in line %u", key, old->line);
	while (rc == 0 && value->first) {
		struct config_node *child = value->first;
		value->first = child->next;
		rc = add_member(p, old, STEAL_POINTER(child->key), child);
	}
	config_node_destroy(value);
	return rc;
}

/* `section name { ... }` is `section { name { ... } }`. */
static int wrap(struct parser *p, char **key, struct config_node **value)
{
	struct config_node *outer = node_create(p, CONFIG_SECTION);
	if (!outer)
		return error_set(p->err, -ENOMEM, "no memory");
	outer->line = (*value)->line;
	(*value)->key = STEAL_POINTER(*key);
	config_node_append(outer, *value);
	*value = outer;
	return 0;
}

/* What stands behind a key that has no = or : is a value, or the name of a section. */
static int read_unmarked(struct parser *p, char **label, struct config_node **value)
{
	if (next_is(p, '{') || next_is(p, '['))
		return read_value(p, value);
	int rc = read_value(p, value);
	if (rc < 0)
		return rc;
	const char *at = p->at;
	unsigned line = p->line;
	if (skip(p) < 0)
		return -EINVAL;
	if (!next_is(p, '{')) {
		p->at = at; /* the end of the line, which was skipped, ends the member */
		p->line = line;
		return 0;
	}
	*label = STEAL_POINTER((*value)->text);
	config_node_destroy(STEAL_POINTER(*value));
	return read_value(p, value);
}

static int read_member(struct parser *p, struct config_node *section)
{
	CLEANUP(free) char *key = NULL, *label = NULL;
	CLEANUP(config_node_destroy) struct config_node *value = NULL;
	unsigned line = p->line;
	if (next_is(p, '.'))
		return FAIL(p, "macros such as .include are not read here");
	int rc = read_word(p, KEY_STOPS, &key);
	if (rc < 0)
		return rc;
	int ended = skip(p);
	if (ended < 0)
		return ended;
	bool marked = take(p, '=') || take(p, ':');
	if (!marked && !next_is(p, '{') && (ended || p->at == p->end || strchr(";,}]", *p->at)))
		return fail_at(
			p, line, "%.100s: its value is missing: write %.100s = ...", key, key);
	if (marked && skip(p) < 0)
		return -EINVAL;
	rc = marked ? read_value(p, &value) : read_unmarked(p, &label, &value);
	if (rc < 0)
		return rc;
	value->line = line;
	if (label && (rc = wrap(p, &label, &value)) < 0)
		return rc;
	return add_member(p, section, STEAL_POINTER(key), STEAL_POINTER(value));
}

/* The members of a section up to its }, or of the root up to the end of the text. */
static int read_members(struct parser *p, struct config_node *section, bool to_the_end)
{
	for (;;) {
		if (skip(p) < 0)
			return -EINVAL;
		if (p->at == p->end && to_the_end)
			return 0;
		if (p->at == p->end)
			return fail_at(p, section->line, "this section has no end: } is missing");
		if (!to_the_end && take(p, '}'))
			return 0;
		if (take(p, ';') || take(p, ','))
			continue;
		int rc = read_member(p, section);
		if (rc < 0)
			return rc;
		bool section_ended = p->at[-1] == '}'; /* it needs nothing behind it */
		int ended = skip(p);
		if (ended < 0)
			return ended;
		if (!ended && !section_ended && p->at < p->end && !strchr(";,}", *p->at))
			return FAIL(p, "a value ends with ; or with its line, and stands in quotes "
				       "where it has blanks");
	}
}

int config_syntax_parse(const char *text, size_t length, const char *file, struct config_node **out,
	struct error *err)
{
	struct parser p = {.at = text, .end = text + length, .file = file, .line = 1, .err = err};
	CLEANUP(config_node_destroy) struct config_node *root = node_create(&p, CONFIG_SECTION);
	if (!root)
		return error_set(err, -ENOMEM, "no memory");
	if (skip(&p) < 0)
		return -EINVAL;
	bool braces = take(&p, '{'); /* JSON */
	int rc = read_members(&p, root, !braces);
	if (rc < 0)
		return rc;
	if (skip(&p) < 0)
		return -EINVAL;
	if (p.at < p.end)
		return FAIL(&p, "nothing may follow the last }");
	*out = STEAL_POINTER(root);
	return 0;
}

int config_syntax_read(const char *path, struct config_node **out, struct error *err)
{
	CLEANUP(fclose) FILE *file = fopen(path, "re");
	if (!file)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	CLEANUP(free) char *text = malloc(CONFIG_FILE_MAX + 1);
	if (!text)
		return error_set(err, -ENOMEM, "no memory");
	size_t length = fread(text, 1, CONFIG_FILE_MAX + 1, file);
	if (ferror(file))
		return error_set(err, -EIO, "%s: cannot be read: %s", path, strerror(errno));
	if (length > CONFIG_FILE_MAX)
		return error_set(err, -E2BIG, "%s: is larger than 1MiB", path);
	return config_syntax_parse(text, length, path, out, err);
}
