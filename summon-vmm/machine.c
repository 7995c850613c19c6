/* SPDX-License-Identifier: ISC */
#include "summon-vmm/machine.h"

#include <errno.h>
#include <string.h>

#include "summon-vmm/rights.h"

/* ---- page tables ---- */

/* With the accessed and the dirty bit, so that the CPU need not write them; KVM without nested paging
 * also maps what lies around a page that is touched, where it has been accessed. */
#define PRESENT    0x61ull
#define WRITE      2ull
#define USER       4ull
#define LARGE      0x80ull
#define NO_EXECUTE (1ull << 63)
#define LARGE_PAGE 0x200000ull
#define ENTRIES    512
#define GIB        (1ull << 30)

/* In the order of their places from LAYOUT_TABLES on; the page tables proper follow. */
enum { LEVEL4, LEVEL3, LEVEL2, LEVEL2_COUNT = 3, LEVEL1 = LEVEL2 + LEVEL2_COUNT };

static const struct place {
	uint64_t start, end;
} places[MACHINE_TABLES_COUNT] = {
	[MACHINE_TABLES] = {LAYOUT_TABLES, LAYOUT_CPU},
	[MACHINE_TABLES_AHEAD] = {LAYOUT_AHEAD, LAYOUT_CALL_DOOR},
};

struct tables {
	const struct memory *memory;
	const struct place *place;
};

struct window {
	uint64_t start, size, flags;
};

/* What is the CPU's, and where calls leave the guest: below the image, besides what is the guest's. */
static const struct window windows[] = {
	{LAYOUT_CPU, PAGE, 0},
	{LAYOUT_CPU_STACK, PAGE, WRITE | NO_EXECUTE},
	{LAYOUT_CALL_DOOR, PAGE, USER | WRITE | NO_EXECUTE},
	{LAYOUT_TRAP_DOOR, PAGE, WRITE | NO_EXECUTE},
};

static uint64_t *table(const struct tables *tables, unsigned number)
{
	return memory_at(tables->memory, tables->place->start + number * PAGE, PAGE);
}

static uint64_t table_entry(const struct tables *tables, unsigned number)
{
	return (tables->place->start + number * PAGE) | PRESENT | WRITE | USER;
}

/* The doors have no memory behind them: they lead above all of it. */
static uint64_t physical(uint64_t address)
{
	bool is_door = address == LAYOUT_CALL_DOOR || address == LAYOUT_TRAP_DOOR;
	return is_door ? MEMORY_MAX + address : address;
}

static uint64_t machine_page(uint64_t address)
{
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++)
		if (address >= windows[i].start && address - windows[i].start < windows[i].size)
			return physical(address) | PRESENT | windows[i].flags;
	return 0;
}

static uint64_t guest_page(const struct image *image, uint64_t address)
{
	unsigned rights = rights_of(image, address);
	if (!rights)
		return 0;
	return address | PRESENT | USER | (rights & RIGHT_WRITE ? WRITE : 0) |
	       (rights & RIGHT_EXECUTE ? 0 : NO_EXECUTE);
}

static void fill_table(
	const struct memory *memory, const struct image *image, uint64_t *entries, uint64_t start)
{
	for (unsigned i = 0; i < ENTRIES; i++) {
		uint64_t address = start + i * PAGE;
		if (address < memory->size)
			entries[i] = guest_page(image, address) | machine_page(address);
	}
}

/* Below the image. */
static void build_first_table(const struct tables *tables)
{
	static const struct image none = {0};
	table(tables, LEVEL4)[0] = table_entry(tables, LEVEL3);
	table(tables, LEVEL3)[0] = table_entry(tables, LEVEL2);
	table(tables, LEVEL2)[0] = table_entry(tables, LEVEL1);
	for (uint64_t at = 0; at < SUMMON_IMAGE_MIN; at += PAGE)
		table(tables, LEVEL1)[at / PAGE] = guest_page(&none, at) | machine_page(at);
}

/* Small pages where rights differ, and at a ragged end of memory; large ones elsewhere. */
static int build_tables(const struct tables *tables, const struct image *image, struct error *err)
{
	const struct memory *memory = tables->memory;
	unsigned next = LEVEL1;
	unsigned count = (unsigned)((tables->place->end - tables->place->start) / PAGE);
	for (uint64_t at = 0; at < memory->size; at += LARGE_PAGE) {
		unsigned level2 = LEVEL2 + (unsigned)(at / GIB);
		uint64_t *entry = &table(tables, level2)[at / LARGE_PAGE % ENTRIES];
		table(tables, LEVEL3)[at / GIB] = table_entry(tables, level2);
		if (at >= image->end && memory->size - at >= LARGE_PAGE) {
			*entry = at | PRESENT | WRITE | USER | LARGE | NO_EXECUTE;
			continue;
		}
		if (next == count)
			return error_set(err, -EINVAL, "the image ends above %u MiB",
				2 * (count - LEVEL1 - 1));
		*entry = table_entry(tables, next);
		fill_table(memory, image, table(tables, next++), at);
	}
	return 0;
}

uint64_t machine_page_table(enum machine_tables where)
{
	return places[where].start;
}

/* ---- descriptor tables ---- */

