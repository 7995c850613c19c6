/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include <lwip/timeouts.h>

#include "guest-kernel/kernel/app_kernel.h"
#include "guest-kernel/kernel/clock.h"
#include "guest-kernel/kernel/console.h"
#include "guest-kernel/kernel/words.h"

#define NS_PER_MS 1000000ull

/* include/app.h, the part that needs no network. */

bool app_word(struct app *app, const char *name, char *out, size_t size)
{
	return word_value(app->boot.command_line, name, out, size);
}

const void *app_initrd(struct app *app, size_t *size)
{
	*size = app->boot.initrd_size;
	return app->boot.initrd;
}

void app_log(struct app *app, const char *format, ...)
{
	(void)app;
	va_list args;
	va_start(args, format);
	console_line_va(format, args);
	va_end(args);
}

void app_ready(struct app *app)
{
	app->ready = true;
}

void app_exit(struct app *app, int status)
{
	app->exiting = true;
	app->status = status;
}

void app_on_resume(struct app *app, void (*resumed)(void *context), void *context)
{
	app->resumed = resumed;
	app->resumed_context = context;
}

uint64_t app_now(struct app *app)
{
	(void)app;
	return clock_now();
}

struct app_timer {
	void (*fired)(void *context);
	void *context;
};

static void timer_fired(void *argument)
{
	struct app_timer *timer = argument;
	timer->fired(timer->context);
}

struct app_timer *app_timer_create(struct app *app, void (*fired)(void *context), void *context)
{
	(void)app;
	struct app_timer *timer = malloc(sizeof(*timer));
	if (timer)
		*timer = (struct app_timer){fired, context};
	return timer;
}

void app_timer_start(struct app_timer *timer, uint64_t ns)
{
	uint64_t ms = (ns + NS_PER_MS - 1) / NS_PER_MS;
	sys_untimeout(timer_fired, timer);
	sys_timeout(ms < INT32_MAX ? (u32_t)ms : INT32_MAX, timer_fired, timer);
}

void app_timer_stop(struct app_timer *timer)
{
	sys_untimeout(timer_fired, timer);
}

void app_timer_destroy(struct app_timer *timer)
{
	if (!timer)
		return;
	app_timer_stop(timer);
	free(timer);
}
