/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LIBVIRT_TRACES_H
#define LAUNCHER_LIBVIRT_TRACES_H

#include "launcher/libvirt/instance.h"

/*
 * What a guest that has ended would leave in our folders: its console's socket, the log that the
 * embedded driver writes for each domain, and its file on disk where libvirt wrote that for a daemon
 * that is gone, until after this one took the guest for awake. Every start has a name of its own, so
 * that they would pile up. Why a guest did not start, libvirt's error says.
 */
void traces_remove(const struct instance *instance);
/* Of those that ended while no daemon was there, or while it was killed, with their pid files: once the
 * guests that there are, are known. */
void traces_sweep(const struct virt *virt);

#endif
