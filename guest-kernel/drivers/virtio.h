/* SPDX-License-Identifier: ISC */
#ifndef DRIVERS_VIRTIO_H
#define DRIVERS_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#include "guest-kernel/drivers/pci.h"
#include "guest-kernel/drivers/virtqueue.h"

#define VIRTIO_ID_NETWORK 1

#define VIRTIO_STATUS_ACKNOWLEDGE 1
#define VIRTIO_STATUS_DRIVER      2
#define VIRTIO_STATUS_DRIVER_OK   4
#define VIRTIO_STATUS_FEATURES_OK 8
#define VIRTIO_STATUS_FAILED      128

#define VIRTIO_F_VERSION_1 (1ull << 32)

/* How a virtio device is reached: over memory-mapped registers or over PCI, each in its legacy and
 * its modern form (virtio 1.2, chapter 4). Filled in by virtio_mmio_find() and
 * virtio_pci_find(). */
struct virtio {
	const struct virtio_transport *transport;
	bool modern;
	uintptr_t base;       /* of the registers, or of the legacy I/O ports */
	uintptr_t config;     /* of the device's own configuration */
	uintptr_t notify;     /* modern PCI only */
	uint32_t notify_step; /* modern PCI only */
	uint32_t notify_at[2];
};

struct virtio_transport {
	uint8_t (*get_status)(struct virtio *virtio);
	void (*set_status)(struct virtio *virtio, uint8_t status);
	uint64_t (*get_features)(struct virtio *virtio);
	void (*set_features)(struct virtio *virtio, uint64_t features);
	uint8_t (*config_byte)(struct virtio *virtio, unsigned offset);
	/* Sets queue->size and hands the queue to the device; false where that fails. */
	bool (*setup_queue)(struct virtio *virtio, uint16_t index, struct virtqueue *queue);
	void (*notify_queue)(struct virtio *virtio, uint16_t index);
	/* Lowers the interrupt line, so that the next interrupt is an edge again. */
	void (*acknowledge)(struct virtio *virtio);
};

/* The first device of this kind among the words virtio_mmio.device=SIZE@ADDRESS:GSI of the command
 * line, with its interrupt enabled. */
bool virtio_mmio_find(struct virtio *virtio, uint32_t kind, const char *command_line);

/* The same among `count` devices, `step` bytes and one interrupt apart, for a machine that puts
 * them in a known place instead; the last comes first, as QEMU fills them from there. */
struct virtio_mmio_slots {
	uintptr_t base, step;
	unsigned count, gsi;
};
bool virtio_mmio_probe(struct virtio *virtio, uint32_t kind, const struct virtio_mmio_slots *slots);

/* The first virtio network device on the PCI bus, enabled, with its interrupt. */
bool virtio_pci_find_network(struct virtio *virtio);

/* Resets the device and agrees on `wanted` as far as it offers it; *agreed says how far. False
 * where the device does not accept. To be followed by the queues and virtio_start(). */
bool virtio_negotiate(struct virtio *virtio, uint64_t wanted, uint64_t *agreed);
void virtio_start(struct virtio *virtio);

/* What transports whose registers lie in memory share. `select` chooses the lower or the upper half of
 * `features`; both, and `at`, are offsets from the registers' base. */
uint64_t virtio_read_features(struct virtio *virtio, uintptr_t select, uintptr_t features);
void virtio_write_features(
	struct virtio *virtio, uintptr_t select, uintptr_t features, uint64_t value);
/* An address in two halves, the lower first. */
void virtio_write_address(struct virtio *virtio, uintptr_t at, volatile void *address);
uint8_t virtio_config_byte(struct virtio *virtio, unsigned offset);

#endif
