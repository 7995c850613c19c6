/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_SPARES_H
#define LAUNCHER_LINK_SPARES_H

#include <stdbool.h>
#include <uv.h>

#include "launcher/link/remover.h"
#include "launcher/link/tap.h"

/*
 * The taps that are kept ready. A tap costs some 0.7 ms, and what makes it waits for others that
 * change the network's devices: so the spare ones are made on a thread of libuv's pool, a few at a
 * time, with a netlink socket of its own.
 */
struct spares {
	uv_loop_t *loop;
	struct tap_plan *plan;
	struct remover *remover; /* takes those that come too late */
	unsigned wanted;
	bool headers;
	struct tap_list list; /* the loop thread's */
	uv_timer_t timer;
	uv_work_t work;
	bool busy;
	struct tap_list batch; /* the worker's, while busy */
	unsigned batch_size;   /* as many as it is to hold */
	int batch_failure;     /* 0, or why there are fewer */
	void (*finished)(void *ctx);
	void *ctx;
};

void spares_init(struct spares *spares, uv_loop_t *loop, struct tap_plan *plan,
	struct remover *remover, unsigned wanted, bool headers);
/* Makes as many as are wanted, now. */
int spares_fill(struct spares *spares, struct netlink *netlink, struct error *err);
/* Has there be as many as wanted, soon. */
void spares_refill(struct spares *spares);
/* Takes one, for a guest from now on; false where there is none (left: somebody may have deleted
 * them by hand). */
bool spares_take(struct spares *spares, struct tap *out);
/* Whether there is none, and some are made, or about to be: the last try has not failed. */
bool spares_awaited(const struct spares *spares);
/* Gives all to the remover. `finished` is called in a later turn, and nothing is called then. */
void spares_finish(struct spares *spares, void (*finished)(void *ctx), void *ctx);

#endif
