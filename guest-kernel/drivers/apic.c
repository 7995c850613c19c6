/* SPDX-License-Identifier: ISC */
#include "guest-kernel/drivers/apic.h"

#include "guest-kernel/kernel/cpu.h"
#include "guest-kernel/kernel/interrupts.h"

/* Local APIC: Intel SDM volume 3, "Advanced Programmable Interrupt Controller" */
#define LOCAL           0xfee00000ul
#define TASK_PRIORITY   (LOCAL + 0x80)
#define SPURIOUS        (LOCAL + 0xf0)
#define TIMER           (LOCAL + 0x320)
#define LINT0           (LOCAL + 0x350)
#define TIMER_INITIAL   (LOCAL + 0x380)
#define TIMER_CURRENT   (LOCAL + 0x390)
#define TIMER_DIVIDE    (LOCAL + 0x3e0)
#define MASKED          (1u << 16)
#define SOFTWARE_ENABLE (1u << 8)
#define DIVIDE_BY_1     0xb
#define DIVIDE_BY_128   0xa

/* I/O APIC: Intel 82093AA. QEMU's microvm has a second one for interrupts from 24 on. */
#define IO_FIRST  0xfec00000ul
#define IO_SECOND 0xfec10000ul
#define IO_PINS   24u

#define PIC_MASTER_MASK 0x21
#define PIC_SLAVE_MASK  0xa1

#define PIT_CONTROL  0x43
#define PIT_ONE_SHOT 0x30 /* counter 0, mode 0: counts once, when it is given a count */

void apic_init(void)
{
	out8(PIC_MASTER_MASK, 0xff);
	out8(PIC_SLAVE_MASK, 0xff);
	/* The old timer ticks on behind its mask, and costs the host 40 wake-ups a second. */
	out8(PIT_CONTROL, PIT_ONE_SHOT);
	mmio_write32(SPURIOUS, SOFTWARE_ENABLE | VECTOR_SPURIOUS);
	mmio_write32(TASK_PRIORITY, 0);
	mmio_write32(LINT0, MASKED);
	mmio_write32(TIMER_DIVIDE, DIVIDE_BY_1);
	mmio_write32(TIMER, MASKED);
	mmio_write32(TIMER_INITIAL, UINT32_MAX);
}

/* The bus behind the timer runs at 1 GHz in QEMU and in KVM (APIC_BUS_CYCLE_NS). */
uint64_t apic_reference_ns(void)
{
	return UINT32_MAX - mmio_read32(TIMER_CURRENT);
}

void apic_enable_interrupt(unsigned gsi)
{
	uintptr_t base = gsi < IO_PINS ? IO_FIRST : IO_SECOND;
	uint32_t entry = 0x10 + 2 * (gsi % IO_PINS);
	mmio_write32(base, entry + 1);
	mmio_write32(base + 0x10, 0);
	mmio_write32(base, entry);
	mmio_write32(base + 0x10, VECTOR_WAKE);
}

bool apic_has_second(void)
{
	const uint32_t version = 1;
	mmio_write32(IO_SECOND, version);
	uint32_t value = mmio_read32(IO_SECOND + 0x10);
	return value != 0 && value != UINT32_MAX;
}

void apic_wait(uint64_t ns)
{
	uint64_t ticks = ns / 128 + 1;
	mmio_write32(TIMER_DIVIDE, DIVIDE_BY_128);
	mmio_write32(TIMER, VECTOR_WAKE);
	mmio_write32(TIMER_INITIAL, ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX);
	cpu_wait_for_interrupt();
}
