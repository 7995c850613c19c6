/* SPDX-License-Identifier: ISC */
#include "guest-kernel/platform/pvh.h"

#include <string.h>

/* Xen, public/arch-x86/hvm/start_info.h */
#define START_MAGIC        0x336ec578
#define START_VERSION      1 /* the first with a memory map */
#define MEMORY_RAM         1
#define MEMORY_MAP_ENTRIES 128 /* more than any firmware makes */
#define ADDRESS_LIMIT      0xc0000000ull

struct start_info {
	uint32_t magic, version, flags, modules;
	uint64_t module_list, command_line, rsdp, memory_map;
	uint32_t memory_map_entries, reserved;
};

struct module {
	uint64_t address, size, command_line, reserved;
};

struct memory_map_entry {
	uint64_t address, size;
	uint32_t type, reserved;
};

extern char kernel_end[];

/* Takes `used` out of `range`, and keeps the larger part that is left. */
static struct memory_range without(struct memory_range range, uintptr_t start, uintptr_t end)
{
	if (end <= range.start || start >= range.end)
		return range;
	uintptr_t before = start > range.start ? start - range.start : 0;
	uintptr_t after = end < range.end ? range.end - end : 0;
	if (before > after)
		range.end = start;
	else
		range.start = after ? end : range.end;
	return range;
}

static void find_heap(const struct start_info *info, struct boot_info *out)
{
	const struct memory_map_entry *map = (const void *)info->memory_map;
	uintptr_t initrd = (uintptr_t)out->initrd;
	for (uint32_t i = 0; i < info->memory_map_entries && i < MEMORY_MAP_ENTRIES; i++) {
		if (map[i].type != MEMORY_RAM || map[i].address >= ADDRESS_LIMIT)
			continue;
		struct memory_range range = {map[i].address, ADDRESS_LIMIT};
		if (map[i].size < ADDRESS_LIMIT - map[i].address)
			range.end = map[i].address + map[i].size;
		range = without(range, 0, (uintptr_t)kernel_end);
		range = without(range, initrd, initrd + out->initrd_size);
		if (range.end - range.start > out->heap.end - out->heap.start)
			out->heap = range;
	}
}

const char *pvh_boot_info(uintptr_t start_info, struct boot_info *out)
{
	const struct start_info *info = (const struct start_info *)start_info;
	if (!info || info->magic != START_MAGIC)
		return "the loader left no PVH start info";
	if (info->version < START_VERSION || !info->memory_map || !info->memory_map_entries)
		return "the loader's PVH start info has no memory map";
	if (info->command_line) {
		const char *line = (const char *)info->command_line;
		size_t size = strnlen(line, sizeof(out->command_line));
		if (size == sizeof(out->command_line))
			return "the command line is longer than 2047 bytes";
		memcpy(out->command_line, line, size + 1);
	}
	if (info->modules > 0) {
		const struct module *module = (const struct module *)info->module_list;
		if (module->address >= 1ull << 32 || module->size > (1ull << 32) - module->address)
			return "the initrd lies above 4 GiB";
		out->initrd = (const void *)module->address;
		out->initrd_size = module->size;
	}
	find_heap(info, out);
	return NULL;
}
