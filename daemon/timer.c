/* SPDX-License-Identifier: ISC */
#include "daemon/timer.h"

#include <errno.h>
#include <stdlib.h>

#include "base/units.h"

struct timer {
	uv_timer_t handle;
	struct timer **owner;
	timer_fn fire;
	void *ctx;
};

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void on_timer(uv_timer_t *handle)
{
	struct timer *timer = handle->data;
	timer_fn fire = timer->fire;
	void *ctx = timer->ctx;
	timer_cancel(timer->owner);
	fire(ctx);
}

int timer_start(uv_loop_t *loop, struct timer **owner, uint64_t after, timer_fn fire, void *ctx)
{
	timer_cancel(owner);
	struct timer *timer = calloc(1, sizeof(*timer));
	if (!timer)
		return -ENOMEM;
	timer->owner = owner;
	timer->fire = fire;
	timer->ctx = ctx;
	uv_timer_init(loop, &timer->handle);
	timer->handle.data = timer;
	uint64_t ms = after / NS_PER_MS + (after % NS_PER_MS != 0);
	uv_update_time(loop);
	uv_timer_start(&timer->handle, on_timer, ms, 0);
	*owner = timer;
	return 0;
}

void timer_cancel(struct timer **owner)
{
	struct timer *timer = *owner;
	if (!timer)
		return;
	*owner = NULL;
	uv_close((uv_handle_t *)&timer->handle, on_closed);
}