#define EXCEPTIONS     32
#define STUBS          (LAYOUT_CPU + 0x400)
#define STUB_SIZE      16
#define INTERRUPT_GATE 0x8e /* present, only the CPU itself may use it */
/* Those for which the CPU pushes an error code: 8, 10 to 14, 17, 21, 29, 30. */
#define HAS_CODE       0x60227d00u

struct gate {
	uint16_t offset_low, selector;
	uint8_t stack, type;
	uint16_t offset_middle;
	uint32_t offset_high, reserved;
};

struct task_state {
	uint32_t reserved0;
	uint64_t rsp[3], reserved1, ist[7], reserved2;
	uint16_t reserved3, io_bitmap;
} __attribute__((packed));

_Static_assert(sizeof(struct task_state) == MACHINE_TSS_SIZE, "as the CPU wants it");
_Static_assert(sizeof(struct gate) * EXCEPTIONS == MACHINE_IDT_SIZE, "likewise");

/* With the accessed bits set, so that the CPU need not write them. */
static const uint64_t gdt[MACHINE_GDT_SIZE / 8] = {
	0,
	0x00af9b000000ffff,
	0x00cf93000000ffff,
	0x00cff3000000ffff,
	0x00affb000000ffff,
	(MACHINE_TSS_SIZE - 1) | (MACHINE_TSS & 0xffffff) << 16 | 0x8bull << 40,
};

/* push 0 (where the CPU has pushed no code); push vector; mov [LAYOUT_TRAP_DOOR], rax; jmp . */
static void write_stub(uint8_t *stub, unsigned vector)
{
	static const uint64_t door = LAYOUT_TRAP_DOOR;
	if (!(HAS_CODE >> vector & 1))
		stub = mempcpy(stub, "\x6a\x00", 2);
	*stub++ = 0x6a;
	*stub++ = (uint8_t)vector;
	stub = mempcpy(stub, "\x48\xa3", 2);
	stub = mempcpy(stub, &door, sizeof(door));
	memcpy(stub, "\xeb\xfe", 2);
}

static void build_cpu(const struct memory *memory)
{
	struct gate *gates = memory_at(memory, MACHINE_IDT, MACHINE_IDT_SIZE);
	struct task_state *task = memory_at(memory, MACHINE_TSS, MACHINE_TSS_SIZE);
	memcpy(memory_at(memory, MACHINE_GDT, sizeof(gdt)), gdt, sizeof(gdt));
	task->rsp[0] = LAYOUT_CPU_STACK + PAGE;
	task->io_bitmap = sizeof(*task);
	for (unsigned i = 0; i < EXCEPTIONS; i++) {
		uint64_t stub = STUBS + i * STUB_SIZE;
		write_stub(memory_at(memory, stub, STUB_SIZE), i);
		gates[i] = (struct gate){
			.offset_low = (uint16_t)stub,
			.selector = MACHINE_CODE0,
			.type = INTERRUPT_GATE,
			.offset_middle = (uint16_t)(stub >> 16),
		};
	}
}

/* mov [LAYOUT_CALL_DOOR + 8 * n], rdi; ret: the address says which call, the value is its
 * argument, and no register has to be fetched from the CPU. */
static void build_calls(const struct memory *memory)
{
	uint8_t *page = memory_at(memory, LAYOUT_CALLS, PAGE);
	memset(page, 0xcc, PAGE);
	for (uint32_t i = 0; i < SUMMON_CALL_COUNT; i++) {
		uint32_t door = (uint32_t)LAYOUT_CALL_DOOR + 8 * i;
		uint8_t *code = mempcpy(page + i * SUMMON_CALL_SIZE, "\x48\x89\x3c\x25", 4);
		code = mempcpy(code, &door, sizeof(door));
		*code = 0xc3;
	}
}

static void prepare(const struct tables *tables)
{
	build_cpu(tables->memory);
	build_calls(tables->memory);
	build_first_table(tables);
}

void machine_prepare(const struct memory *memory)
{
	prepare(&(struct tables){memory, &places[MACHINE_TABLES]});
}

int machine_build(const struct memory *memory, const struct image *image, enum machine_tables where,
	struct error *err)
{
	const struct tables tables = {memory, &places[where]};
	prepare(&tables);
	return build_tables(&tables, image, err);
}

/* 0: mov al, [rdi]; add rdi, PAGE; cmp rdi, rsi; jb 0b; jmp KICK */
uint64_t machine_add_toucher(const struct memory *memory)
{
	static const uint8_t code[] = {0x8a, 0x07, 0x48, 0x81, 0xc7, 0x00, 0x10, 0x00, 0x00, 0x48,
		0x39, 0xf7, 0x72, 0xf2, 0xe9};
	const uint64_t at = LAYOUT_CALLS + SUMMON_CALL_COUNT * SUMMON_CALL_SIZE;
	int32_t back = SUMMON_CALL_KICK * SUMMON_CALL_SIZE -
		       (int32_t)(at - LAYOUT_CALLS + sizeof(code) + sizeof(back));
	uint8_t *end = mempcpy(memory_at(memory, at, PAGE / 2), code, sizeof(code));
	memcpy(end, &back, sizeof(back));
	return at;
}
