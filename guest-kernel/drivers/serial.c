/* SPDX-License-Identifier: ISC */
#include "guest-kernel/drivers/serial.h"

#include <stdbool.h>

#include "guest-kernel/kernel/cpu.h"

#define PORT             0x3f8
#define INTERRUPT_ENABLE (PORT + 1)
#define FIFO_CONTROL     (PORT + 2)
#define LINE_STATUS      (PORT + 5)
#define FIFO_SIZE        16
#define TRANSMIT_EMPTY   0x20
#define POLLS            10000 /* each an exit of the virtual machine, about a microsecond */

void serial_init(void)
{
	out8(INTERRUPT_ENABLE, 0);
	out8(FIFO_CONTROL, 1);
}

static bool wait_empty(void)
{
	for (int i = 0; i < POLLS; i++)
		if (in8(LINE_STATUS) & TRANSMIT_EMPTY)
			return true;
	return false;
}

/* An empty queue takes FIFO_SIZE bytes: one look at the status for all of them. */
void serial_write(const char *text, size_t size)
{
	while (size > 0 && wait_empty()) {
		size_t part = size < FIFO_SIZE ? size : FIFO_SIZE;
		out8_string(PORT, text, part);
		text += part;
		size -= part;
	}
}
