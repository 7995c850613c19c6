/* SPDX-License-Identifier: ISC */
#include "guest-kernel/drivers/virtio_net.h"

#include <stdlib.h>
#include <string.h>

/* Virtio 1.2, 5.1 "Network Device" */
#define FEATURE_MAC   (1ull << 5)
#define HEADER_LEGACY 10 /* without the number of merged buffers */
#define HEADER_MODERN 12

enum { RECEIVE = 0, TRANSMIT = 1 };

struct virtio_net {
	struct net_device device;
	struct virtio virtio;
	struct virtqueue receive, transmit;
	size_t header;
	int receiving, transmitting; /* the buffer that the caller has, or -1 */
	bool given[2];               /* buffers were made available since the last flush */
};

static struct virtio_net *virtio_net(struct net_device *device)
{
	return (struct virtio_net *)device;
}

static void notify(struct virtio_net *net, uint16_t index, struct virtqueue *queue)
{
	if (net->given[index] && virtqueue_must_notify(queue))
		net->virtio.transport->notify_queue(&net->virtio, index);
	net->given[index] = false;
}

static void flush(struct net_device *device)
{
	struct virtio_net *net = virtio_net(device);
	notify(net, TRANSMIT, &net->transmit);
	notify(net, RECEIVE, &net->receive);
}

static uint8_t *transmit_buffer(struct net_device *device)
{
	struct virtio_net *net = virtio_net(device);
	uint32_t size;
	int done;
	if (net->transmitting < 0) {
		while ((done = virtqueue_collect(&net->transmit, &size)) >= 0)
			virtqueue_free(&net->transmit, (uint16_t)done);
		net->transmitting = virtqueue_take(&net->transmit);
	}
	if (net->transmitting < 0) {
		flush(device);
		return NULL;
	}
	uint8_t *buffer = net->transmit.data[net->transmitting];
	memset(buffer, 0, net->header);
	return buffer + net->header;
}

static void transmit(struct net_device *device, size_t size)
{
	struct virtio_net *net = virtio_net(device);
	virtqueue_give(
		&net->transmit, (uint16_t)net->transmitting, (uint32_t)(net->header + size), false);
	net->transmitting = -1;
	net->given[TRANSMIT] = true;
}

static void give_receive(struct virtio_net *net, int buffer)
{
	virtqueue_give(&net->receive, (uint16_t)buffer, VIRTQUEUE_BUFFER, true);
	net->given[RECEIVE] = true;
}

static void release(struct net_device *device)
{
	struct virtio_net *net = virtio_net(device);
	if (net->receiving >= 0)
		give_receive(net, net->receiving);
	net->receiving = -1;
}

static const uint8_t *receive(struct net_device *device, size_t *size)
{
	struct virtio_net *net = virtio_net(device);
	uint32_t written;
	int buffer;
	while ((buffer = virtqueue_collect(&net->receive, &written)) >= 0) {
		if (written > net->header && written <= VIRTQUEUE_BUFFER)
			break;
		give_receive(net, buffer);
	}
	if (buffer < 0)
		return NULL;
	net->receiving = buffer;
	*size = written - net->header;
	return net->receive.data[buffer] + net->header;
}

static bool sleep(struct net_device *device)
{
	struct virtio_net *net = virtio_net(device);
	net->virtio.transport->acknowledge(&net->virtio);
	virtqueue_interrupts(&net->receive, true);
	return !virtqueue_has_used(&net->receive);
}

static void wake(struct net_device *device)
{
	struct virtio_net *net = virtio_net(device);
	virtqueue_interrupts(&net->receive, false);
}

static const struct net_device_operations operations = {
	.transmit_buffer = transmit_buffer,
	.transmit = transmit,
	.flush = flush,
	.receive = receive,
	.release = release,
	.sleep = sleep,
	.wake = wake,
};

static bool start(struct virtio_net *net)
{
	const struct virtio_transport *t = net->virtio.transport;
	uint64_t agreed;
	if (!virtio_negotiate(&net->virtio, FEATURE_MAC, &agreed) || !(agreed & FEATURE_MAC))
		return false;
	net->header = net->virtio.modern ? HEADER_MODERN : HEADER_LEGACY;
	for (unsigned i = 0; i < sizeof(net->device.mac); i++)
		net->device.mac[i] = t->config_byte(&net->virtio, i);
	if (!t->setup_queue(&net->virtio, RECEIVE, &net->receive) ||
		!t->setup_queue(&net->virtio, TRANSMIT, &net->transmit))
		return false;
	virtqueue_interrupts(&net->transmit, false);
	virtqueue_interrupts(&net->receive, false);
	int buffer;
	while ((buffer = virtqueue_take(&net->receive)) >= 0)
		give_receive(net, buffer);
	virtio_start(&net->virtio);
	flush(&net->device);
	return true;
}

struct net_device *virtio_net_start(const struct virtio *virtio)
{
	struct virtio_net *net = calloc(1, sizeof(*net));
	if (!net)
		return NULL;
	net->device.operations = &operations;
	net->virtio = *virtio;
	net->receiving = net->transmitting = -1;
	if (start(net))
		return &net->device;
	free(net);
	return NULL;
}
