/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_TUN_H
#define LAUNCHER_LINK_TUN_H

#include "launcher/link/bridge.h"

/* The device behind which nobody lives: what is routed to it is read here, packet by packet. */
struct tun {
	char name[IFNAMSIZ];
	int index;
	bool made; /* now, and not in an earlier life */
	int fd;    /* non-blocking; a read gives one IP packet, a write lets one in */
};

/* Makes it or takes up the one of an earlier life; sets it up, silent and with the bridge's MTU.
 * It is persistent: while nobody reads, packets to it are lost instead of going elsewhere. */
int tun_open(struct netlink *netlink, const char *name, const struct bridge *bridge,
	struct tun *out, struct error *err);

/* Makes it anew where somebody has deleted it (then it returns 1). Fails while it is down. */
int tun_restore(
	struct netlink *netlink, struct tun *tun, const struct bridge *bridge, struct error *err);
/* One that was made now does not outlive its descriptor. */
void tun_forget(const struct tun *tun);

#endif
