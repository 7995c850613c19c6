/* SPDX-License-Identifier: ISC */
#include "guest-kernel/drivers/virtqueue.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_SIZE              4096ul
#define DESCRIPTOR_WRITE       2
#define AVAILABLE_NO_INTERRUPT 1
#define USED_NO_NOTIFY         1

struct virtqueue_descriptor {
	uint64_t address;
	uint32_t size;
	uint16_t flags, next;
};

struct virtqueue_available {
	uint16_t flags, index, ring[];
};

struct virtqueue_used {
	uint16_t flags, index;
	struct {
		uint32_t id, size;
	} ring[];
};

/* x86 keeps stores and loads in order, but for a load that overtakes an earlier store. */
static inline void compiler_barrier(void)
{
	__asm__ volatile("" : : : "memory");
}

static inline void full_barrier(void)
{
	__asm__ volatile("mfence" : : : "memory");
}

static uintptr_t page_align(uintptr_t address)
{
	return (address + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
}

bool virtqueue_init(struct virtqueue *queue, uint16_t size)
{
	if (size == 0 || size > VIRTQUEUE_SIZE_MAX || (size & (size - 1)))
		return false;
	size_t front = size * sizeof(struct virtqueue_descriptor) + 6 + 2ul * size;
	size_t back = 6 + 8ul * size;
	uint16_t buffers = size < VIRTQUEUE_BUFFERS ? size : VIRTQUEUE_BUFFERS;
	size_t rings = page_align(front) + page_align(back);
	char *memory = malloc(rings + PAGE_SIZE + (size_t)buffers * VIRTQUEUE_BUFFER);
	if (!memory)
		return false;
	memory = (char *)page_align((uintptr_t)memory);
	*queue = (struct virtqueue){
		.size = size,
		.buffers = buffers,
		.descriptors = (struct virtqueue_descriptor *)(void *)memory,
		.available_ring = (void *)(memory + size * sizeof(struct virtqueue_descriptor)),
		.used_ring = (void *)(memory + page_align(front)),
		.data = (void *)(memory + rings),
	};
	memset(memory, 0, rings);
	while (queue->free_count < buffers) {
		queue->free[queue->free_count] = queue->free_count;
		queue->free_count++;
	}
	return true;
}

int virtqueue_take(struct virtqueue *queue)
{
	return queue->free_count ? queue->free[--queue->free_count] : -1;
}

void virtqueue_free(struct virtqueue *queue, uint16_t buffer)
{
	queue->free[queue->free_count++] = buffer;
}

void virtqueue_give(struct virtqueue *queue, uint16_t buffer, uint32_t size, bool device_writes)
{
	queue->descriptors[buffer] = (struct virtqueue_descriptor){
		.address = (uintptr_t)queue->data[buffer],
		.size = size,
		.flags = device_writes ? DESCRIPTOR_WRITE : 0,
	};
	queue->available_ring->ring[queue->available % queue->size] = buffer;
	compiler_barrier();
	queue->available_ring->index = ++queue->available;
}

bool virtqueue_has_used(const struct virtqueue *queue)
{
	return queue->used_ring->index != queue->used_seen;
}

int virtqueue_collect(struct virtqueue *queue, uint32_t *size)
{
	if (!virtqueue_has_used(queue))
		return -1;
	compiler_barrier();
	uint16_t at = queue->used_seen++ % queue->size;
	uint32_t id = queue->used_ring->ring[at].id;
	*size = queue->used_ring->ring[at].size;
	return id < queue->buffers ? (int)id : -1;
}

bool virtqueue_must_notify(const struct virtqueue *queue)
{
	full_barrier();
	return !(queue->used_ring->flags & USED_NO_NOTIFY);
}

void virtqueue_interrupts(struct virtqueue *queue, bool enable)
{
	queue->available_ring->flags = enable ? 0 : AVAILABLE_NO_INTERRUPT;
	full_barrier();
}
