/* SPDX-License-Identifier: ISC */
#ifndef DRIVERS_XEN_CONSOLE_H
#define DRIVERS_XEN_CONSOLE_H

#include <stddef.h>

/* The console's ring, which dom0's xenconsoled reads. */
void xen_console_init(void);
/* Drops the rest where nobody has read for a while. */
void xen_console_write(const char *text, size_t size);

#endif
