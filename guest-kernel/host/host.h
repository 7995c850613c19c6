/* SPDX-License-Identifier: ISC */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include <uv.h>

#include "guest-kernel/include/app.h"

/* An application as a plain Linux program. */
struct app {
	uv_loop_t loop;
	uv_signal_t signals[2];
	char *command_line; /* the arguments, joined */
	void *initrd;
	size_t initrd_size;
	uint64_t started;
	bool ready;
	int status;
};

#endif
