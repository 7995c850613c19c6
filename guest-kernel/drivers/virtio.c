/* SPDX-License-Identifier: ISC */
#include "guest-kernel/drivers/virtio.h"

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
