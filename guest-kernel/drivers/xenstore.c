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
	uint32_t unanswered; /* of those that nobody waits for */
	bool changed;
} store;

void xenstore_init(void)
{
	store.port = (uint32_t)xen_parameter(XEN_STORE_PORT);
	uint64_t frame = xen_parameter(XEN_STORE_FRAME);
	store.ring = frame ? xen_special_page(frame) : NULL;
	store.unanswered = 0;
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
static void answer(char *out, size_t size)
{
	struct head head;
	get(&head, sizeof(head));
	while (head.type == WATCH_EVENT) {
		store.changed = true;
		get(NULL, head.size);
		get(&head, sizeof(head));
	}
	bool fits = out && head.type != FAILURE && head.size < size;
	get(fits ? out : NULL, head.size);
	if (out)
		out[fits ? head.size : 0] = '\0';
}

static void ask(uint32_t type, const char *path, const char *value, size_t value_size)
{
	size_t path_size = strlen(path) + 1;
	const struct head head = {.type = type, .size = (uint32_t)(path_size + value_size)};
	if (!store.ring)
		return;
	put(&head, sizeof(head));
	put(path, path_size);
	put(value, value_size);
}

void xenstore_read(const struct xenstore_value *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		values[i].out[0] = '\0';
		ask(READ, values[i].path, NULL, 0);
	}
	if (!store.ring)
		return;
	xen_notify(store.port);
	for (; store.unanswered > 0; store.unanswered--)
		answer(NULL, 0);
	for (size_t i = 0; i < count; i++)
		answer(values[i].out, values[i].size);
}

void xenstore_write(const char *path, const char *value)
{
	ask(WRITE, path, value, strlen(value));
	store.unanswered++;
}

void xenstore_watch(const char *path)
{
	ask(WATCH, path, "w", sizeof("w"));
	store.unanswered++;
}

void xenstore_flush(void)
{
	xen_notify(store.port);
}

bool xenstore_changed(void)
{
	struct head head;
	while (store.ring && waiting() > 0) { /* nothing else comes unasked */
		get(&head, sizeof(head));
		get(NULL, head.size);
		if (head.type == WATCH_EVENT)
			store.changed = true;
		else
			store.unanswered--;
	}
	bool changed = store.changed;
	store.changed = false;
	return changed;
}
