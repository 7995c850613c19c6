/* SPDX-License-Identifier: ISC */
#ifndef DRIVERS_VIRTQUEUE_H
#define DRIVERS_VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A split virtqueue (virtio 1.2, 2.7) with one buffer of fixed size for each descriptor. The three
 * parts are laid out as a legacy device wants them; a modern one takes that too.
 */
#define VIRTQUEUE_SIZE_MAX 256
#define VIRTQUEUE_BUFFERS  128 /* how many of them are used */
#define VIRTQUEUE_BUFFER   2048

struct virtqueue {
	uint16_t size;    /* as agreed with the device; a power of two */
	uint16_t buffers; /* min(size, VIRTQUEUE_BUFFERS) */
	uint16_t used_seen;
	uint16_t available; /* the index behind the last one made available */
	struct virtqueue_descriptor *descriptors;
	volatile struct virtqueue_available *available_ring;
	volatile struct virtqueue_used *used_ring;
	uint8_t (*data)[VIRTQUEUE_BUFFER];
	uint16_t free[VIRTQUEUE_BUFFERS];
	uint16_t free_count;
};

/* Takes memory from the heap for `size` descriptors and their buffers. Returns false where size is
 * no power of two up to VIRTQUEUE_SIZE_MAX, or memory is out. The buffers start out free. */
bool virtqueue_init(struct virtqueue *queue, uint16_t size);

/* Takes a free buffer; its number, or -1. */
int virtqueue_take(struct virtqueue *queue);

/* Makes a buffer available to the device, which reads `size` bytes, or may write that many. */
void virtqueue_give(struct virtqueue *queue, uint16_t buffer, uint32_t size, bool device_writes);

/* The next buffer that the device has done with, and how many bytes it wrote; -1 for none. */
int virtqueue_collect(struct virtqueue *queue, uint32_t *size);

/* Returns a buffer that was collected to the free ones. */
void virtqueue_free(struct virtqueue *queue, uint16_t buffer);

/* True where the device wants to hear of what was made available. */
bool virtqueue_must_notify(const struct virtqueue *queue);

/* Asks the device to interrupt when it is done with a buffer, or not to. */
void virtqueue_interrupts(struct virtqueue *queue, bool enable);

/* True where virtqueue_collect() has something. */
bool virtqueue_has_used(const struct virtqueue *queue);

#endif
