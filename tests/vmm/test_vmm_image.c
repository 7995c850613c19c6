/* SPDX-License-Identifier: ISC */
/* What a file may make of itself: summon-vmm's image.c, and the page tables that machine.c makes of
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "summon-vmm/machine.h"
#include "tests/vmm/elf_maker.h"

#define MEMORY (9ull << 20) /* a ragged end: four and a half large pages */

static int load(struct image *image, const struct memory *memory, const void *bytes, size_t size,
	struct error *err)
{
	CLEANUP(close) int file = memfd_create("image", 0);
	assert_true(file >= 0);
	assert_int_equal(write(file, bytes, size), size);
	return image_load(image, memory, file, "a.elf", err);
}

static void refuse(const struct elf_file *file, size_t size, const char *why)
{
	struct memory memory;
	struct image image;
	struct error err = ERROR_INIT;
	assert_int_equal(memory_init(&memory, MEMORY, NULL), 0);
	assert_int_equal(load(&image, &memory, file, size, &err), -EINVAL);
	if (!strstr(err.message, why) || !strstr(err.message, "a.elf"))
		fail_msg("\"%s\" does not say \"%s\"", err.message, why);
	memory_finish(&memory);
}

static void loads_what_is_right(void **state)
{
	(void)state;
	const struct elf_file file = elf_make();
	struct memory memory;
	struct image image;
	struct error err = ERROR_INIT;
	assert_int_equal(memory_init(&memory, MEMORY, NULL), 0);
	if (load(&image, &memory, &file, sizeof(file), &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(image.count, 2);
	assert_int_equal(image.end, SUMMON_IMAGE_MIN + 0x4000);
	assert_true(image.segments[0].execute && !image.segments[0].write);
	assert_true(image.segments[1].write && !image.segments[1].execute);
	assert_memory_equal(memory_at(&memory, SUMMON_IMAGE_MIN, 16), file.code, 16);
	assert_int_equal(image.note.guards[0], SUMMON_IMAGE_MIN + 0x2000);
	memory_finish(&memory);
}

static void refuses_what_is_cut(void **state)
{
	(void)state;
	const struct elf_file file = elf_make();
	refuse(&file, 0, "cut short");
	refuse(&file, sizeof(file.header) - 1, "cut short");
	refuse(&file, offsetof(struct elf_file, note), "cut short");
	refuse(&file, offsetof(struct elf_file, code) + sizeof(file.code) - 1, "cut short");
}

static void refuses_what_is_no_executable(void **state)
{
	(void)state;
	struct elf_file file = elf_make();
	file.header.e_ident[EI_CLASS] = ELFCLASS32;
	refuse(&file, sizeof(file), "no executable for x86-64");
	file = elf_make();
	file.header.e_type = ET_DYN;
	refuse(&file, sizeof(file), "no executable for x86-64");
	file = elf_make();
	file.header.e_phnum = UINT16_MAX;
	refuse(&file, sizeof(file), "no executable for x86-64");
	file = elf_make();
	file.header.e_phoff = UINT64_MAX;
	refuse(&file, sizeof(file), "no executable for x86-64");
}

static void refuses_segments_that_cannot_be(void **state)
{
	(void)state;
	struct elf_file file = elf_make();
	file.data.p_memsz = MEMORY;
	refuse(&file, sizeof(file), "outside of the guest's memory");
	file = elf_make();
	file.data.p_vaddr = UINT64_MAX - 100;
	refuse(&file, sizeof(file), "outside of the guest's memory");
	file = elf_make();
	file.text.p_vaddr = 0x10000; /* the boot page */
	refuse(&file, sizeof(file), "outside of the guest's memory");
	file = elf_make();
	file.text.p_filesz = file.text.p_memsz + 1;
	refuse(&file, sizeof(file), "sizes contradict");
	file = elf_make();
	file.text.p_offset = UINT64_MAX;
	refuse(&file, sizeof(file), "sizes contradict");
	file = elf_make();
	file.text.p_flags |= PF_W;
	refuse(&file, sizeof(file), "writable and executable");
	file = elf_make();
	file.data.p_vaddr = SUMMON_IMAGE_MIN + 0x800;
	refuse(&file, sizeof(file), "share a page");
}

static void refuses_notes_that_cannot_be(void **state)
{
	(void)state;
	struct elf_file file = elf_make();
	file.header.e_phnum = 2;
	refuse(&file, sizeof(file), "no note says");
	file = elf_make();
	file.notes.header.n_descsz = UINT32_MAX;
	refuse(&file, sizeof(file), "no note says");
	file = elf_make();
	file.notes.name[0] = 'S';
	refuse(&file, sizeof(file), "no note says");
	file = elf_make();
	file.note.p_filesz = 4097;
	refuse(&file, sizeof(file), "4096");
	file = elf_make();
	file.notes.note.version++;
	refuse(&file, sizeof(file), "another version");
	file = elf_make();
	file.notes.note.thread = MEMORY;
	refuse(&file, sizeof(file), "names an address outside");
}

/* ---- page tables ---- */

#define PRESENT    1ull
#define WRITE      2ull
#define USER       4ull
#define NO_EXECUTE (1ull << 63)
#define ADDRESS    0x000ffffffffff000ull
#define RIGHTS     (PRESENT | WRITE | USER | NO_EXECUTE)

/* What the CPU would find: the entry for the page, with the rights of all levels; 0: unmapped. */
static uint64_t walk(const struct memory *memory, uint64_t address)
{
	uint64_t at = machine_page_table(MACHINE_TABLES), rights = PRESENT | WRITE | USER;
	for (int shift = 39; shift >= 12; shift -= 9) {
		const uint64_t *table = memory_at(memory, at & ADDRESS, PAGE);
		uint64_t entry = table ? table[address >> shift & 511] : 0;
		if (!(entry & PRESENT))
			return 0;
		rights = (rights & entry) | ((rights | entry) & NO_EXECUTE);
		at = entry;
		if (shift == 21 && (entry & 0x80))
			return ((entry & ADDRESS) + (address & 0x1ff000)) | rights;
	}
	return (at & ADDRESS) | rights;
}

static void maps_what_the_guest_may_touch(void **state)
{
	(void)state;
	static const struct {
		uint64_t address, rights;
	} expected[] = {
		{0, 0},
		{0xf000, 0},
		{LAYOUT_BOOT, PRESENT | USER | NO_EXECUTE},
		{LAYOUT_CALLS, PRESENT | USER},
		{LAYOUT_SHARED, RIGHTS},
		{LAYOUT_TRANSMIT + sizeof(struct summon_ring), 0},
		{LAYOUT_RECEIVE, RIGHTS},
		{LAYOUT_TRANSMIT, RIGHTS},
		{LAYOUT_CPU, PRESENT},
		{LAYOUT_CPU_STACK, PRESENT | WRITE | NO_EXECUTE},
		{LAYOUT_CPU_STACK + PAGE, 0},
		{SUMMON_IMAGE_MIN, PRESENT | USER},
		{SUMMON_IMAGE_MIN + 0x1000, RIGHTS},
		{SUMMON_IMAGE_MIN + 0x2000, 0}, /* the guard */
		{SUMMON_IMAGE_MIN + 0x3000, RIGHTS},
		{0x1ff000, RIGHTS},
		{0x200000, RIGHTS},
		{MEMORY - PAGE, RIGHTS},
		{MEMORY, 0},
		{1ull << 30, 0},
		{1ull << 39, 0},
		{UINT64_MAX << 12, 0},
	};
	const struct elf_file file = elf_make();
	struct memory memory;
	struct image image;
	assert_int_equal(memory_init(&memory, MEMORY, NULL), 0);
	assert_int_equal(load(&image, &memory, &file, sizeof(file), NULL), 0);
	assert_int_equal(machine_build(&memory, &image, MACHINE_TABLES, NULL), 0);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		uint64_t entry = walk(&memory, expected[i].address);
		if ((entry & RIGHTS) != expected[i].rights ||
			(entry && (entry & ADDRESS) != expected[i].address))
			fail_msg("%#lx is mapped by %#lx", expected[i].address, entry);
	}
	/* Nothing that decides about rights is mapped at all. */
	for (uint64_t at = LAYOUT_TABLES; at < LAYOUT_CPU; at += PAGE)
		assert_int_equal(walk(&memory, at), 0);
	assert_int_equal(walk(&memory, LAYOUT_CALL_DOOR) & ADDRESS, MEMORY_MAX + LAYOUT_CALL_DOOR);
	assert_int_equal(walk(&memory, LAYOUT_CALL_DOOR) & RIGHTS, RIGHTS);
	assert_int_equal(walk(&memory, LAYOUT_TRAP_DOOR) & RIGHTS, PRESENT | WRITE | NO_EXECUTE);
	memory_finish(&memory);
}

/* Each page of memory is mapped to itself or not at all. */
static void maps_nothing_twice(void **state)
{
	(void)state;
	const struct elf_file file = elf_make();
	struct memory memory;
	struct image image;
	assert_int_equal(memory_init(&memory, MEMORY, NULL), 0);
	assert_int_equal(load(&image, &memory, &file, sizeof(file), NULL), 0);
	assert_int_equal(machine_build(&memory, &image, MACHINE_TABLES, NULL), 0);
	for (uint64_t at = 0; at < MEMORY; at += PAGE) {
		uint64_t entry = walk(&memory, at);
		bool is_door = at == LAYOUT_CALL_DOOR || at == LAYOUT_TRAP_DOOR;
		assert_true(!entry || is_door || (entry & ADDRESS) == at);
		assert_false((entry & WRITE) && !(entry & NO_EXECUTE));
	}
	memory_finish(&memory);
}

static void bounds_memory(void **state)
{
	(void)state;
	struct memory memory;
	struct error err = ERROR_INIT;
	assert_int_equal(memory_init(&memory, MEMORY_MIN - PAGE, &err), -EINVAL);
	assert_non_null(strstr(err.message, "4MiB"));
	assert_int_equal(memory_init(&memory, MEMORY_MAX + PAGE, NULL), -EINVAL);
	assert_int_equal(memory_init(&memory, MEMORY_MIN + 1, NULL), -EINVAL);
	assert_int_equal(memory_init(&memory, MEMORY_MIN, NULL), 0);
	assert_non_null(memory_at(&memory, 0, MEMORY_MIN));
	assert_non_null(memory_at(&memory, MEMORY_MIN, 0));
	assert_null(memory_at(&memory, 0, MEMORY_MIN + 1));
	assert_null(memory_at(&memory, MEMORY_MIN - 7, 8));
	assert_null(memory_at(&memory, UINT64_MAX, 1));
	assert_null(memory_at(&memory, 8, UINT64_MAX));
	memory_finish(&memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads_what_is_right),
		cmocka_unit_test(refuses_what_is_cut),
		cmocka_unit_test(refuses_what_is_no_executable),
		cmocka_unit_test(refuses_segments_that_cannot_be),
		cmocka_unit_test(refuses_notes_that_cannot_be),
		cmocka_unit_test(maps_what_the_guest_may_touch),
		cmocka_unit_test(maps_nothing_twice),
		cmocka_unit_test(bounds_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
