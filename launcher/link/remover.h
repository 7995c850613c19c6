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
 * A deletion that fails is not told to anybody. Where memory or descriptors were short, it is tried
 * again; what is left of a tap at the end is found by the next life's link_taps_settle.
 */
struct remover {
	uv_loop_t *loop;
	uv_work_t work;
	uv_timer_t again;
	bool busy;
	struct tap_list pending; /* the loop thread's */
	struct tap_list batch;   /* the worker's, while busy; then what could not be deleted */
	void (*finished)(void *ctx);
	void *ctx;
};

void remover_init(struct remover *remover, uv_loop_t *loop);
/* Takes over its descriptor. */
void remover_add(struct remover *remover, const struct tap *device);
/* `finished` is called in a later turn of the loop, when all has been deleted or tried once more.
 * Nothing may be added after this. */
void remover_finish(struct remover *remover, void (*finished)(void *ctx), void *ctx);

#endif
