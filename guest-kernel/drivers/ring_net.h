/* SPDX-License-Identifier: ISC */
#ifndef DRIVERS_RING_NET_H
#define DRIVERS_RING_NET_H

#include "guest-kernel/drivers/net_device.h"
#include "guest-kernel/include/summon_abi.h"

/* One call of the monitor. */
static inline void ring_call(
	const struct summon_boot *boot, enum summon_call call, uint64_t argument)
{
	/* An empty statement that the compiler believes to touch memory: the call reads and writes
	 * what is shared. */
	__asm__ volatile("" : : : "memory");
	((void (*)(uint64_t))(boot->calls + call * SUMMON_CALL_SIZE))(argument);
	__asm__ volatile("" : : : "memory");
}

/* The network of summon-vmm's rings; NULL where the boot page names none. One device, for good. */
struct net_device *ring_net_start(const struct summon_boot *boot);

#endif
