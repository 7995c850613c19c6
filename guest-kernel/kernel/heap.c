/* SPDX-License-Identifier: ISC */
#include "guest-kernel/kernel/heap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "guest-kernel/kernel/panic.h"

/*
 * Blocks of 2^n bytes, a list of free ones for each n; what no list has is cut from the untouched
 * end of memory. Blocks are never split or merged: a server asks for the same few sizes again and
 * again, so that the lists soon have them all, and both operations take a handful of instructions.
 */
#define SMALLEST_SHIFT 5
#define LARGEST_SHIFT  31
#define MAGIC_USED     0x75736564u
#define MAGIC_FREE     0x66726565u

struct block {
	uint32_t magic, shift;
	struct block *next; /* of a free block; padding of one in use, which keeps data aligned */
};

static struct {
	uintptr_t unused, end;
	struct block *free[LARGEST_SHIFT + 1];
} heap;

void heap_init(uintptr_t start, uintptr_t end)
{
	heap.unused = (start + 63) & ~63ul;
	heap.end = end;
}

static struct block *cut(unsigned shift)
{
	size_t size = 1ul << shift;
	if (heap.unused > heap.end || heap.end - heap.unused < size)
		return NULL;
	struct block *block = (struct block *)heap.unused;
	heap.unused += size;
	return block;
}

void *malloc(size_t size)
{
	if (size > (1ul << LARGEST_SHIFT) - sizeof(struct block)) {
		errno = ENOMEM;
		return NULL;
	}
	unsigned shift = SMALLEST_SHIFT;
	while ((1ul << shift) < size + sizeof(struct block))
		shift++;
	struct block *block = heap.free[shift];
	if (block)
		heap.free[shift] = block->next;
	else
		block = cut(shift);
	if (!block) {
		errno = ENOMEM;
		return NULL;
	}
	*block = (struct block){.magic = MAGIC_USED, .shift = shift};
	return block + 1;
}

static struct block *block_of(void *data)
{
	struct block *block = (struct block *)data - 1;
	if (block->magic != MAGIC_USED || block->shift > LARGEST_SHIFT)
		panic("heap: %p was %s", data,
			block->magic == MAGIC_FREE ? "freed twice"
						   : "overwritten or never allocated");
	return block;
}

void free(void *data)
{
	if (!data)
		return;
	struct block *block = block_of(data);
	block->magic = MAGIC_FREE;
	block->next = heap.free[block->shift];
	heap.free[block->shift] = block;
}

void *calloc(size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	void *data = malloc(bytes);
	/* The barrier keeps the compiler from making a call of calloc() out of this. */
	__asm__("" : "+r"(data));
	return data ? memset(data, 0, bytes) : NULL;
}

void *realloc(void *data, size_t size)
{
	if (!data)
		return malloc(size);
	size_t room = (1ul << block_of(data)->shift) - sizeof(struct block);
	if (size <= room)
		return data;
	void *larger = malloc(size);
	if (!larger)
		return NULL;
	memcpy(larger, data, room);
	free(data);
	return larger;
}
