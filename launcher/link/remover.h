/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_REMOVER_H
#define LAUNCHER_LINK_REMOVER_H

#include <stdbool.h>
#include <uv.h>

#include "launcher/link/tap.h"

/*
 * Deletes devices. The kernel takes some 16 ms for each, most of it waiting for all its processors
 * without holding the lock that other requests need; so it is done on a thread of libuv's pool,
 * one device after another, with a netlink socket of its own.
 *
 * A deletion that fails (the device is gone already, or we may not) is not told to anybody: what
 * is left of a tap is found by the next life's link_taps_settle.
 */
struct remover {
	uv_loop_t *loop;
	uv_work_t work;
	bool busy;
	struct tap_list pending; /* the loop thread's */
	struct tap_list batch;   /* the worker's, while busy */
	void (*finished)(void *ctx);
	void *ctx;
};

void remover_init(struct remover *remover, uv_loop_t *loop);
/* Takes over its descriptor. Without memory it is left out. */
void remover_add(struct remover *remover, const struct tap *device);
/* `finished` is called when all has been deleted: in a later turn of the loop, or, where there is
 * nothing to wait for, at once. Nothing may be added after this. */
void remover_finish(struct remover *remover, void (*finished)(void *ctx), void *ctx);

#endif
