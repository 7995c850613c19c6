/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_XL_FOUND_H
#define SUMMON_XL_FOUND_H

#include <stddef.h>

#include "base/error.h"
#include "summon-xl/include/protocol.h"

/* What we write down of a guest is no longer than this: longer words are not ours. */
#define SERVICE_MAX 255
#define DEVICE_MAX  15 /* IFNAMSIZ, with its NUL */
#define CONSOLE_MAX 127
#define KEY_MAX     255

struct found_words {
	const char *service, *device, *console, *key; /* "": none */
};

/* The text of a worker's FOUND (work.h). Its size, or -EINVAL where a word is too long. */
int found_text(const struct found_words *words, char text[XL_TEXT_MAX], struct error *err);

#endif
