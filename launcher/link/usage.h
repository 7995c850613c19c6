/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_USAGE_H
#define LAUNCHER_LINK_USAGE_H

#include <stdint.h>
#include <uv.h>

#include "base/address.h"
#include "base/error.h"

/*
 * Whether a guest is in use, by the frames on its tap: IP packets between its MAC and a single other
 * host's. Broadcasts, multicasts, ARP and neighbour discovery, which come whether anybody is there or
 * not, do not count, nor does what the bridge sends to all ports as it does not know whose it is; the
 * device's own counters cannot tell them apart.
 *
 * A packet socket whose filter takes the frames that count, and whose queue is kept full: the
 * kernel counts what the filter lets through, and copies nothing.
 */

/* The descriptor, or a negative errno. Counting begins now. */
int usage_open(const char *tap, const struct mac_address *mac, struct error *err);
/* How many frames there were since the last reading; 0 where the device is gone. */
uint64_t usage_read(int fd);
/* Closes it in a thread, as the kernel waits for all its processors then. Without a thread, here. */
void usage_close(uv_loop_t *loop, int fd);

#endif
