/* SPDX-License-Identifier: ISC */
#include "summon-vmm/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "guest-kernel/include/summon_abi.h"

#define USUAL_IMAGE (384ull << 10)

_Static_assert(LAYOUT_RECEIVE + sizeof(struct summon_ring) <= LAYOUT_TRANSMIT, "rings overlap");
_Static_assert(LAYOUT_TRANSMIT + sizeof(struct summon_ring) <= LAYOUT_TABLES, "ring too large");
_Static_assert(LAYOUT_TRAP_DOOR + PAGE <= SUMMON_IMAGE_MIN, "the image begins above");

static int check_size(uint64_t size, struct error *err)
{
	if (size >= MEMORY_MIN && size <= MEMORY_MAX && size % PAGE == 0)
		return 0;
	return error_set(err, -EINVAL,
		"memory of %" PRIu64
		" bytes: from 4MiB to 3GiB, in whole pages of 4KiB, is possible",
		size);
}

int memory_init(struct memory *memory, uint64_t size, struct error *err)
{
	int result = check_size(size, err);
	if (result < 0)
		return result;
	void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (bytes == MAP_FAILED)
		return error_set(
			err, -errno, "%" PRIu64 " bytes of memory: %s", size, strerror(errno));
	*memory = (struct memory){bytes, size};
	return 0;
}

int memory_limit(struct memory *memory, uint64_t size, struct error *err)
{
	int result = check_size(size, err);
	if (result == 0 && size > memory->size)
		result = error_set(err, -EINVAL,
			"memory of %" PRIu64 " bytes: this monitor has %" PRIu64, size,
			memory->size);
	if (result == 0)
		memory->size = size;
	return result;
}

void memory_populate(const struct memory *memory)
{
	static const struct {
		uint64_t start, size;
	} parts[] = {
		{LAYOUT_BOOT, 3 * PAGE},
		{LAYOUT_TABLES, 8 * PAGE},
		{LAYOUT_CPU, 2 * PAGE},
		{SUMMON_IMAGE_MIN, USUAL_IMAGE},
	};
	/* Where the kernel cannot, the pages come when they are touched. */
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		madvise(memory->bytes + parts[i].start, parts[i].size, MADV_POPULATE_WRITE);
}

void memory_finish(struct memory *memory)
{
	if (memory->bytes)
		munmap(memory->bytes, memory->size);
	*memory = (struct memory){0};
}

void *memory_at(const struct memory *memory, uint64_t address, uint64_t size)
{
	if (address > memory->size || size > memory->size - address)
		return NULL;
	return memory->bytes + address;
}
