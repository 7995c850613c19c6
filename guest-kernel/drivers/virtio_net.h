/* SPDX-License-Identifier: ISC */
#ifndef DRIVERS_VIRTIO_NET_H
#define DRIVERS_VIRTIO_NET_H

#include "guest-kernel/drivers/net_device.h"
#include "guest-kernel/drivers/virtio.h"

/* Starts the network device behind `virtio`; NULL where it does not do what its kind must. The
 * device lives until power-off. */
struct net_device *virtio_net_start(const struct virtio *virtio);

#endif
