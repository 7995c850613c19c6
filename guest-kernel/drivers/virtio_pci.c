/* SPDX-License-Identifier: ISC */
#include "guest-kernel/drivers/virtio.h"
#include "guest-kernel/kernel/cpu.h"

#define VENDOR_VIRTIO        0x1af4u
#define TRANSITIONAL_NETWORK 0x1000u
#define MODERN_NETWORK       0x1041u

/* Virtio 1.2, 4.1.4.3 "Common configuration structure layout" */
enum {
	DEVICE_FEATURES_SELECT = 0,
	DEVICE_FEATURES = 4,
	DRIVER_FEATURES_SELECT = 8,
	DRIVER_FEATURES = 12,
	CONFIG_VECTOR = 16,
	STATUS = 20,
	QUEUE_SELECT = 22,
	QUEUE_SIZE = 24,
	QUEUE_VECTOR = 26,
	QUEUE_ENABLE = 28,
	QUEUE_NOTIFY_AT = 30,
	QUEUE_DESCRIPTORS = 32,
	QUEUE_AVAILABLE = 40,
	QUEUE_USED = 48,
};

/* Virtio 1.2, 4.1.4.10 "Legacy Interfaces" */
enum {
	LEGACY_DEVICE_FEATURES = 0,
	LEGACY_DRIVER_FEATURES = 4,
	LEGACY_QUEUE_PAGE = 8,
	LEGACY_QUEUE_SIZE = 12,
	LEGACY_QUEUE_SELECT = 14,
	LEGACY_QUEUE_NOTIFY = 16,
	LEGACY_STATUS = 18,
	LEGACY_QUEUE_VECTOR = 22,
	LEGACY_CONFIG = 20,
	LEGACY_CONFIG_MSIX = 24, /* where MSI-X is enabled */
};

#define PAGE_SIZE 4096
#define VECTOR    0 /* of the device's MSI-X table */

static void write8(uintptr_t at, uint8_t value)
{
	*(volatile uint8_t *)at = value;
}

static void write16(uintptr_t at, uint16_t value)
{
	*(volatile uint16_t *)at = value;
}

static uint16_t read16(uintptr_t at)
{
	return *(volatile uint16_t *)at;
}

static uint8_t get_status(struct virtio *v)
{
	return *(volatile uint8_t *)(v->base + STATUS);
}

static void set_status(struct virtio *v, uint8_t status)
{
	write8(v->base + STATUS, status);
}

static uint64_t get_features(struct virtio *v)
{
	return virtio_read_features(v, DEVICE_FEATURES_SELECT, DEVICE_FEATURES);
}

static void set_features(struct virtio *v, uint64_t features)
{
	virtio_write_features(v, DRIVER_FEATURES_SELECT, DRIVER_FEATURES, features);
}

static bool setup_queue(struct virtio *v, uint16_t index, struct virtqueue *queue)
{
	write16(v->base + QUEUE_SELECT, index);
	uint16_t size = read16(v->base + QUEUE_SIZE);
	if (size > VIRTQUEUE_BUFFERS)
		size = VIRTQUEUE_BUFFERS;
	if (!virtqueue_init(queue, size))
		return false;
	write16(v->base + QUEUE_SIZE, size);
	write16(v->base + QUEUE_VECTOR, VECTOR);
	virtio_write_address(v, QUEUE_DESCRIPTORS, queue->descriptors);
	virtio_write_address(v, QUEUE_AVAILABLE, queue->available_ring);
	virtio_write_address(v, QUEUE_USED, queue->used_ring);
	v->notify_at[index] = read16(v->base + QUEUE_NOTIFY_AT) * v->notify_step;
	write16(v->base + QUEUE_ENABLE, 1);
	return true;
}

static void notify_queue(struct virtio *v, uint16_t index)
{
	write16(v->notify + v->notify_at[index], index);
}

/* A message is an edge by itself. */
static void acknowledge(struct virtio *v)
{
	(void)v;
}

static const struct virtio_transport modern_transport = {
	.get_status = get_status,
	.set_status = set_status,
	.get_features = get_features,
	.set_features = set_features,
	.config_byte = virtio_config_byte,
	.setup_queue = setup_queue,
	.notify_queue = notify_queue,
	.acknowledge = acknowledge,
};

