/* SPDX-License-Identifier: ISC */
#include "summon-xl/found.h"

#include <errno.h>
#include <string.h>

_Static_assert(SERVICE_MAX + DEVICE_MAX + CONSOLE_MAX + KEY_MAX + 4 <= XL_TEXT_MAX,
	"all of them fit in a message");

int found_text(const struct found_words *words, char text[XL_TEXT_MAX], struct error *err)
{
	const struct {
		const char *what, *word;
		size_t most;
	} all[] = {{"service", words->service, SERVICE_MAX}, {"device", words->device, DEVICE_MAX},
		{"console", words->console, CONSOLE_MAX}, {"ready key", words->key, KEY_MAX}};
	size_t used = 0;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		size_t length = strlen(all[i].word);
		if (length > all[i].most)
			return error_set(err, -EINVAL, "its %s has %zu characters: at most %zu",
				all[i].what, length, all[i].most);
		memcpy(text + used, all[i].word, length + 1);
		used += length + 1;
	}
	return (int)used;
}
