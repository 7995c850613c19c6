/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "guest-kernel/apps/work.h"
#include "guest-kernel/include/app.h"

/* The smallest application: is there, counts, answers pings. The word panic=1 has it crash after a
 * while, to see what a crash looks like; work=500ms has it compute for so long before it is ready. */

#define INTERVAL_NS 10000000000ull
#define CRASH_NS    50000000ull

struct hello {
	struct app *app;
	struct app_timer *timer;
	uint32_t crash;
	unsigned count;
};

/* Page zero is not mapped. Not inlined, so that the backtrace names it. */
__attribute__((noinline)) static void crash_on_purpose(void)
{
	volatile unsigned *nowhere = (volatile unsigned *)(uintptr_t)8;
	__asm__("" : "+r"(nowhere)); /* or the compiler knows better than to do it */
	*nowhere = 1;
}

static void tick(void *context)
{
	struct hello *hello = context;
	if (hello->crash)
		crash_on_purpose();
	app_log(hello->app, "hello, %u times 10 seconds now", ++hello->count);
	app_timer_start(hello->timer, INTERVAL_NS);
}

int app_main(struct app *app)
{
	struct hello *hello = calloc(1, sizeof(*hello));
	if (!hello)
		return -ENOMEM;
	hello->app = app;
	hello->timer = app_timer_create(app, tick, hello);
	if (!hello->timer || app_number(app, "panic", 0, 1, 0, &hello->crash) < 0 ||
		work_before_ready(app) < 0) {
		app_timer_destroy(hello->timer);
		free(hello);
		return -EINVAL;
	}
	app_timer_start(hello->timer, hello->crash ? CRASH_NS : INTERVAL_NS);
	app_ready(app);
	return 0;
}
