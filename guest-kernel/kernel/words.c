/* SPDX-License-Identifier: ISC */
#include "guest-kernel/kernel/words.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

void word_each(const char *line, const char *name,
	bool (*found)(void *context, const char *value, size_t size), void *context)
{
	size_t length = strlen(name);
	while (*line) {
		if (is_blank(*line)) {
			line++;
			continue;
		}
		size_t size = 0;
		while (line[size] && !is_blank(line[size]))
			size++;
		if (size > length && line[length] == '=' && memcmp(line, name, length) == 0 &&
			!found(context, line + length + 1, size - length - 1))
			return;
		line += size;
	}
}

struct copy {
	char *out;
	size_t size;
	bool done;
};

static bool copy_first(void *context, const char *value, size_t size)
{
	struct copy *copy = context;
	if (size < copy->size) {
		memcpy(copy->out, value, size);
		copy->out[size] = '\0';
		copy->done = true;
	}
	return false;
}

bool word_value(const char *line, const char *name, char *out, size_t size)
{
	struct copy copy = {out, size, false};
	if (size)
		out[0] = '\0';
	word_each(line, name, copy_first, &copy);
	return copy.done;
}

bool number_read(const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t value = 0;
	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > max)
			return false;
	}
	*out = (uint32_t)value;
	return value >= min;
}
