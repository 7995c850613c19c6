/* SPDX-License-Identifier: ISC */
#include "guest-kernel/drivers/pci.h"

#include "guest-kernel/drivers/apic.h"
#include "guest-kernel/kernel/cpu.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc

#define COMMAND_PORTS_MEMORY_MASTER 7
#define STATUS_CAPABILITIES         0x10
#define HEADER_TYPE                 0x0e
#define HEADER_BRIDGE               1
#define SECONDARY_BUS               0x19
#define BAR_PORT                    1u
#define BAR_64                      4u
#define BARS                        6
#define NO_DEVICE                   0xffffffffu

#define MSIX_CONTROL 2
#define MSIX_TABLE   4
#define MSIX_ENABLE  0x8000
#define MSIX_MASKED  0x4000

/* Where devices go that firmware has not placed: a part of the hole below 4 GiB in which no
 * machine of QEMU's places anything small. */
#define WINDOW_MEMORY 0xf0000000u
#define WINDOW_PORTS  0xc000u

static void select_register(pci_address device, uint8_t offset)
{
	out32(CONFIG_ADDRESS, 0x80000000u | (uint32_t)device << 8 | (offset & 0xfcu));
}

uint32_t pci_read32(pci_address device, uint8_t offset)
{
	select_register(device, offset);
	return in32(CONFIG_DATA);
}

uint16_t pci_read16(pci_address device, uint8_t offset)
{
	select_register(device, offset);
	return in16(CONFIG_DATA + (offset & 2));
}

uint8_t pci_read8(pci_address device, uint8_t offset)
{
	select_register(device, offset);
	return in8(CONFIG_DATA + (offset & 3));
}

void pci_write16(pci_address device, uint8_t offset, uint16_t value)
{
	select_register(device, offset);
	out16(CONFIG_DATA + (offset & 2), value);
}

void pci_write32(pci_address device, uint8_t offset, uint32_t value)
{
	select_register(device, offset);
	out32(CONFIG_DATA, value);
}

static bool find_on_bus(uint8_t bus, bool (*wanted)(uint32_t vendor_and_device), pci_address *found)
{
	for (unsigned slot = 0; slot < 32; slot++) {
		pci_address device = (pci_address)(bus << 8 | slot << 3);
		uint32_t id = pci_read32(device, PCI_VENDOR);
		if (id == NO_DEVICE)
			continue;
		if (wanted(id)) {
			*found = device;
			return true;
		}
		if ((pci_read8(device, HEADER_TYPE) & 0x7f) != HEADER_BRIDGE)
			continue;
		/* Firmware numbers buses upwards, so that this cannot go round in circles. */
		uint8_t behind = pci_read8(device, SECONDARY_BUS);
		if (behind > bus && find_on_bus(behind, wanted, found))
			return true;
	}
	return false;
}

bool pci_find(bool (*wanted)(uint32_t vendor_and_device), pci_address *found)
{
	return find_on_bus(0, wanted, found);
}

/* Moves *next behind a naturally aligned region of `size` bytes, and returns where that starts. */
static uint32_t place(uint32_t *next, uint32_t size)
{
	uint32_t start = (*next + size - 1) & ~(size - 1);
	*next = start + size;
	return start;
}

/* Returns how many registers the region takes: a 64-bit one takes two. */
static unsigned enable_region(
	pci_address device, unsigned index, uint32_t *next_memory, uint32_t *next_port)
{
	uint8_t offset = (uint8_t)(PCI_BARS + 4 * index);
	uint32_t bar = pci_read32(device, offset);
	bool is_port = bar & BAR_PORT;
	bool is_64 = !is_port && (bar & BAR_64);
	uint32_t flags = is_port ? 3 : 15;
	bool too_high = is_64 && pci_read32(device, offset + 4) != 0;
	if ((bar & ~flags) == 0 || too_high) {
		pci_write32(device, offset, 0xffffffff);
		uint32_t mask = pci_read32(device, offset) & ~flags;
		if (is_port)
			mask |= 0xffff0000u;
		if (mask != 0 && mask != 0xffff0000u)
			pci_write32(device, offset,
				place(is_port ? next_port : next_memory, ~mask + 1));
		if (is_64)
			pci_write32(device, offset + 4, 0);
	}
	return is_64 ? 2 : 1;
}

void pci_enable(pci_address device)
{
	uint32_t next_memory = WINDOW_MEMORY, next_port = WINDOW_PORTS;
	for (unsigned i = 0; i < BARS;)
		i += enable_region(device, i, &next_memory, &next_port);
	pci_write16(
		device, PCI_COMMAND, pci_read16(device, PCI_COMMAND) | COMMAND_PORTS_MEMORY_MASTER);
}

struct pci_region pci_region(pci_address device, unsigned index)
{
	if (index >= BARS)
		return (struct pci_region){0};
	uint32_t bar = pci_read32(device, (uint8_t)(PCI_BARS + 4 * index));
	bool is_port = bar & BAR_PORT;
	return (struct pci_region){bar & (is_port ? ~3u : ~15u), is_port};
}

uint8_t pci_capability(pci_address device, uint8_t id, uint8_t after)
{
	if (!(pci_read16(device, PCI_STATUS) & STATUS_CAPABILITIES))
		return 0;
	uint8_t at = pci_read8(device, after ? after + 1 : PCI_CAPABILITIES) & 0xfc;
	/* A list that runs in circles ends after as many steps as there is room for
	 * capabilities. */
	for (int steps = 0; at && steps < 64; steps++) {
		if (pci_read8(device, at) == id)
			return at;
		at = pci_read8(device, at + 1) & 0xfc;
	}
	return 0;
}

bool pci_enable_msix(pci_address device)
{
	uint8_t capability = pci_capability(device, PCI_CAPABILITY_MSIX, 0);
	if (!capability)
		return false;
	uint32_t table = pci_read32(device, capability + MSIX_TABLE);
	struct pci_region region = pci_region(device, table & 7);
	if (!region.address || region.is_port)
		return false;
	uintptr_t entry = region.address + (table & ~7u);
	mmio_write32(entry, APIC_MESSAGE_ADDRESS);
	mmio_write32(entry + 4, 0);
	mmio_write32(entry + 8, APIC_MESSAGE_DATA);
	mmio_write32(entry + 12, 0);
	uint16_t control = pci_read16(device, capability + MSIX_CONTROL);
	pci_write16(device, capability + MSIX_CONTROL,
		(uint16_t)((control | MSIX_ENABLE) & ~MSIX_MASKED));
	return true;
}
