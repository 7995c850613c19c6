/* SPDX-License-Identifier: ISC */
#ifndef DRIVERS_NETFRONT_H
#define DRIVERS_NETFRONT_H

#include <stdint.h>

#include "guest-kernel/drivers/net_device.h"

/* The domain's first interface, connected to its backend; NULL where there is none, with *why
 * (constant text). One device, for good. */
struct net_device *netfront_start(const char **why);
/* Connects it anew, in another domain; what was in its queues is lost. NULL, or what went wrong. */
const char *netfront_restart(void);
/* What its events come on. */
uint32_t netfront_port(void);

#endif
