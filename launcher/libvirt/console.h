/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LIBVIRT_CONSOLE_H
#define LAUNCHER_LIBVIRT_CONSOLE_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"

/*
 * One guest's console: a listening unix socket of ours to which QEMU connects, and reconnects when
 * we come back after a restart. Loop thread only. Always drained: an undrained console stalls the
 * guest.
 *
 * Where libvirt's streams bring what it says (stream.h), it has no socket and is fed.
 */
struct virt_console;

struct virt_console_config {
	uv_loop_t *loop;
	const char *path; /* a stale socket there is replaced; NULL: it is fed */
	void (*on_data)(void *ctx, const uint8_t *data, size_t length);
	void *ctx;
};

/* (QEMU tries again once a second.) What a guest prints while nobody is connected is lost. */
int virt_console_create(
	const struct virt_console_config *config, struct virt_console **out, struct error *err);
/* What libvirt's stream has brought; and that it has ended. */
void virt_console_feed(struct virt_console *console, const char *data, size_t length);
void virt_console_feed_end(struct virt_console *console);
/* Calls `ready` once, in a later turn: when QEMU has connected again, or after a while without. */
void virt_console_await(struct virt_console *console, void (*ready)(void *ctx));
/* The guest has ended: calls `drained` in a later turn, when all that it said has been delivered
 * (the other side has closed), or after a short while. on_data may still be called until then. */
void virt_console_drain(struct virt_console *console, void (*drained)(void *ctx));
/* May be NULL. No callback comes any more but `closed`, in a later turn, when the memory is gone. */
void virt_console_destroy(struct virt_console *console, void (*closed)(void *ctx), void *ctx);

#endif
