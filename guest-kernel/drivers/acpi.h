/* SPDX-License-Identifier: ISC */
#ifndef DRIVERS_ACPI_H
#define DRIVERS_ACPI_H

#include <stdbool.h>

/*
 * Power-off and the power button of QEMU's machines. Their registers are at known places, which
 * spares the guest an interpreter of ACPI tables: in the PCI chipset's power management function
 * (machines pc and q35), or in the generic event device (microvm).
 */
enum acpi_kind { ACPI_NONE, ACPI_CHIPSET, ACPI_GENERIC_EVENT };

struct acpi {
	enum acpi_kind kind;
	unsigned short base; /* of the chipset's power management ports */
};

/* Finds out which, and has the button interrupt. */
struct acpi acpi_find(bool microvm);
/* True once the button was pressed. */
bool acpi_button(const struct acpi *acpi);
/* Returns where the machine did not do it. */
void acpi_power_off(const struct acpi *acpi);

#endif
