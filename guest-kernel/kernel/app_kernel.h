/* SPDX-License-Identifier: ISC */
#ifndef KERNEL_APP_KERNEL_H
#define KERNEL_APP_KERNEL_H

#include "guest-kernel/include/app.h"
#include "guest-kernel/platform/boot_info.h"

/* The application as the kernel sees it. */
struct app {
	struct boot_info boot;
	bool ready, exiting;
	int status;
};

#endif