static uint8_t legacy_get_status(struct virtio *v)
{
	return in8((uint16_t)(v->base + LEGACY_STATUS));
}

static void legacy_set_status(struct virtio *v, uint8_t status)
{
	out8((uint16_t)(v->base + LEGACY_STATUS), status);
}

static uint64_t legacy_get_features(struct virtio *v)
{
	return in32((uint16_t)(v->base + LEGACY_DEVICE_FEATURES));
}

static void legacy_set_features(struct virtio *v, uint64_t features)
{
	out32((uint16_t)(v->base + LEGACY_DRIVER_FEATURES), (uint32_t)features);
}

static uint8_t legacy_config_byte(struct virtio *v, unsigned offset)
{
	return in8((uint16_t)(v->config + offset));
}

static bool legacy_setup_queue(struct virtio *v, uint16_t index, struct virtqueue *queue)
{
	out16((uint16_t)(v->base + LEGACY_QUEUE_SELECT), index);
	/* The size is the device's alone to choose here. */
	if (!virtqueue_init(queue, in16((uint16_t)(v->base + LEGACY_QUEUE_SIZE))))
		return false;
	out32((uint16_t)(v->base + LEGACY_QUEUE_PAGE),
		(uint32_t)((uintptr_t)queue->descriptors / PAGE_SIZE));
	if (v->config == v->base + LEGACY_CONFIG_MSIX)
		out16((uint16_t)(v->base + LEGACY_QUEUE_VECTOR), VECTOR);
	return true;
}

static void legacy_notify_queue(struct virtio *v, uint16_t index)
{
	out16((uint16_t)(v->base + LEGACY_QUEUE_NOTIFY), index);
}

static const struct virtio_transport legacy_transport = {
	.get_status = legacy_get_status,
	.set_status = legacy_set_status,
	.get_features = legacy_get_features,
	.set_features = legacy_set_features,
	.config_byte = legacy_config_byte,
	.setup_queue = legacy_setup_queue,
	.notify_queue = legacy_notify_queue,
	.acknowledge = acknowledge,
};

static bool is_network(uint32_t id)
{
	return id == (TRANSITIONAL_NETWORK << 16 | VENDOR_VIRTIO) ||
	       id == (MODERN_NETWORK << 16 | VENDOR_VIRTIO);
}

/* Virtio 1.2, 4.1.4 "Virtio Structure PCI Capabilities": where one kind of structure is. */
static uintptr_t find_structure(pci_address device, uint8_t kind, uint8_t *capability)
{
	uint8_t at = 0;
	while ((at = pci_capability(device, PCI_CAPABILITY_VENDOR, at))) {
		if (pci_read8(device, at + 3) != kind)
			continue;
		struct pci_region region = pci_region(device, pci_read8(device, at + 4));
		if (!region.address || region.is_port)
			continue;
		*capability = at;
		return region.address + pci_read32(device, at + 8);
	}
	return 0;
}

static bool find_modern(struct virtio *virtio, pci_address device)
{
	enum { COMMON = 1, NOTIFY = 2, DEVICE = 4 };
	uint8_t at;
	*virtio = (struct virtio){.transport = &modern_transport, .modern = true};
	virtio->base = find_structure(device, COMMON, &at);
	virtio->config = find_structure(device, DEVICE, &at);
	virtio->notify = find_structure(device, NOTIFY, &at);
	if (!virtio->base || !virtio->config || !virtio->notify)
		return false;
	virtio->notify_step = pci_read32(device, at + 16);
	return true;
}

bool virtio_pci_find_network(struct virtio *virtio)
{
	pci_address device;
	if (!pci_find(is_network, &device))
		return false;
	pci_enable(device);
	bool msix = pci_enable_msix(device);
	if (find_modern(virtio, device))
		return msix;
	struct pci_region region = pci_region(device, 0);
	*virtio = (struct virtio){
		.transport = &legacy_transport,
		.base = region.address,
		.config = region.address + (msix ? LEGACY_CONFIG_MSIX : LEGACY_CONFIG),
	};
	return msix && region.address && region.is_port;
}
