/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <inttypes.h>

#include "guest-kernel/include/app.h"
#include "guest-kernel/kernel/words.h"

/* The part of include/app.h that is written once, over the rest of it. */

int app_number(struct app *app, const char *name, uint32_t min, uint32_t max, uint32_t otherwise,
	uint32_t *out)
{
	char text[16];
	if (!app_word(app, name, text, sizeof(text))) {
		*out = otherwise;
		return 0;
	}
	if (number_read(text, min, max, out))
		return 0;
	app_log(app, "%s=%s is not a number from %" PRIu32 " to %" PRIu32, name, text, min, max);
	return -EINVAL;
}
