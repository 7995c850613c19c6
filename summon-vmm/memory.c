/* SPDX-License-Identifier: ISC */
#include "summon-vmm/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest-kernel/include/summon_abi.h"
#include "summon-vmm/file.h"

#define USUAL_IMAGE (384ull << 10)
/* A mapping, and the first touch of each of its pages, costs more than copies of so few. */
#define MAP_LEAST   (64ull << 10)

_Static_assert(LAYOUT_TRANSMIT + sizeof(struct summon_ring) <= LAYOUT_RECEIVE, "rings overlap");
_Static_assert(LAYOUT_RECEIVE + sizeof(struct summon_ring) <= LAYOUT_TABLES, "ring too large");
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
	*memory = (struct memory){.bytes = bytes, .size = size, .whole = size};
	return 0;
}

int memory_init_in_place(struct memory *memory, uint64_t size, struct error *err)
{
	void *wanted = (void *)(uintptr_t)LAYOUT_BOOT;
	int result = check_size(size, err);
	if (result < 0)
		return result;
	void *bytes = mmap(wanted, size - LAYOUT_BOOT, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (bytes == MAP_FAILED && errno == EPERM)
		return error_set(err, -EPERM,
			"no memory at address %#llx: the sysctl vm.mmap_min_addr is higher",
			LAYOUT_BOOT);
	if (bytes == MAP_FAILED)
		return error_set(err, -errno, "%" PRIu64 " bytes of memory at address %#llx: %s",
			size, LAYOUT_BOOT, strerror(errno));
	*memory =
		(struct memory){.bytes = bytes, .start = LAYOUT_BOOT, .size = size, .whole = size};
	if (bytes == wanted)
		return 0;
	memory_finish(memory); /* a kernel before 4.17 takes it for a wish */
	return error_set(err, -ENOMEM, "address %#llx is taken", LAYOUT_BOOT);
}

int memory_limit(struct memory *memory, uint64_t size, struct error *err)
{
	int result = check_size(size, err);
	if (result == 0 && size > memory->whole)
		result = error_set(err, -EINVAL,
			"memory of %" PRIu64 " bytes: this monitor has %" PRIu64, size,
			memory->whole);
	if (result == 0)
		memory->size = size;
	return result;
}

void memory_clear(struct memory *memory)
{
	memory->size = memory->whole;
	memory->backed = SUMMON_IMAGE_MIN;
	uint64_t size = memory->size - SUMMON_IMAGE_MIN;
	madvise(memory_at(memory, SUMMON_IMAGE_MIN, size), size, MADV_DONTNEED);
}

void memory_populate(struct memory *memory)
{
	static const struct {
		uint64_t start, size;
		bool of_a_machine;
	} parts[] = {
		{LAYOUT_BOOT, 5 * PAGE, false}, /* with the first frames to send */
		{LAYOUT_RECEIVE, 2 * PAGE, false},
		{LAYOUT_TABLES, 8 * PAGE, true},
		{LAYOUT_CPU, 2 * PAGE, true},
	};
	bool is_machine = memory->start == 0;
	/* Where the kernel cannot, the pages come when they are touched. */
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (is_machine || !parts[i].of_a_machine)
			madvise(memory_at(memory, parts[i].start, parts[i].size), parts[i].size,
				MADV_POPULATE_WRITE);
	memory->backed = SUMMON_IMAGE_MIN;
}

void memory_populate_image(struct memory *memory)
{
	memory_back(memory, SUMMON_IMAGE_MIN, USUAL_IMAGE);
	memory->backed = SUMMON_IMAGE_MIN + USUAL_IMAGE;
}

void memory_back(const struct memory *memory, uint64_t address, uint64_t size)
{
	uint64_t start = address & ~(PAGE - 1), end = (address + size + PAGE - 1) & ~(PAGE - 1);
	if (start < memory->backed)
		start = memory->backed;
	if (end > memory->size)
		end = memory->size;
	if (start < end)
		madvise(memory_at(memory, start, end - start), end - start, MADV_POPULATE_WRITE);
}

void memory_watch(struct memory *memory)
{
	int file = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	memory->is_watched = file >= 0 && dup3(file, MEMORY_PAGEMAP, O_CLOEXEC) >= 0;
	if (file >= 0 && file != MEMORY_PAGEMAP)
		close(file);
}

void memory_finish(struct memory *memory)
{
	if (memory->bytes)
		munmap(memory->bytes, memory->whole - memory->start);
	if (memory->is_watched)
		close(MEMORY_PAGEMAP);
	*memory = (struct memory){0};
}

void *memory_at(const struct memory *memory, uint64_t address, uint64_t size)
{
	if (address < memory->start || address > memory->size || size > memory->size - address)
		return NULL;
	return memory->bytes + (address - memory->start);
}

static int map(struct memory *memory, uint64_t address, uint64_t size, int file, uint64_t offset)
{
	size = (size + PAGE - 1) & ~(PAGE - 1);
	void *place = memory_at(memory, address, size);
	if (!place || memory->mapped_count == MEMORY_PIECES)
		return -ENOMEM;
	if (mmap(place, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file,
		    (off_t)offset) == MAP_FAILED)
		return -errno;
	memory->mapped[memory->mapped_count++] = (struct memory_piece){address, address + size};
	return 0;
}

int memory_load(struct memory *memory, uint64_t address, uint64_t size, int file, uint64_t offset)
{
	uint64_t copied = address < memory->backed ? memory->backed - address : 0;
	if (memory->only_copies && size > memory->copy_left)
		return -E2BIG;
	if (memory->only_copies || copied > size || size - copied < MAP_LEAST)
		copied = size;
	memory->copy_left -= memory->only_copies ? size : 0;
	void *place = memory_at(memory, address, size);
	int result = place ? file_read(file, place, copied, offset) : -EFAULT;
	if (result == 0 && copied < size)
		result = map(memory, address + copied, size - copied, file, offset + copied);
	return result;
}

bool memory_is_zero(const uint8_t page[PAGE])
{
	uint64_t words[8], any = 0;
	for (size_t at = 0; at < PAGE && !any; at += sizeof(words)) {
		memcpy(words, page + at, sizeof(words));
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			any |= words[i];
	}
	return any == 0;
}

bool memory_is_mapped(const struct memory *memory, uint64_t address)
{
	for (unsigned i = 0; i < memory->mapped_count; i++)
		if (address >= memory->mapped[i].start && address < memory->mapped[i].end)
			return true;
	return false;
}

#define PAGEMAP_USED (3ull << 62) /* present, or swapped out */

void memory_look(const struct memory *memory, uint64_t address, unsigned count, bool *used)
{
	uint64_t entries[MEMORY_LOOK];
	uint64_t first = (uint64_t)(uintptr_t)memory_at(memory, address, count * PAGE) / PAGE;
	bool known =
		memory->is_watched && file_read(MEMORY_PAGEMAP, entries, count * sizeof(entries[0]),
					      first * sizeof(entries[0])) == 0;
	for (unsigned i = 0; i < count; i++)
		used[i] = !known || (entries[i] & PAGEMAP_USED) ||
			  memory_is_mapped(memory, address + i * PAGE);
}
