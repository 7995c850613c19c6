/* SPDX-License-Identifier: ISC */
#include "guest-kernel/drivers/ring_net.h"

#include <string.h>

/* The rings of include/summon_abi.h. Nothing is copied: frames are read and written where they
 * lie. */
struct ring_net {
	struct net_device device;
	const struct summon_boot *boot;
	struct summon_ring *receive, *transmit;
};

static struct ring_net *ring_net(struct net_device *device)
{
	return (struct ring_net *)device;
}

static uint32_t load(const uint32_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static void advance(uint32_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELEASE);
}

static bool is_full(const struct summon_ring *ring)
{
	return ring->produced - load(&ring->consumed) >= SUMMON_RING_FRAMES;
}

static uint8_t *transmit_buffer(struct net_device *device)
{
	struct ring_net *net = ring_net(device);
	if (is_full(net->transmit))
		ring_call(net->boot, SUMMON_CALL_KICK, 0);
	if (is_full(net->transmit))
		return NULL;
	return net->transmit->frame[net->transmit->produced % SUMMON_RING_FRAMES];
}

static void transmit(struct net_device *device, size_t size)
{
	struct summon_ring *ring = ring_net(device)->transmit;
	ring->size[ring->produced % SUMMON_RING_FRAMES] = (uint16_t)size;
	advance(&ring->produced);
}

/* Nothing: going idle sends, and so does a ring that is full; each exit serves many frames. */
static void flush(struct net_device *device)
{
	(void)device;
}

static bool has_frame(const struct summon_ring *ring)
{
	return load(&ring->produced) != ring->consumed;
}

static const uint8_t *receive(struct net_device *device, size_t *size)
{
	struct summon_ring *ring = ring_net(device)->receive;
	if (!has_frame(ring))
		return NULL;
	uint32_t slot = ring->consumed % SUMMON_RING_FRAMES;
	*size = ring->size[slot];
	return ring->frame[slot];
}

static void release(struct net_device *device)
{
	advance(&ring_net(device)->receive->consumed);
}

static bool sleep(struct net_device *device)
{
	return !has_frame(ring_net(device)->receive);
}

static void wake(struct net_device *device)
{
	(void)device;
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

struct net_device *ring_net_start(const struct summon_boot *boot)
{
	static struct ring_net net;
	if (!boot->receive || !boot->transmit)
		return NULL;
	net.device.operations = &operations;
	memcpy(net.device.mac, boot->mac, sizeof(net.device.mac));
	net.boot = boot;
	net.receive = (struct summon_ring *)boot->receive;
	net.transmit = (struct summon_ring *)boot->transmit;
	return &net.device;
}
