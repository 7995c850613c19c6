/* SPDX-License-Identifier: ISC */
#include "guest-kernel/drivers/ring_net.h"

#include <string.h>

#include "guest-kernel/net/offload.h"

#define HEADER   sizeof(struct summon_frame_header)
#define ALIGN(n) (((n) + 7) & ~7u)

/*
 * The rings of include/summon_abi.h. Frames are read and written where they lie. The monitor takes
 * all that is there at each call, so that the ring is mostly empty, and its beginning is used again:
 * the fewer pages, the better. The last frame written is kept back until the next one or a flush,
 * because it may grow (net/offload.h).
 */
struct ring_net {
	struct net_device device;
	const struct summon_boot *boot;
	struct summon_shared *shared;
	struct summon_ring *receive, *transmit;
	struct summon_frame last; /* written, not yet produced; size 0: none */
	uint32_t end;             /* of all frames written, in transmit->data */
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

/* ---- sending ---- */

static uint32_t waiting(const struct ring_net *net)
{
	return net->shared->transmit.produced - load(&net->shared->transmit.consumed);
}

/* The going idle sends, and so does a ring that is full; each exit serves many frames. */
static void flush(struct net_device *device)
{
	struct ring_net *net = ring_net(device);
	if (!net->last.size)
		return;
	uint32_t place = net->shared->transmit.produced % SUMMON_RING_FRAMES;
	net->transmit->frame[place] = net->last;
	net->last.size = 0;
	advance(&net->shared->transmit.produced);
}

static bool has_room(struct ring_net *net)
{
	uint32_t frames = waiting(net);
	if (frames == 0 && !net->last.size)
		net->end = 0;
	return frames + 1 < SUMMON_RING_FRAMES &&
	       SUMMON_RING_DATA - net->end >= ALIGN(HEADER + NET_FRAME_MAX);
}

static uint8_t *transmit_buffer(struct net_device *device)
{
	struct ring_net *net = ring_net(device);
	if (!has_room(net)) {
		flush(device);
		ring_call(net->boot, SUMMON_CALL_KICK, 0);
	}
	return has_room(net) ? net->transmit->data + net->end + HEADER : NULL;
}

static struct offload_frame describe(const struct ring_net *net, const struct summon_frame *frame)
{
	uint8_t *start = net->transmit->data + frame->offset;
	return (struct offload_frame){
		.header = (struct summon_frame_header *)start,
		.bytes = start + HEADER,
		.size = frame->size - HEADER,
		.tail = (const uint8_t *)(uintptr_t)frame->tail,
		.tail_size = frame->tail_size,
	};
}

static bool append(struct ring_net *net, const struct offload_frame *next)
{
	if (!net->last.size)
		return false;
	struct offload_frame last = describe(net, &net->last);
	if (!offload_append(&last, next))
		return false;
	net->last.size = (uint32_t)(HEADER + last.size);
	net->last.tail_size = (uint32_t)last.tail_size;
	return true;
}

static void transmit_tail(
	struct net_device *device, size_t size, const uint8_t *tail, size_t tail_size)
{
	struct ring_net *net = ring_net(device);
	const struct summon_frame place = {net->end, (uint32_t)(HEADER + size),
		(uint32_t)(uintptr_t)tail, (uint32_t)tail_size};
	const struct offload_frame frame = describe(net, &place);
	*frame.header = (struct summon_frame_header){0};
	if (device->offloads)
		offload_checksum(&frame);
	if (!frame.header->flags || !append(net, &frame)) {
		flush(device);
		net->last = place;
	}
	net->end = ALIGN(net->last.offset + net->last.size);
}

static void transmit(struct net_device *device, size_t size)
{
	transmit_tail(device, size, NULL, 0);
}

/* ---- receiving ---- */

static bool has_frame(const struct ring_net *net)
{
	return load(&net->shared->receive.produced) != net->shared->receive.consumed;
}

static const uint8_t *receive(struct net_device *device, size_t *size)
{
	struct ring_net *net = ring_net(device);
	if (!has_frame(net))
		return NULL;
	uint32_t place = net->shared->receive.consumed % SUMMON_RING_FRAMES;
	const struct summon_frame *frame = &net->receive->frame[place];
	const uint8_t *start = net->receive->data + frame->offset;
	/* Bytes that never left this machine have no checksum yet, and need none. */
	device->checked = device->offloads && ((const struct summon_frame_header *)start)->flags;
	*size = frame->size - HEADER;
	return start + HEADER;
}

static void release(struct net_device *device)
{
	advance(&ring_net(device)->shared->receive.consumed);
}

static bool sleep(struct net_device *device)
{
	return !has_frame(ring_net(device));
}

static void wake(struct net_device *device)
{
	(void)device;
}

static const struct net_device_operations operations = {
	.transmit_buffer = transmit_buffer,
	.transmit = transmit,
	.transmit_tail = transmit_tail,
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
	net = (struct ring_net){
		.device = {.operations = &operations,
			.offloads = boot->features & SUMMON_FEATURE_OFFLOAD},
		.boot = boot,
		.shared = (struct summon_shared *)boot->shared,
		.receive = (struct summon_ring *)boot->receive,
		.transmit = (struct summon_ring *)boot->transmit,
	};
	memcpy(net.device.mac, boot->mac, sizeof(net.device.mac));
	return &net.device;
}
