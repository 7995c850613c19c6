/* SPDX-License-Identifier: ISC */
#include "guest-kernel/drivers/netfront.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest-kernel/drivers/xen.h"
#include "guest-kernel/drivers/xenstore.h"
#include "guest-kernel/kernel/words.h"

/*
 * Xen's network protocol (Xen, public/io/netif.h, ring.h): two rings of requests and responses in
 * pages that the backend maps. Each buffer is a page that is granted once and used again and again.
 */
#define PAGE_SIZE    4096u
#define RING_SLOTS   256u /* as many as fit into a page, down to a power of two */
#define RECEIVES     128u /* buffers that the backend may fill */
#define SENDS        64u
#define CONNECT_NS   10000000000ull
#define PATH         "device/vif/0/"
#define FRAME_OK     0
#define FLAG_BLANK   1u  /* in a response: the checksum is not filled in ... */
#define FLAG_CHECKED 2u  /* ... or it is known to be right; either way nobody has to look */
#define FLAG_ODD     12u /* more slots, or something besides the frame: nothing that we asked for */

enum { STATE_WAITS = 2, STATE_CONNECTED = 4 };

struct ring_head {
	uint32_t requests, request_event, responses, response_event;
	uint8_t pad[48];
};

union send_slot {
	struct {
		uint32_t grant;
		uint16_t offset, flags, id, size;
	} request;
	struct {
		uint16_t id;
		int16_t status;
	} response;
};

union receive_slot {
	struct {
		uint16_t id, pad;
		uint32_t grant;
	} request;
	struct {
		uint16_t id, offset, flags;
		int16_t status; /* the frame's size, or an error */
	} response;
};

struct send_ring {
	struct ring_head head;
	union send_slot slot[RING_SLOTS];
};

struct receive_ring {
	struct ring_head head;
	union receive_slot slot[RING_SLOTS];
};

struct buffer {
	uint8_t *page;
	uint32_t grant;
};

static struct netfront {
	struct net_device device;
	uint16_t backend;
	uint32_t port;
	struct send_ring *send;
	struct receive_ring *receive;
	uint32_t send_grant, receive_grant;
	struct buffer sends[SENDS], receives[RECEIVES];
	/* Of the sending ring: what is written, and what is answered. */
	uint32_t written, answered;
	uint16_t unused[SENDS]; /* buffers, a stack */
	unsigned unused_count;
	uint32_t taken; /* of the receiving ring's responses */
} net;

/* ---- sending ---- */

static void reclaim(void)
{
	for (; net.answered != xen_load(&net.send->head.responses); net.answered++) {
		uint16_t id = net.send->slot[net.answered % RING_SLOTS].response.id;
		if (id < SENDS && net.unused_count < SENDS)
			net.unused[net.unused_count++] = id;
	}
}

static void flush(struct net_device *device)
{
	struct ring_head *head = &net.send->head;
	uint32_t before = head->requests;
	(void)device;
	if (before == net.written)
		return;
	xen_store(&head->requests, net.written);
	xen_barrier();
	if (net.written - xen_load(&head->request_event) < net.written - before)
		xen_notify(net.port);
}

static uint8_t *transmit_buffer(struct net_device *device)
{
	if (net.unused_count == 0) {
		flush(device);
		reclaim();
	}
	return net.unused_count ? net.sends[net.unused[net.unused_count - 1]].page : NULL;
}

static void transmit(struct net_device *device, size_t size)
{
	uint16_t id = net.unused[--net.unused_count];
	union send_slot *slot = &net.send->slot[net.written++ % RING_SLOTS];
	(void)device;
	*slot = (union send_slot){
		.request = {.grant = net.sends[id].grant, .id = id, .size = (uint16_t)size}};
}

/* ---- receiving ---- */

static void offer(uint16_t id, uint32_t *requests)
{
	net.receive->slot[(*requests)++ % RING_SLOTS] =
		(union receive_slot){.request = {.id = id, .grant = net.receives[id].grant}};
}

static void release(struct net_device *device)
{
	struct ring_head *head = &net.receive->head;
	uint32_t requests = head->requests;
	uint16_t id = net.receive->slot[net.taken++ % RING_SLOTS].response.id;
	(void)device;
	if (id < RECEIVES)
		offer(id, &requests);
	xen_store(&head->requests, requests);
	xen_barrier();
	if (requests - xen_load(&head->request_event) < 1)
		xen_notify(net.port);
}

static bool has_frame(void)
{
	return xen_load(&net.receive->head.responses) != net.taken;
}

static const uint8_t *receive(struct net_device *device, size_t *size)
{
	while (has_frame()) {
		const union receive_slot *slot = &net.receive->slot[net.taken % RING_SLOTS];
		int status = slot->response.status;
		size_t offset = slot->response.offset;
		if (status > FRAME_OK && slot->response.id < RECEIVES &&
			!(slot->response.flags & FLAG_ODD) &&
			offset + (size_t)status <= PAGE_SIZE) {
			*size = (size_t)status;
			device->checked = slot->response.flags & (FLAG_BLANK | FLAG_CHECKED);
			return net.receives[slot->response.id].page + offset;
		}
		release(device);
	}
	return NULL;
}

