/* SPDX-License-Identifier: ISC */
#ifndef KERNEL_APP_KERNEL_H
#define KERNEL_APP_KERNEL_H

#include "guest-kernel/include/app.h"
#include "guest-kernel/platform/boot_info.h"

/* The application as the kernel sees it. */
struct app {
	struct boot_info boot;
	bool ready, exiting, reported;
	int status;
	uint64_t began; /* by its own clock: its start, or when it was gone on with */
	void (*resumed)(void *context);
	void *resumed_context;
};

#endif
