/* SPDX-License-Identifier: ISC */
#ifndef DRIVERS_NET_DEVICE_H
#define DRIVERS_NET_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_FRAME_MAX 1514 /* Ethernet header and 1500 bytes; no frame check sequence */

/* An Ethernet device of any kind. It is polled; interrupts only wake the CPU. */
struct net_device {
	const struct net_device_operations *operations;
	uint8_t mac[6];
	/* The device completes TCP's checksum in frames to send, and sends segments that follow one
	 * another as it likes. Frames received may be larger than NET_FRAME_MAX. */
	bool offloads;
	bool checked; /* the checksum within the frame that receive() gave last is known to be right */
};

struct net_device_operations {
	/* Where the next frame to send may be written, NET_FRAME_MAX bytes; NULL while the queue
	 * is full. */
	uint8_t *(*transmit_buffer)(struct net_device *device);
	/* Queues the frame written there. */
	void (*transmit)(struct net_device *device, size_t size);
	/* Likewise of a frame that goes on with `tail`, NET_FRAME_MAX bytes in all; NULL where the
	 * device cannot. The tail is read some time before anything else is waited for. */
	void (*transmit_tail)(
		struct net_device *device, size_t size, const uint8_t *tail, size_t tail_size);
	/* Has the other side look at what was queued. */
	void (*flush)(struct net_device *device);
	/* The next frame received, readable until release(); NULL where there is none. */
	const uint8_t *(*receive)(struct net_device *device, size_t *size);
	void (*release)(struct net_device *device);
	/* Asks for interrupts. False where frames have come in the meantime, and there is no
	 * reason to sleep. */
	bool (*sleep)(struct net_device *device);
	/* Asks for silence again. */
	void (*wake)(struct net_device *device);
};

#endif
