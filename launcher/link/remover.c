/* SPDX-License-Identifier: ISC */
#include "launcher/link/remover.h"

#include <errno.h>
#include <unistd.h>

#include "base/urgency.h"
#include "launcher/link/device.h"

#define AGAIN_MS 1000

/* Whether it is to be tried again: the device is there, and we may. */
static bool delete_one(struct netlink *netlink, struct tap *device)
{
	int rc = device_delete(netlink, device->index);
	if (device->fd >= 0)
		close(device->fd);
	device->fd = -1;
	return rc < 0 && rc != -ENODEV && rc != -EPERM;
}

static void delete_batch(uv_work_t *work)
{
	struct remover *remover = work->data;
	struct tap_list *batch = &remover->batch;
	struct netlink netlink;
	size_t left = 0;
	if (netlink_open(&netlink, NULL) < 0)
		return;
	int before = urgency_borrow(); /* it has a lock that the loop needs */
	for (size_t i = 0; i < batch->count; i++)
		if (delete_one(&netlink, &batch->items[i]))
			batch->items[left++] = batch->items[i];
	batch->count = left;
	netlink_close(&netlink);
	urgency_return(before);
}

/* Without memory to do it elsewhere. */
static void delete_here(struct tap *device)
{
	struct netlink netlink;
	if (netlink_open(&netlink, NULL) == 0)
		delete_one(&netlink, device);
	else if (device->fd >= 0)
		close(device->fd);
	netlink_close(&netlink);
}

static void start_batch(struct remover *remover);

static void on_again(uv_timer_t *timer)
{
	start_batch(timer->data);
}

static void keep(struct remover *remover, struct tap_list *left)
{
	for (size_t i = 0; i < left->count; i++)
		if (tap_list_add(&remover->pending, &left->items[i]) < 0)
			delete_here(&left->items[i]);
	left->count = 0;
	tap_list_finish(left);
	uv_timer_start(&remover->again, on_again, AGAIN_MS, 0);
}

static void timer_closed(uv_handle_t *handle)
{
	struct remover *remover = handle->data;
	tap_list_finish(&remover->pending);
	remover->finished(remover->ctx);
}

static void end_batch(uv_work_t *work, int status)
{
	(void)status; /* never cancelled */
	struct remover *remover = work->data;
	bool failed = remover->batch.count > 0;
	remover->busy = false;
	if (failed && !remover->finished)
		keep(remover, &remover->batch);
	else
		tap_list_finish(&remover->batch);
	if (!failed)
		start_batch(remover);
	if (!remover->busy && remover->finished)
		uv_close((uv_handle_t *)&remover->again, timer_closed);
}

static void start_batch(struct remover *remover)
{
	if (remover->busy || remover->pending.count == 0)
		return;
	remover->batch = remover->pending;
	remover->pending = (struct tap_list){0};
	uv_queue_work(remover->loop, &remover->work, delete_batch, end_batch);
	remover->busy = true;
}

void remover_init(struct remover *remover, uv_loop_t *loop)
{
	*remover = (struct remover){.loop = loop};
	uv_timer_init(loop, &remover->again);
	remover->work.data = remover->again.data = remover;
}

void remover_add(struct remover *remover, const struct tap *device)
{
	struct tap copy = *device;
	if (tap_list_add(&remover->pending, device) == 0)
		start_batch(remover);
	else
		delete_here(&copy);
}

void remover_finish(struct remover *remover, void (*finished)(void *ctx), void *ctx)
{
	remover->finished = finished;
	remover->ctx = ctx;
	uv_timer_stop(&remover->again);
	start_batch(remover);
	if (!remover->busy)
		uv_close((uv_handle_t *)&remover->again, timer_closed);
}
