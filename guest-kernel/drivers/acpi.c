/* SPDX-License-Identifier: ISC */
#include "guest-kernel/drivers/acpi.h"

#include "guest-kernel/drivers/apic.h"
#include "guest-kernel/drivers/pci.h"
#include "guest-kernel/kernel/cpu.h"

#define INTERRUPT 9 /* of both kinds */

/* ACPI 6.4, 4.8.3 "PM1 Event Registers" and 4.8.3.2 "PM1 Control Registers" */
#define PM1_STATUS   0
#define PM1_ENABLE   2
#define PM1_CONTROL  4
#define POWER_BUTTON (1u << 8)
#define SLEEP_ENABLE (1u << 13)
#define SCI_ENABLE   1u

/* The generic event device: QEMU, docs/specs/acpi_hw_reduced_hotplug and
 * hw/acpi/generic_event_device */
#define GED_EVENTS     0xfea00000ul
#define GED_SLEEP      0xfea00200ul
#define GED_POWER_DOWN 2u
#define GED_SLEEP_S5   (5 << 2 | 1 << 5)

struct chipset {
	uint32_t id; /* vendor and device of the function that holds power management */
	pci_address address;
	uint8_t base, enable, enable_bit; /* offsets in its configuration */
};

static const struct chipset chipsets[] = {
	{0x71138086, 1 << 3 | 3, 0x40, 0x80, 0x01}, /* PIIX4: machine pc */
	{0x29188086, 31 << 3, 0x40, 0x44, 0x80},    /* ICH9: machine q35 */
};

/* Where firmware has not placed the registers: the address that QEMU's own tables would name. */
#define DEFAULT_BASE 0x600

static struct acpi find_chipset(void)
{
	for (unsigned i = 0; i < sizeof(chipsets) / sizeof(chipsets[0]); i++) {
		const struct chipset *c = &chipsets[i];
		if (pci_read32(c->address, PCI_VENDOR) != c->id)
			continue;
		uint16_t base = pci_read16(c->address, c->base) & 0xff80;
		if (!base) {
			base = DEFAULT_BASE;
			pci_write32(c->address, c->base, base | 1);
		}
		pci_write16(
			c->address, c->enable, pci_read16(c->address, c->enable) | c->enable_bit);
		return (struct acpi){ACPI_CHIPSET, base};
	}
	return (struct acpi){ACPI_NONE, 0};
}

struct acpi acpi_find(bool microvm)
{
	if (microvm) {
		apic_enable_interrupt(INTERRUPT);
		return (struct acpi){ACPI_GENERIC_EVENT, 0};
	}
	struct acpi acpi = find_chipset();
	if (acpi.kind == ACPI_CHIPSET) {
		out16(acpi.base + PM1_ENABLE, POWER_BUTTON);
		out16(acpi.base + PM1_CONTROL, SCI_ENABLE);
		apic_enable_interrupt(INTERRUPT);
	}
	return acpi;
}

/* Reading clears; where there is no such device, no bit or every bit is set. */
static bool generic_event_button(void)
{
	uint32_t events = mmio_read32(GED_EVENTS);
	return events != UINT32_MAX && (events & GED_POWER_DOWN);
}

bool acpi_button(const struct acpi *acpi)
{
	switch (acpi->kind) {
	case ACPI_CHIPSET:
		return in16(acpi->base + PM1_STATUS) & POWER_BUTTON;
	case ACPI_GENERIC_EVENT:
		return generic_event_button();
	case ACPI_NONE:
		break;
	}
	return false;
}

void acpi_power_off(const struct acpi *acpi)
{
	switch (acpi->kind) {
	case ACPI_CHIPSET:
		out16(acpi->base + PM1_CONTROL, SLEEP_ENABLE | SCI_ENABLE);
		break;
	case ACPI_GENERIC_EVENT:
		*(volatile uint8_t *)GED_SLEEP = GED_SLEEP_S5;
		break;
	case ACPI_NONE:
		break;
	}
}
