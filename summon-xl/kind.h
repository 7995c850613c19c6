/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_XL_KIND_H
#define SUMMON_XL_KIND_H

#include "base/error.h"
#include "summon-xl/include/protocol.h"

/* How a kernel wants to be started. An ELF file says so in its notes (Xen, public/elfnote.h): one
 * with XEN_ELFNOTE_PHYS32_ENTRY is for PVH, another for PV. What is no ELF file is a compressed
 * Linux, which is for both, and PVH. -EINVAL where the file cannot be read. */
int kind_of_kernel(const char *path, enum xl_kind *kind, struct error *err);

#endif
