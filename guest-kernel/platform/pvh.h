/* SPDX-License-Identifier: ISC */
#ifndef PLATFORM_PVH_H
#define PLATFORM_PVH_H

#include "guest-kernel/platform/boot_info.h"

/* `start_info` is what ebx held at entry. Returns NULL, or what is wrong with it (constant
 * text). */
const char *pvh_boot_info(uintptr_t start_info, struct boot_info *out);

#endif
