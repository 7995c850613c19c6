/* SPDX-License-Identifier: ISC */
#include "tests/vmm/launched.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define HANG_MS 20000
#define TICK_MS 10

static void on_hang(uv_timer_t *timer)
{
	const struct launched *launched = timer->data;
	fail_msg("nothing happens%s", launched->doing ? launched->doing(launched->ctx) : "");
}

static void on_tick(uv_timer_t *timer)
{
	(void)timer;
}

static void on_closed(void *ctx)
{
	((struct launched *)ctx)->closed = true;
}

int launched_init(struct launched *launched, const char *name)
{
	*launched = (struct launched){0};
	snprintf(launched->state_dir, sizeof(launched->state_dir), "/tmp/summond-%s-XXXXXX", name);
	if (!mkdtemp(launched->state_dir) || uv_loop_init(&launched->loop) < 0)
		return -1;
	uv_timer_init(&launched->loop, &launched->hang);
	uv_timer_init(&launched->loop, &launched->tick);
	launched->hang.data = launched;
	return 0;
}

int launched_finish(struct launched *launched)
{
	launched_close(launched);
	uv_close((uv_handle_t *)&launched->hang, NULL);
	uv_close((uv_handle_t *)&launched->tick, NULL);
	uv_run(&launched->loop, UV_RUN_DEFAULT);
	return uv_loop_close(&launched->loop) < 0 || rmdir(launched->state_dir) < 0 ? -1 : 0;
}

int launched_create(struct launched *launched, const struct launcher_setting settings[3],
	launcher_event_fn on_event, void *ctx, struct error *err)
{
	const struct launcher_config config = {.loop = &launched->loop,
		.identity = "0123456789abcdef",
		.state_dir = launched->state_dir,
		.run_dir = launched->state_dir,
		.settings = settings,
		.setting_count = 3,
		.on_event = on_event,
		.ctx = ctx};
	launched->ctx = ctx;
	return launcher_backend_find("vmm")->create(&config, &launched->launcher, err);
}

void launched_close(struct launched *launched)
{
	if (!launched->launcher)
		return;
	launched->closed = false;
	launched->launcher->ops->destroy(launched->launcher, on_closed, launched);
	LAUNCHED_WAIT(launched, launched->closed);
	launched->launcher = NULL;
}

unsigned launched_count(const char *folder)
{
	unsigned count = 0;
	CLEANUP(closedir) DIR *dir = opendir(folder);
	while (dir && readdir(dir))
		count++;
	return count;
}

bool launched_can_run(const char *monitor, const char *mode)
{
	char check[512];
	snprintf(check, sizeof(check), "%s --check --mode=%s > /dev/null", monitor, mode);
	if (system(check) == 0)
		return true;
	printf("1..0 # SKIP mode %s does not work here\n", mode);
	return false;
}

void launched_begin_wait(struct launched *launched)
{
	uv_timer_start(&launched->hang, on_hang, HANG_MS, 0);
	uv_timer_start(&launched->tick, on_tick, TICK_MS, TICK_MS);
}

void launched_end_wait(struct launched *launched)
{
	uv_timer_stop(&launched->tick);
	uv_timer_stop(&launched->hang);
}
