/* SPDX-License-Identifier: ISC */
#ifndef DRIVERS_SERIAL_H
#define DRIVERS_SERIAL_H

#include <stddef.h>

/* The first serial port of a PC (16550), polled. */
void serial_init(void);
/* Gives up on the rest where the other side takes nothing for about 10 ms. */
void serial_write(const char *text, size_t size);

#endif
