/* SPDX-License-Identifier: ISC */
#include "daemon/json_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

json_t *json_text(const char *text)
{
	return json_text_of(text, strlen(text));
}

json_t *json_text_of(const char *data, size_t length)
{
	json_t *text = json_stringn(data, length);
	if (text)
		return text;
	CLEANUP(free) char *copy = malloc(length);
	if (!copy)
		return NULL;
	for (size_t i = 0; i < length; i++)
		copy[i] = data[i] > 0 ? data[i] : '?';
	return json_stringn(copy, length);
}
