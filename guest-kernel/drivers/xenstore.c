/* SPDX-License-Identifier: ISC */
#include "guest-kernel/drivers/xenstore.h"

#include <string.h>

#include "guest-kernel/drivers/xen.h"

/* Xen, public/io/xs_wire.h */
enum { READ = 2, WATCH = 4, WRITE = 11, WATCH_EVENT = 15, FAILURE = 16 };

struct head {
	uint32_t type, request, transaction, size;
};

struct store_ring {
	char requests[1024], answers[1024];
	uint32_t requests_consumed, requests_produced, answers_consumed, answers_produced;
};

static struct {
	struct store_ring *ring;
	uint32_t port;
	bool changed;
} store;

void xenstore_init(void)
{
	store.port = (uint32_t)xen_parameter(XEN_STORE_PORT);
	uint64_t frame = xen_parameter(XEN_STORE_FRAME);
	store.ring = frame ? xen_special_page(frame) : NULL;
}

uint32_t xenstore_port(void)
{
	return store.port;
}

static void put(const void *data, size_t size)
{
	struct store_ring *ring = store.ring;
	const char *bytes = data;
	while (size > 0) {
		size_t room = sizeof(ring->requests) -
			      (ring->requests_produced - xen_load(&ring->requests_consumed));
		size_t part = room < size ? room : size;
		for (size_t i = 0; i < part; i++)
			ring->requests[(ring->requests_produced + i) % sizeof(ring->requests)] =
				bytes[i];
		xen_store(&ring->requests_produced, ring->requests_produced + (uint32_t)part);
		bytes += part;
		size -= part;
		if (size > 0) {
			xen_notify(store.port);
			xen_wait(&store.port, 1, UINT64_MAX);
		}
	}
}

static size_t waiting(void)
{
	return xen_load(&store.ring->answers_produced) - store.ring->answers_consumed;
}

/* `out` may be NULL: then the bytes are dropped. */
static void get(void *out, size_t size)
{
	struct store_ring *ring = store.ring;
	char *bytes = out;
	while (size > 0) {
		while (waiting() == 0)
			xen_wait(&store.port, 1, UINT64_MAX);
		size_t part = waiting() < size ? waiting() : size;
		for (size_t i = 0; bytes && i < part; i++)
			*bytes++ =
				ring->answers[(ring->answers_consumed + i) % sizeof(ring->answers)];
		xen_store(&ring->answers_consumed, ring->answers_consumed + (uint32_t)part);
		xen_notify(store.port);
		size -= part;
	}
}

/* The next answer; changes that come in between are noted. */
static bool answer(char *out, size_t size)
{
	struct head head;
	get(&head, sizeof(head));
	while (head.type == WATCH_EVENT) {
		store.changed = true;
		get(NULL, head.size);
		get(&head, sizeof(head));
	}
	bool fits = head.type != FAILURE && (!out || head.size < size);
	get(fits && out ? out : NULL, head.size);
	if (fits && out)
		out[head.size] = '\0';
	return fits;
}

static bool ask(uint32_t type, const char *path, const char *value, size_t value_size, char *out,
	size_t out_size)
{
	if (!store.ring)
		return false;
	size_t path_size = strlen(path) + 1;
	const struct head head = {.type = type, .size = (uint32_t)(path_size + value_size)};
	put(&head, sizeof(head));
	put(path, path_size);
	put(value, value_size);
	xen_notify(store.port);
	return answer(out, out_size);
}

bool xenstore_read(const char *path, char *out, size_t size)
{
	return ask(READ, path, NULL, 0, out, size);
}

bool xenstore_write(const char *path, const char *value)
{
	return ask(WRITE, path, value, strlen(value), NULL, 0);
}

bool xenstore_watch(const char *path)
{
	return ask(WATCH, path, "w", sizeof("w"), NULL, 0);
}

bool xenstore_changed(void)
{
	struct head head;
	while (store.ring && waiting() > 0) { /* nothing but a change comes unasked */
		get(&head, sizeof(head));
		get(NULL, head.size);
		store.changed = true;
	}
	bool changed = store.changed;
	store.changed = false;
	return changed;
}
