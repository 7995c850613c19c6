/* SPDX-License-Identifier: ISC */
#include "summon-xl/console.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>
#include <xen/io/console.h>
#include <xenforeignmemory.h>

#include "base/cleanup.h"

#define STEP_US     1000
#define FIND_STEPS  5000
#define DRAIN_STEPS 1000

CLEANUP_DEFINE(memory, xenforeignmemory_handle *, xenforeignmemory_close)

int console_find(libxl_ctx *ctx, uint32_t domid, char *path, size_t size, struct error *err)
{
	for (unsigned i = 0; i < FIND_STEPS; i++) {
		CLEANUP(free) char *found = NULL;
		if (libxl_primary_console_get_tty(ctx, domid, &found) == 0 && found[0] &&
			strlen(found) < size) {
			strcpy(path, found);
			return 0;
		}
		usleep(STEP_US);
	}
	return error_set(err, -ETIMEDOUT,
		"xenconsoled made no console for domain %" PRIu32 ": does it run?", domid);
}

int console_open(const char *path)
{
	struct termios raw;
	CLEANUP(close)
	int fd = path[0] ? open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC) : -1;
	if (fd < 0 || tcgetattr(fd, &raw) < 0)
		return -1;
	cfmakeraw(&raw);
	return tcsetattr(fd, TCSANOW, &raw) < 0 ? -1 : steal_fd(&fd);
}

static xen_pfn_t ring_frame(struct xs_handle *store, uint32_t domid)
{
	char path[64];
	unsigned length;
	snprintf(path, sizeof(path), "/local/domain/%" PRIu32 "/console/ring-ref", domid);
	CLEANUP(free) char *text = xs_read(store, XBT_NULL, path, &length);
	return text ? strtoull(text, NULL, 10) : 0;
}

void console_settle(struct xs_handle *store, uint32_t domid)
{
	xen_pfn_t frame = ring_frame(store, domid);
	CLEANUP(memory) xenforeignmemory_handle *memory = xenforeignmemory_open(NULL, 0);
	if (!frame || !memory)
		return;
	const volatile struct xencons_interface *ring =
		xenforeignmemory_map(memory, domid, PROT_READ, 1, &frame, NULL);
	if (!ring)
		return;
	for (unsigned i = 0; ring->out_cons != ring->out_prod && i < DRAIN_STEPS; i++)
		usleep(STEP_US);
	xenforeignmemory_unmap(memory, (void *)(uintptr_t)ring, 1);
}
