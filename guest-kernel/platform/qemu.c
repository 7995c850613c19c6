/* SPDX-License-Identifier: ISC */
#include "guest-kernel/platform/platform.h"

#include <stdnoreturn.h>

#include "guest-kernel/drivers/acpi.h"
#include "guest-kernel/drivers/apic.h"
#include "guest-kernel/drivers/pci.h"
#include "guest-kernel/drivers/serial.h"
#include "guest-kernel/drivers/virtio_net.h"
#include "guest-kernel/kernel/cpu.h"

/* QEMU's machines microvm, pc and q35, under KVM or without. */

#define PANIC_PORT    0x505 /* QEMU, docs/specs/pvpanic */
#define PANIC_CRASHED 1

/* isa-debug-exit, at the two addresses in common use: the value of QEMU's exit status is 2n+1. */
static const uint16_t exit_ports[] = {0x501, 0xf4};

static struct acpi acpi;

static bool detect(void)
{
	return true;
}

/* Neither of a microvm's buses is the PCI that answers at the host bridge's address. */
static bool is_microvm(void)
{
	return pci_read32(0, PCI_VENDOR) == 0xffffffff;
}

static void init(const char *command_line)
{
	(void)command_line;
	serial_init();
	apic_init();
	acpi = acpi_find(is_microvm());
}

/* Without ACPI a microvm names its devices on the command line; with ACPI, in tables, which say
 * what is here (QEMU, include/hw/i386/microvm.h and hw/i386/microvm.c). */
static bool probe_microvm(struct virtio *virtio)
{
	struct virtio_mmio_slots slots = {0xfeb00000, 512, 8, 16};
	if (apic_has_second())
		slots.count = slots.gsi = 24;
	return virtio_mmio_probe(virtio, VIRTIO_ID_NETWORK, &slots);
}

static bool find_virtio_network(struct virtio *virtio, const char *command_line)
{
	if (virtio_mmio_find(virtio, VIRTIO_ID_NETWORK, command_line))
		return true;
	return is_microvm() ? probe_microvm(virtio) : virtio_pci_find_network(virtio);
}

static struct net_device *find_network(const char *command_line, const char **why)
{
	struct virtio virtio;
	if (!find_virtio_network(&virtio, command_line)) {
		*why = "no virtio network device, neither memory-mapped nor on the PCI "
		       "bus with MSI-X";
		return NULL;
	}
	struct net_device *device = virtio_net_start(&virtio);
	if (!device)
		*why = "the virtio network device did not start";
	return device;
}

static bool stop_requested(void)
{
	return acpi_button(&acpi);
}

/* A load of an empty descriptor table makes the next exception fatal for the CPU: the last way off
 * for a machine without ACPI. */
static noreturn void triple_fault(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) empty = {0, 0};
	__asm__ volatile("lidt %0; ud2" : : "m"(empty));
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void report_failure(void)
{
	uint8_t events = in8(PANIC_PORT);
	if (events != 0xff && (events & PANIC_CRASHED))
		out8(PANIC_PORT, PANIC_CRASHED);
	for (unsigned i = 0; i < sizeof(exit_ports) / sizeof(exit_ports[0]); i++)
		out8(exit_ports[i], 1);
}

static __attribute__((__noreturn__)) void power_off(enum power_off how)
{
	if (how == POWER_OFF_FAILED)
		report_failure();
	acpi_power_off(&acpi);
	triple_fault();
}

const struct platform platform_qemu = {
	.name = "qemu",
	.detect = detect,
	.init = init,
	.console_write = serial_write,
	.reference_ns = apic_reference_ns,
	.find_network = find_network,
	.wait = apic_wait,
	.stop_requested = stop_requested,
	.power_off = power_off,
};
