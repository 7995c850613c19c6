/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LIBVIRT_EMBED_H
#define LAUNCHER_LIBVIRT_EMBED_H

#include "base/error.h"

/* Writes ROOT/etc/qemu.conf for the embedded QEMU driver. Blocks on the disk. */
int embed_configure(const char *root, struct error *err);

/*
 * Makes /dev/kvm look absent for the calling thread and the threads and processes that it makes
 * from now on; the rest of the process sees it as before. For a host where KVM is there and does
 * not work: libvirt's probe of QEMU would spend 12 s on it. Needs CAP_SYS_ADMIN.
 *
 * The thread gets a mount namespace of its own, in which an empty read-only file lies over the
 * device. (Not /dev/null: access(2) must fail too, or libvirt discards what it knows of QEMU
 * at each start, because "KVM is usable now".) `root` is where the file is put.
 */
int embed_hide_kvm(const char *root, struct error *err);

#endif
