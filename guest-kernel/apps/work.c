/* SPDX-License-Identifier: ISC */
#include "guest-kernel/apps/work.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS 1000000ull
#define MOST_MS   60000

int work_before_ready(struct app *app)
{
	char text[16], *unit;
	if (!app_word(app, "work", text, sizeof(text)))
		return 0;
	unsigned long ms = strtoul(text, &unit, 10);
	if (unit == text || strcmp(unit, "ms") != 0 || ms > MOST_MS) {
		app_log(app, "work= is not a time like 500ms, at most %ums", MOST_MS);
		return -EINVAL;
	}
	uint64_t end = app_now(app) + ms * NS_PER_MS;
	while (app_now(app) < end)
		;
	app_log(app, "has worked for %lu ms", ms);
	return 0;
}
