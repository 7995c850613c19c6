/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_TIMER_H
#define DAEMON_TIMER_H

#include <stdint.h>
#include <uv.h>

/* One-shot timers whose owner needs no close callback of libuv's: a timer is gone when it has
 * fired or was cancelled. Millisecond resolution, rounded up. */
struct timer;
typedef void (*timer_fn)(void *ctx);

/* Calls fire(ctx) once, `after` nanoseconds from now, after setting *owner to NULL. *owner must be
 * NULL or a live timer, which is cancelled first. On -ENOMEM *owner is NULL. */
int timer_start(uv_loop_t *loop, struct timer **owner, uint64_t after, timer_fn fire, void *ctx);
/* *owner may be NULL and is afterwards. */
void timer_cancel(struct timer **owner);

#endif
