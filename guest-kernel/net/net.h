/* SPDX-License-Identifier: ISC */
#ifndef NET_NET_H
#define NET_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "guest-kernel/drivers/net_device.h"

/* The network stack on the machine's one interface. */

/* Starts it on `device` with the addresses that the command line gives: ip=ADDRESS/LENGTH and
 * gw=ADDRESS, ip6=ADDRESS/64 and gw6=ADDRESS, name=HOST NAME; ip= and ip6= up to NET_ADDRESSES times.
 * Where neither is given, DHCP. Returns NULL, or what is wrong with the words (constant text). */
const char *net_init(struct net_device *device, const char *command_line);

/* Goes on with what net_init() has started in a guest that was kept: with the words of another
 * command line, on a device that may have another address. Listeners stay; connections and what was
 * known of neighbours are gone. */
const char *net_resume(struct net_device *device, const char *command_line);

/* True once the interface has an address to be reached under. */
bool net_is_up(void);

/* Takes in what has arrived, a bounded number of frames, and runs the timers that are due. False
 * where there was nothing to do. */
bool net_poll(void);

/* Nanoseconds to the next timer. */
uint64_t net_next_timer(void);

/* Around the halting of the CPU: false means that frames have come, and not to halt. */
bool net_sleep(void);
void net_wake(void);

#endif