/* Answers to what was sent are no reason to wake, but where nothing is left to send with. */
static bool sleep(struct net_device *device)
{
	(void)device;
	net.receive->head.response_event = net.taken + 1;
	net.send->head.response_event = net.answered + (net.unused_count ? RING_SLOTS : 1);
	xen_barrier();
	return !has_frame();
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

/* ---- connecting ---- */

static void write_number(const char *key, uint32_t value)
{
	char path[64], text[16];
	snprintf(path, sizeof(path), PATH "%s", key);
	snprintf(text, sizeof(text), "%u", (unsigned)value);
	xenstore_write(path, text);
}

static bool parse_mac(const char *at, uint8_t mac[6])
{
	for (unsigned i = 0; i < 6; i++) {
		char *end;
		mac[i] = (uint8_t)strtoul(at, &end, 16);
		if (end != at + 2 || *end != (i < 5 ? ':' : '\0'))
			return false;
		at = end + 1;
	}
	return true;
}

/* Pages that lie one behind the other: the rings first. */
static bool make_buffers(void)
{
	const size_t count = 2 + SENDS + RECEIVES;
	uint8_t *memory = malloc((count + 1) * PAGE_SIZE);
	if (!memory)
		return false;
	uint8_t *page =
		(uint8_t *)(((uintptr_t)memory + PAGE_SIZE - 1) & ~(uintptr_t)(PAGE_SIZE - 1));
	net.send = (struct send_ring *)page;
	net.receive = (struct receive_ring *)(page + PAGE_SIZE);
	net.send_grant = xen_grant(net.backend, net.send, true);
	net.receive_grant = xen_grant(net.backend, net.receive, true);
	page += 2 * PAGE_SIZE;
	for (uint16_t i = 0; i < SENDS; i++, page += PAGE_SIZE)
		net.sends[i] = (struct buffer){page, xen_grant(net.backend, page, false)};
	for (uint16_t i = 0; i < RECEIVES; i++, page += PAGE_SIZE)
		net.receives[i] = (struct buffer){page, xen_grant(net.backend, page, true)};
	return true;
}

/* As a backend expects them that has not seen them yet. */
static void clear_rings(void)
{
	memset(net.send, 0, PAGE_SIZE);
	memset(net.receive, 0, PAGE_SIZE);
	net.written = net.answered = net.taken = net.unused_count = 0;
	for (uint16_t i = 0; i < SENDS; i++)
		net.unused[net.unused_count++] = i;
	for (uint16_t i = 0; i < RECEIVES; i++)
		offer(i, &net.receive->head.requests);
	net.send->head.request_event = net.receive->head.request_event = 1;
	net.send->head.response_event = net.receive->head.response_event = 1;
}

static void tell_backend(void)
{
	static const char *const features[] = {
		"request-rx-copy", "feature-rx-notify", "feature-ipv6-csum-offload"};
	write_number("tx-ring-ref", net.send_grant);
	write_number("rx-ring-ref", net.receive_grant);
	write_number("event-channel", net.port);
	for (unsigned i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		write_number(features[i], 1);
	write_number("state", STATE_CONNECTED);
}

static uint32_t read_state(const char *path)
{
	char text[16];
	uint32_t state;
	xenstore_read(&(struct xenstore_value){path, text, sizeof(text)}, 1);
	return number_read(text, 0, 16, &state) ? state : 0;
}

/* Until the backend is in `state`. Each change of it ends a wait. */
static bool wait_for_state(const char *path, uint32_t state)
{
	uint32_t now, port = xenstore_port();
	while ((now = read_state(path)) > 0 && now < state) {
		if (!xenstore_changed())
			xen_wait(&port, 1, CONNECT_NS);
	}
	return now == state;
}

/* Where the backend is; false without an interface. */
static bool find_backend(char *path, size_t size)
{
	char number[16], mac[32];
	uint32_t backend;
	const struct xenstore_value values[] = {{PATH "backend-id", number, sizeof(number)},
		{PATH "backend", path, size}, {PATH "mac", mac, sizeof(mac)}};
	xenstore_read(values, sizeof(values) / sizeof(values[0]));
	if (!number_read(number, 0, UINT16_MAX, &backend) || !path[0] ||
		!parse_mac(mac, net.device.mac))
		return false;
	net.backend = (uint16_t)backend;
	return true;
}

static const char *connect(void)
{
	char path[128];
	if (!find_backend(path, sizeof(path) - sizeof("/state")))
		return "the domain has no network interface";
	net.port = xen_port_create(net.backend);
	if (!net.port || (!net.send && !make_buffers()))
		return "no memory or event channel for the network interface";
	clear_rings();
	strcat(path, "/state");
	xenstore_watch(path);
	if (wait_for_state(path, STATE_WAITS))
		tell_backend();
	if (!wait_for_state(path, STATE_CONNECTED))
		return "the network interface's backend does not connect";
	return NULL;
}

struct net_device *netfront_start(const char **why)
{
	net.device.operations = &operations;
	*why = connect();
	return *why ? NULL : &net.device;
}

const char *netfront_restart(void)
{
	return net.device.operations ? connect() : NULL;
}

uint32_t netfront_port(void)
{
	return net.port;
}
