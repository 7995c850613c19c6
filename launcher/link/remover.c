/* SPDX-License-Identifier: ISC */
#include "launcher/link/remover.h"

#include <unistd.h>

#include "launcher/link/device.h"

static void delete_batch(uv_work_t *work)
{
	struct remover *remover = work->data;
	struct netlink netlink;
	if (netlink_open(&netlink, NULL) < 0)
		return;
	for (size_t i = 0; i < remover->batch.count; i++)
		device_delete(&netlink, remover->batch.items[i].index);
	netlink_close(&netlink);
}

static void start_batch(struct remover *remover);

static void end_batch(uv_work_t *work, int status)
{
	(void)status; /* never cancelled */
	struct remover *remover = work->data;
	remover->busy = false;
	tap_list_finish(&remover->batch);
	start_batch(remover);
	if (!remover->busy && remover->finished)
		remover->finished(remover->ctx);
}

static void start_batch(struct remover *remover)
{
	if (remover->busy || remover->pending.count == 0)
		return;
	remover->batch = remover->pending;
	remover->pending = (struct tap_list){0};
	remover->work.data = remover;
	if (uv_queue_work(remover->loop, &remover->work, delete_batch, end_batch) == 0)
		remover->busy = true;
	else
		tap_list_finish(&remover->batch);
}

void remover_init(struct remover *remover, uv_loop_t *loop)
{
	*remover = (struct remover){.loop = loop};
}

void remover_add(struct remover *remover, const struct tap *device)
{
	if (tap_list_add(&remover->pending, device) == 0)
		start_batch(remover);
	else if (device->fd >= 0)
		close(device->fd);
}

void remover_finish(struct remover *remover, void (*finished)(void *ctx), void *ctx)
{
	remover->finished = finished;
	remover->ctx = ctx;
	if (!remover->busy)
		finished(ctx);
}
