/* SPDX-License-Identifier: ISC */
#include "summon-vmm/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "guest-kernel/include/summon_abi.h"

_Static_assert(LAYOUT_RECEIVE + sizeof(struct summon_ring) <= LAYOUT_TRANSMIT, "rings overlap");
_Static_assert(LAYOUT_TRANSMIT + sizeof(struct summon_ring) <= LAYOUT_TABLES, "ring too large");
_Static_assert(LAYOUT_TRAP_DOOR + PAGE <= SUMMON_IMAGE_MIN, "the image begins above");

int memory_init(struct memory *memory, uint64_t size, struct error *err)
{
	if (size < MEMORY_MIN || size > MEMORY_MAX || size % PAGE)
		return error_set(err, -EINVAL,
			"memory of %" PRIu64 " bytes: from 4MiB to 3GiB, in whole pages of 4KiB, "
			"is possible",
			size);
	void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (bytes == MAP_FAILED)
		return error_set(
			err, -errno, "%" PRIu64 " bytes of memory: %s", size, strerror(errno));
	*memory = (struct memory){bytes, size};
	return 0;
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
