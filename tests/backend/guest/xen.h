/* SPDX-License-Identifier: ISC */
#ifndef TESTS_BACKEND_GUEST_XEN_H
#define TESTS_BACKEND_GUEST_XEN_H

#include <stdbool.h>

/* The test guest on Xen (PVH, 32-bit, no paging): the hypercall page, the console's ring, and as
 * much of xenstore as a wish to shut down needs. Events are polled. */

/* False where this is no Xen; nothing else may be called then. */
bool xen_open(void);
void xen_print(const char *text);
void xen_power_off(void);
/* Until control/shutdown says "poweroff". */
void xen_wait_for_shutdown(void);
void xen_sleep(void);

#endif
