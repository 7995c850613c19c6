/* SPDX-License-Identifier: ISC */
#include "guest-kernel/kernel/interrupts.h"

#include <stddef.h>
#include <stdint.h>

#define CODE_SELECTOR  0x08
#define TASK_SELECTOR  0x18
#define INTERRUPT_GATE 0x8e /* present, ring 0, interrupts disabled */
#define EXCEPTIONS     32

/* Intel SDM volume 3, "64-Bit IDT Gate Descriptors" and "TSS Format in 64-bit Mode" */
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

/* kernel/start.S */
extern const uint32_t exception_stubs[EXCEPTIONS];
extern uint64_t gdt[];
extern char exception_stack_top[], interrupt_wake[], interrupt_spurious[];

static struct gate gates[256];
static struct task_state task_state;

static void set_gate(unsigned vector, uintptr_t handler, uint8_t stack)
{
	gates[vector] = (struct gate){
		.offset_low = (uint16_t)handler,
		.selector = CODE_SELECTOR,
		.stack = stack,
		.type = INTERRUPT_GATE,
		.offset_middle = (uint16_t)(handler >> 16),
		.offset_high = (uint32_t)(handler >> 32),
	};
}

static void load_task_state(void)
{
	uintptr_t base = (uintptr_t)&task_state;
	task_state.ist[0] = (uintptr_t)exception_stack_top;
	task_state.io_bitmap = sizeof(task_state);
	gdt[TASK_SELECTOR / 8] = (sizeof(task_state) - 1) | (base & 0xffffff) << 16 | 0x89ul << 40 |
				 (base >> 24 & 0xff) << 56;
	gdt[TASK_SELECTOR / 8 + 1] = base >> 32;
	__asm__ volatile("ltr %w0" : : "r"(TASK_SELECTOR));
}

void interrupts_init(void)
{
	for (unsigned i = 0; i < EXCEPTIONS; i++)
		set_gate(i, exception_stubs[i], 1);
	set_gate(VECTOR_WAKE, (uintptr_t)interrupt_wake, 0);
	set_gate(VECTOR_SPURIOUS, (uintptr_t)interrupt_spurious, 0);
	load_task_state();
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = {sizeof(gates) - 1, (uintptr_t)gates};
	__asm__ volatile("lidt %0" : : "m"(pointer));
}
