/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_READINESS_H
#define LAUNCHER_LINK_READINESS_H

#include <uv.h>

#include "base/address.h"
#include "base/error.h"

/*
 * Watchers that tell when a guest can serve. Each calls `seen` once, in a later turn of the loop,
 * and then never again; the owner cancels it, before or after (it is not freed on its own).
 * `at` is CLOCK_MONOTONIC nanoseconds of the event itself, where the kernel knows it.
 */
struct readiness;
typedef void (*readiness_fn)(void *ctx, uint64_t at);

/* The first frame whose source is `mac` on the device (AF_PACKET with a kernel filter). */
int readiness_first_frame(uv_loop_t *loop, const char *device, const struct mac_address *mac,
	readiness_fn seen, void *ctx, struct readiness **out, struct error *err);
/* The first TCP connection that is accepted; tried anew until it succeeds, every few ms, because
 * SYNs sent before the guest's driver is up are lost and the kernel's own retry comes after 1 s.
 * By `device`, whatever the routes say, where that is not NULL.
 * Up to 16 attempts are under way at once; each is reset when it has served its purpose. */
int readiness_tcp(uv_loop_t *loop, const char *device, const struct ip_address *address,
	uint16_t port, readiness_fn seen, void *ctx, struct readiness **out, struct error *err);
/* May be NULL. `seen` is not called after this. Memory is released in a later turn. */
void readiness_cancel(struct readiness *readiness);

#endif
