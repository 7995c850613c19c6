/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_WATCH_H
#define LAUNCHER_LINK_WATCH_H

#include <uv.h>

#include "launcher/link/netlink.h"

/*
 * Hears that somebody else (a person, another daemon) has changed what the links stand on: the bridge or
 * the doorbell went up, down or away, the bridge lost an address, or a route or a neighbour of ours was
 * deleted. The kernel's own notifications (rtnetlink(7)), of which a filter in the socket lets through
 * no others: what we do ourselves wakes nobody.
 *
 * It does not tell what it was: whoever hears of it looks at all.
 */
struct watch;
typedef void (*watch_fn)(void *ctx);

struct watch_config {
	const struct netlink *own[2]; /* their requests are not heard of; each has made one */
	int bridge, doorbell;         /* devices */
	watch_fn changed;             /* a few ms later, and not more than some times a second */
	void *ctx;
};

int watch_create(
	uv_loop_t *loop, const struct watch_config *config, struct watch **out, struct error *err);
/* They are other devices now. 0 or a negative errno. */
int watch_aim(struct watch *watch, int bridge, int doorbell);
/* May be NULL. Memory is released in a later turn of the loop. */
void watch_destroy(struct watch *watch);

#endif
