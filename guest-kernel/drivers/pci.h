/* SPDX-License-Identifier: ISC */
#ifndef DRIVERS_PCI_H
#define DRIVERS_PCI_H

#include <stdbool.h>
#include <stdint.h>

/* PCI Local Bus Specification 3.0, chapter 6; configuration mechanism #1. */
#define PCI_VENDOR       0x00
#define PCI_COMMAND      0x04
#define PCI_STATUS       0x06
#define PCI_BARS         0x10
#define PCI_CAPABILITIES 0x34

#define PCI_CAPABILITY_VENDOR 0x09
#define PCI_CAPABILITY_MSIX   0x11

/* bus << 8 | device << 3 | function */
typedef uint16_t pci_address;

uint8_t pci_read8(pci_address device, uint8_t offset);
uint16_t pci_read16(pci_address device, uint8_t offset);
uint32_t pci_read32(pci_address device, uint8_t offset);
void pci_write16(pci_address device, uint8_t offset, uint16_t value);
void pci_write32(pci_address device, uint8_t offset, uint32_t value);

/* The first device on bus 0, or on a bus that the firmware has put behind a bridge of bus 0, that
 * `wanted` takes. */
bool pci_find(bool (*wanted)(uint32_t vendor_and_device), pci_address *found);

/* Gives every address register of the device that firmware has left empty, or put where this
 * kernel has no mapping, an address, and enables the device. */
void pci_enable(pci_address device);

/* Address of a region of an enabled device; 0 where it has none. */
struct pci_region {
	uintptr_t address;
	bool is_port; /* an I/O port, not memory */
};
struct pci_region pci_region(pci_address device, unsigned index);

/* The next capability with this id behind `after` (0: the first); 0 where there is none. */
uint8_t pci_capability(pci_address device, uint8_t id, uint8_t after);

/* Directs vector 0 of the device's MSI-X table at VECTOR_WAKE and enables it; false where the
 * device has no MSI-X. Requires pci_enable(). */
bool pci_enable_msix(pci_address device);

#endif
