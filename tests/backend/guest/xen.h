/* SPDX-License-Identifier: ISC */
#ifndef TESTS_BACKEND_GUEST_XEN_H
#define TESTS_BACKEND_GUEST_XEN_H

#include <stdbool.h>

/* The test guest on Xen (PVH, 32-bit, no paging): the hypercall page, the console's ring, and as
 * much of xenstore as wishes to shut down and to suspend need. Events are polled. */

/* False where this is no Xen; nothing else may be called then. */
bool xen_open(void);
void xen_print(const char *text);
void xen_power_off(void);
/* Until control/shutdown says "poweroff", for one that obeys; else for good. What says "suspend" is
 * heard by each. */
void xen_wait(bool obeys);

#endif
