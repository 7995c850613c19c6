/* SPDX-License-Identifier: ISC */
/*
 * The guest of the backends' suite: one word of its command line says what it does, so that the
 * suite needs no other guest.
 *
 *   guest.do=ready   (or nothing) prints "summond: ready after 0 us" and sleeps
 *   guest.do=silent  prints nothing and sleeps
 *   guest.do=flood   prints the line, then numbered lines without end
 *   guest.do=off     prints the line and powers off (ACPI sleep register of QEMU's microvm)
 *   guest.do=button  prints the line, waits for the power button and powers off
 *   guest.do=crash   prints the line and triple-faults
 *
 * On Xen (xen.h), it uses Xen's console, and what Xen has for the power and its button.
 *
 * It is entered by the PVH protocol (Xen, docs/misc/pvh.pandoc): 32-bit protected mode, no paging,
 * EBX holds the address of struct hvm_start_info (Xen, public/arch-x86/hvm/start_info.h).
 */
#include <stdbool.h>
#include <stdint.h>

#include "xen.h"

#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define COM1                     0x3f8
#define LINE_STATUS              5
#define TRANSMITTER_EMPTY        0x20

/* QEMU, hw/i386/microvm.c and docs/specs/acpi_hw_reduced_hotplug: ACPI's generic event device. */
#define GED_EVENTS         0xfea00000u
#define EVENT_POWER_BUTTON (1u << 1)
#define GED_SLEEP_CONTROL  0xfea00200u
#define SLEEP_TYPE_OFF     (5 << 2)
#define SLEEP_ENABLE       (1 << 5)

struct start_info {
	uint32_t magic, version, flags, module_count;
	uint64_t modules, cmdline;
};

__asm__(".pushsection .note.pvh, \"a\", @note\n"
	".balign 4\n"
	".long 4, 4, 18\n" /* name size, description size, XEN_ELFNOTE_PHYS32_ENTRY */
	".asciz \"Xen\"\n"
	".long start\n"
	".long 4, 4, 14\n" /* XEN_ELFNOTE_SUSPEND_CANCEL: it can be suspended */
	".asciz \"Xen\"\n"
	".long 1\n"
	".popsection\n"
	".pushsection .text.start, \"ax\"\n"
	".global start\n"
	"start: mov $stack_top, %esp\n"
	"push %ebx\n"
	"call guest_main\n"
	"asleep: cli\n"
	"hlt\n"
	"jmp asleep\n"
	".popsection\n"
	".pushsection .bss\n"
	".balign 16\n"
	".skip 4096\n"
	"stack_top:\n"
	".popsection\n");

static void port_write(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t port_read(uint16_t port)
{
	uint8_t value;
	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static bool on_xen;

static void print(const char *text)
{
	if (on_xen) {
		xen_print(text);
		return;
	}
	for (; *text; text++) {
		while (!(port_read(COM1 + LINE_STATUS) & TRANSMITTER_EMPTY))
			;
		port_write(COM1, (uint8_t)*text);
	}
}

static void print_number(uint32_t number)
{
	char digits[11], *end = digits + sizeof(digits) - 1;
	*end = '\0';
	do
		*--end = (char)('0' + number % 10);
	while (number /= 10);
	print(end);
}

/* The first letter of the word's value; 'r' without the word. */
static char task_read(const char *cmdline)
{
	static const char key[] = "guest.do=";
	for (; *cmdline; cmdline++) {
		unsigned i = 0;
		while (key[i] && cmdline[i] == key[i])
			i++;
		if (!key[i])
			return cmdline[i];
	}
	return 'r';
}

static void flood(void)
{
	for (uint32_t i = 0;; i++) {
		print("line ");
		print_number(i);
		print("\n");
	}
}

static void power_off(void)
{
	if (on_xen)
		xen_power_off();
	*(volatile uint8_t *)GED_SLEEP_CONTROL = SLEEP_TYPE_OFF | SLEEP_ENABLE;
}

static void obey(void)
{
	if (on_xen)
		xen_wait(true);
	while (!on_xen && !(*(volatile uint32_t *)GED_EVENTS & EVENT_POWER_BUTTON))
		;
	power_off();
}

static void triple_fault(void)
{
	static const struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) no_table = {0, 0};
	__asm__ volatile("lidt %0\nud2" : : "m"(no_table));
}

void guest_main(const struct start_info *info);
void guest_main(const struct start_info *info)
{
	char task = task_read(info->cmdline ? (const char *)(uintptr_t)info->cmdline : "");
	on_xen = xen_open();
	if (task != 's')
		print("summond: ready after 0 us\n");
	if (task == 'f')
		flood();
	if (task == 'o')
		power_off();
	if (task == 'b')
		obey();
	if (task == 'c')
		triple_fault();
	if (on_xen)
		xen_wait(false); /* to halt for good would be to power off */
}
