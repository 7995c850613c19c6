/* SPDX-License-Identifier: ISC */
#include "guest-kernel/drivers/virtio.h"

#include "guest-kernel/kernel/cpu.h"

uint64_t virtio_read_features(struct virtio *virtio, uintptr_t select, uintptr_t features)
{
	mmio_write32(virtio->base + select, 0);
	uint64_t low = mmio_read32(virtio->base + features);
	mmio_write32(virtio->base + select, 1);
	return low | (uint64_t)mmio_read32(virtio->base + features) << 32;
}

void virtio_write_features(
	struct virtio *virtio, uintptr_t select, uintptr_t features, uint64_t value)
{
	mmio_write32(virtio->base + select, 0);
	mmio_write32(virtio->base + features, (uint32_t)value);
	mmio_write32(virtio->base + select, 1);
	mmio_write32(virtio->base + features, (uint32_t)(value >> 32));
}

void virtio_write_address(struct virtio *virtio, uintptr_t at, volatile void *address)
{
	mmio_write32(virtio->base + at, (uint32_t)(uintptr_t)address);
	mmio_write32(virtio->base + at + 4, (uint32_t)((uintptr_t)address >> 32));
}

uint8_t virtio_config_byte(struct virtio *virtio, unsigned offset)
{
	return *(volatile uint8_t *)(virtio->config + offset);
}

static void add_status(struct virtio *virtio, uint8_t bits)
{
	const struct virtio_transport *t = virtio->transport;
	t->set_status(virtio, t->get_status(virtio) | bits);
}

/* Virtio 1.2, 3.1.1 "Driver Requirements: Device Initialization" */
bool virtio_negotiate(struct virtio *virtio, uint64_t wanted, uint64_t *agreed)
{
	const struct virtio_transport *t = virtio->transport;
	t->set_status(virtio, 0);
	add_status(virtio, VIRTIO_STATUS_ACKNOWLEDGE);
	add_status(virtio, VIRTIO_STATUS_DRIVER);
	if (virtio->modern)
		wanted |= VIRTIO_F_VERSION_1;
	*agreed = t->get_features(virtio) & wanted;
	t->set_features(virtio, *agreed);
	if (!virtio->modern)
		return true;
	add_status(virtio, VIRTIO_STATUS_FEATURES_OK);
	if ((*agreed & VIRTIO_F_VERSION_1) && t->get_status(virtio) & VIRTIO_STATUS_FEATURES_OK)
		return true;
	add_status(virtio, VIRTIO_STATUS_FAILED);
	return false;
}

void virtio_start(struct virtio *virtio)
{
	add_status(virtio, VIRTIO_STATUS_DRIVER_OK);
}
