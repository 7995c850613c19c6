/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LIBVIRT_STREAM_H
#define LAUNCHER_LIBVIRT_STREAM_H

#include <libvirt/libvirt.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Consoles of guests that have none of our sockets (console.h): a domain of the user's own with a
 * pty, or one on another host. libvirt's event thread reads them, always, so that no guest stalls;
 * what waits for the loop thread is bounded, and the oldest of it goes first.
 *
 * A stream is counted: by what reads it, and by each `changed` until its `stream_take`.
 */
struct stream;
struct stream_set;

/* `changed` is called on libvirt's event thread, once until the next stream_take: there is something
 * to take of the stream, which is then the receiver's to take. NULL without memory. */
struct stream_set *stream_set_create(void (*changed)(void *ctx, struct stream *stream), void *ctx);
/* When all streams have been closed and taken. May be NULL. */
void stream_set_destroy(struct stream_set *set);
/* Before their connection is closed: ends them all. Any thread but the event thread. */
void stream_set_close(struct stream_set *set);

/* Blocks. Opens the domain's first console; 0 or -1 with libvirt's error. */
int stream_open(struct stream_set *set, virDomainPtr domain);
/* Any thread. What has come since the last time, for free() (NULL: nothing), and whether that was
 * all. Gives up the stream. */
char *stream_take(struct stream *stream, size_t *length, bool *ended);
const char *stream_domain(const struct stream *stream);

#endif
