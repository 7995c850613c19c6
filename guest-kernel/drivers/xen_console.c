/* SPDX-License-Identifier: ISC */
#include "guest-kernel/drivers/xen_console.h"

#include "guest-kernel/drivers/xen.h"

#define PATIENCE_NS 100000000ull

/* Xen, public/io/console.h */
struct console_ring {
	char in[1024], out[2048];
	uint32_t in_consumed, in_produced, out_consumed, out_produced;
};

static struct {
	struct console_ring *ring;
	uint32_t port;
} console;

void xen_console_init(void)
{
	console.port = (uint32_t)xen_parameter(XEN_CONSOLE_PORT);
	uint64_t frame = xen_parameter(XEN_CONSOLE_FRAME);
	console.ring = frame ? xen_special_page(frame) : NULL;
}

static size_t room(const struct console_ring *ring)
{
	return sizeof(ring->out) - (ring->out_produced - xen_load(&ring->out_consumed));
}

void xen_console_write(const char *text, size_t size)
{
	struct console_ring *ring = console.ring;
	while (ring && size > 0) {
		if (room(ring) == 0)
			xen_wait(&console.port, 1, PATIENCE_NS);
		size_t part = room(ring) < size ? room(ring) : size;
		if (part == 0)
			return;
		for (size_t i = 0; i < part; i++)
			ring->out[(ring->out_produced + i) % sizeof(ring->out)] = text[i];
		xen_store(&ring->out_produced, ring->out_produced + (uint32_t)part);
		xen_notify(console.port);
		text += part;
		size -= part;
	}
}
