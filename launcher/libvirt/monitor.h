/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LIBVIRT_MONITOR_H
#define LAUNCHER_LIBVIRT_MONITOR_H

#include <libvirt/libvirt.h>
#include <stdbool.h>

/*
 * What libvirt does not know and QEMU is asked itself, over its monitor (QEMU, qapi/char.json and
 * run-state.json). Both block, and are for workers. Of a hypervisor that cannot be asked, the first
 * returns at once and the second says no.
 */

/* Waits until QEMU has connected to the console of the domain that is called so, for a while. */
void monitor_console_await(virDomainPtr domain, const char *name);
/* It is paused since it was made, and has not run an instruction. */
bool monitor_never_ran(virDomainPtr domain);

#endif
