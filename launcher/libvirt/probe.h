/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LIBVIRT_PROBE_H
#define LAUNCHER_LIBVIRT_PROBE_H

#include "base/error.h"

/*
 * Whether KVM runs ordinary guest code here, at the speed of a processor. /dev/kvm alone says
 * little: on some hosts it is there and cannot run a guest, or emulates each instruction.
 *
 * Blocks, for half a second at most; everything happens in a child, which is killed when it takes
 * longer. 0, or a negative errno with the reason.
 */
int kvm_probe(struct error *err);

#endif
