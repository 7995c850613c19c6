/* SPDX-License-Identifier: ISC */
#include "guest-kernel/kernel/paging.h"

#include <stddef.h>
#include <stdint.h>

#define PAGE_SIZE     4096ul
#define LARGE_PAGE    0x200000ul
#define PAGE_PRESENT  1ul
#define PAGE_WRITE    2ul
#define PAGE_UNCACHED 0x18ul
#define PAGE_NX       (1ul << 63)
#define ENTRIES       512

/* kernel/start.S and kernel/kernel.ld */
extern uint64_t page_directories[], first_table[];
extern char text_start[], text_end[], rodata_end[], stack_guard[], exception_stack_guard[];

static uint64_t protection(uintptr_t address)
{
	if (address == 0 || address == (uintptr_t)stack_guard ||
		address == (uintptr_t)exception_stack_guard)
		return 0;
	if (address < (uintptr_t)text_start || address >= (uintptr_t)rodata_end)
		return PAGE_PRESENT | PAGE_WRITE | PAGE_NX;
	return address < (uintptr_t)text_end ? PAGE_PRESENT : PAGE_PRESENT | PAGE_NX;
}

static void forget_translations(void)
{
	__asm__ volatile("mov %%cr3, %%rax; mov %%rax, %%cr3" : : : "rax", "memory");
}

void paging_protect(void)
{
	for (size_t i = 0; i < ENTRIES; i++) {
		uint64_t flags = protection(i * PAGE_SIZE);
		first_table[i] = flags ? i * PAGE_SIZE | flags : 0;
	}
	page_directories[0] = (uintptr_t)first_table | PAGE_PRESENT | PAGE_WRITE;
	forget_translations();
}

void paging_cache(uintptr_t address)
{
	if (address < ENTRIES * ENTRIES * PAGE_SIZE * 4)
		page_directories[address / LARGE_PAGE] &= ~PAGE_UNCACHED;
	forget_translations();
}
