/* SPDX-License-Identifier: ISC */
#ifndef PLATFORM_VMM_H
#define PLATFORM_VMM_H

#include "guest-kernel/include/summon_abi.h"
#include "guest-kernel/platform/boot_info.h"

/* Makes `boot` the page that platform_vmm goes by. Returns NULL, or what is wrong with it (constant
 * text). Before it, and where it fails, platform_vmm may only power off. */
const char *vmm_boot_info(const struct summon_boot *boot, struct boot_info *out);

#endif
