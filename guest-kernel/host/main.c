/* SPDX-License-Identifier: ISC */
#include "guest-kernel/host/host.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest-kernel/kernel/words.h"

/* include/app.h on Linux: the start, and the part that needs no network. */

#define NS_PER_US 1000
#define NS_PER_MS 1000000ull
#define PATH_SIZE 4096

bool app_word(struct app *app, const char *name, char *out, size_t size)
{
	return word_value(app->command_line, name, out, size);
}

const void *app_initrd(struct app *app, size_t *size)
{
	*size = app->initrd_size;
	return app->initrd;
}

static void log_line(const char *format, va_list args)
{
	char line[512];
	vsnprintf(line, sizeof(line), format, args);
	fprintf(stderr, "summond: %s\n", line);
}

void app_log(struct app *app, const char *format, ...)
{
	(void)app;
	va_list args;
	va_start(args, format);
	log_line(format, args);
	va_end(args);
}

void app_ready(struct app *app)
{
	if (app->ready)
		return;
	app->ready = true;
	app_log(app, "ready after %" PRIu64 " us", app_now(app) / NS_PER_US);
}

/* A process is not kept. */
void app_on_resume(struct app *app, void (*resumed)(void *context), void *context)
{
	(void)app, (void)resumed, (void)context;
}

void app_exit(struct app *app, int status)
{
	app->status = status;
	uv_stop(&app->loop);
}

uint64_t app_now(struct app *app)
{
	return uv_hrtime() - app->started;
}

struct app_timer {
	uv_timer_t timer;
	void (*fired)(void *context);
	void *context;
};

static void timer_fired(uv_timer_t *handle)
{
	struct app_timer *timer = handle->data;
	timer->fired(timer->context);
}

struct app_timer *app_timer_create(struct app *app, void (*fired)(void *context), void *context)
{
	struct app_timer *timer = calloc(1, sizeof(*timer));
	if (!timer)
		return NULL;
	*timer = (struct app_timer){.fired = fired, .context = context};
	uv_timer_init(&app->loop, &timer->timer);
	timer->timer.data = timer;
	return timer;
}

void app_timer_start(struct app_timer *timer, uint64_t ns)
{
	uv_timer_start(&timer->timer, timer_fired, (ns + NS_PER_MS - 1) / NS_PER_MS, 0);
}

void app_timer_stop(struct app_timer *timer)
{
	uv_timer_stop(&timer->timer);
}

static void timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void app_timer_destroy(struct app_timer *timer)
{
	if (timer)
		uv_close((uv_handle_t *)&timer->timer, timer_closed);
}

static char *join_arguments(int count, char **arguments)
{
	size_t size = 1;
	for (int i = 1; i < count; i++)
		size += strlen(arguments[i]) + 1;
	char *line = malloc(size);
	if (!line)
		return NULL;
	char *end = line;
	for (int i = 1; i < count; i++)
		end += sprintf(end, "%s ", arguments[i]);
	*end = '\0';
	return line;
}

/* Reads all of a file; 0, or a negative errno value. */
static int read_file(const char *path, void **data, size_t *size)
{
	FILE *file = fopen(path, "rb");
	if (!file)
		return -errno;
	int result = 0;
	long length = -1;
	if (fseek(file, 0, SEEK_END) == 0 && (length = ftell(file)) >= 0)
		rewind(file);
	*data = length < 0 ? NULL : malloc((size_t)length + 1);
	if (!*data || fread(*data, 1, (size_t)length, file) != (size_t)length)
		result = -EIO;
	*size = result ? 0 : (size_t)length;
	fclose(file);
	return result;
}

static void on_signal(uv_signal_t *handle, int number)
{
	(void)number;
	app_exit(handle->data, 0);
}

static int start(struct app *app, int count, char **arguments)
{
	static const int numbers[] = {SIGTERM, SIGINT};
	char path[PATH_SIZE];
	int result = uv_loop_init(&app->loop);
	if (result < 0)
		return result;
	app->command_line = join_arguments(count, arguments);
	if (!app->command_line)
		return -ENOMEM;
	if (app_word(app, "initrd", path, sizeof(path)))
		result = read_file(path, &app->initrd, &app->initrd_size);
	if (result < 0) {
		app_log(app, "initrd=%s: %s", path, strerror(-result));
		return result;
	}
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uv_signal_init(&app->loop, &app->signals[i]);
		app->signals[i].data = app;
		uv_signal_start(&app->signals[i], on_signal, numbers[i]);
	}
	return app_main(app);
}

/* What the application allocated in app_main() lives until the process ends, as in a guest. */
int main(int count, char **arguments)
{
	static struct app app;
	app.started = uv_hrtime();
	int result = start(&app, count, arguments);
	if (result < 0) {
		app_log(&app, "the application does not start: %s", strerror(-result));
		return EXIT_FAILURE;
	}
	uv_run(&app.loop, UV_RUN_DEFAULT);
	return app.status ? EXIT_FAILURE : EXIT_SUCCESS;
}
