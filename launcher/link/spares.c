/* SPDX-License-Identifier: ISC */
#include "launcher/link/spares.h"

#include <unistd.h>

#include "base/urgency.h"

/* Not while the summon that took one is being served; but in a storm, when none is left, at once. */
#define DELAY_MS 10
#define RETRY_MS 1000
#define BATCH    8

/* While it has the lock of the kernel's network devices, which the loop needs for each start, it is not
 * to wait for a processor behind all the guests that start. */
static void make_batch(uv_work_t *work)
{
	struct spares *spares = work->data;
	struct netlink netlink;
	struct tap tap;
	int before = urgency_borrow();
	spares->batch_failure = netlink_open(&netlink, NULL);
	while (spares->batch_failure == 0 && spares->batch.count < spares->batch_size) {
		/* Who takes a tap while there is no spare one hears why none can be made. */
		spares->batch_failure =
			tap_make(&netlink, spares->plan, spares->headers, &tap, NULL);
		if (spares->batch_failure == 0)
			spares->batch_failure = tap_list_add(&spares->batch, &tap);
	}
	netlink_close(&netlink);
	urgency_return(before);
}

static void give_back(struct spares *spares, struct tap_list *list)
{
	while (list->count > 0) {
		struct tap tap = tap_list_take(list, list->count - 1);
		remover_add(spares->remover, &tap);
	}
}

static void timer_closed(uv_handle_t *handle)
{
	struct spares *spares = handle->data;
	tap_list_finish(&spares->list);
	tap_list_finish(&spares->batch);
	spares->finished(spares->ctx);
}

static void close_timer(struct spares *spares)
{
	give_back(spares, &spares->batch);
	uv_close((uv_handle_t *)&spares->timer, timer_closed);
}

static void end_batch(uv_work_t *work, int status)
{
	(void)status; /* never cancelled */
	struct spares *spares = work->data;
	spares->busy = false;
	if (spares->finished) {
		close_timer(spares);
		return;
	}
	while (spares->batch.count > 0) {
		struct tap tap = tap_list_take(&spares->batch, spares->batch.count - 1);
		if (tap_list_add(&spares->list, &tap) < 0)
			remover_add(spares->remover, &tap);
	}
	spares_refill(spares);
}

static void start_batch(uv_timer_t *timer)
{
	struct spares *spares = timer->data;
	if (spares->busy || spares->list.count >= spares->wanted)
		return;
	unsigned missing = spares->wanted - (unsigned)spares->list.count;
	spares->batch_size = missing < BATCH ? missing : BATCH;
	spares->batch_failure = 0;
	spares->busy = uv_queue_work(spares->loop, &spares->work, make_batch, end_batch) == 0;
}

void spares_init(struct spares *spares, uv_loop_t *loop, struct tap_plan *plan,
	struct remover *remover, unsigned wanted, bool headers)
{
	*spares = (struct spares){.loop = loop,
		.plan = plan,
		.remover = remover,
		.wanted = wanted,
		.headers = headers};
	uv_timer_init(loop, &spares->timer);
	spares->timer.data = spares->work.data = spares;
}

int spares_fill(struct spares *spares, struct netlink *netlink, struct error *err)
{
	while (spares->list.count < spares->wanted) {
		struct tap tap;
		int rc = tap_make(netlink, spares->plan, spares->headers, &tap, err);
		if (rc < 0)
			return rc;
		rc = tap_list_add(&spares->list, &tap);
		if (rc < 0) {
			remover_add(spares->remover, &tap);
			return error_set(err, rc, "no memory for a tap");
		}
	}
	return 0;
}

void spares_refill(struct spares *spares)
{
	if (spares->busy || spares->list.count >= spares->wanted ||
		uv_is_active((uv_handle_t *)&spares->timer))
		return;
	uint64_t delay = spares->list.count > 0 ? DELAY_MS : 0;
	uv_timer_start(
		&spares->timer, start_batch, spares->batch_failure < 0 ? RETRY_MS : delay, 0);
}

bool spares_awaited(const struct spares *spares)
{
	bool soon = uv_is_active((const uv_handle_t *)&spares->timer) && spares->batch_failure == 0;
	return spares->list.count == 0 && (spares->busy || soon);
}

bool spares_take(struct spares *spares, struct tap *out)
{
	while (spares->list.count > 0) {
		*out = tap_list_take(&spares->list, 0);
		if (tap_open_up(out) == 0)
			return true;
		remover_add(spares->remover, out);
	}
	return false;
}

void spares_finish(struct spares *spares, void (*finished)(void *ctx), void *ctx)
{
	spares->finished = finished;
	spares->ctx = ctx;
	uv_timer_stop(&spares->timer);
	give_back(spares, &spares->list);
	if (!spares->busy)
		close_timer(spares);
}
