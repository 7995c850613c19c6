/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_DEVICE_H
#define LAUNCHER_LINK_DEVICE_H

#include <net/if.h>
#include <stdbool.h>

#include "base/address.h"
#include "base/error.h"
#include "launcher/link/netlink.h"

/* A network device as the kernel tells it (RTM_NEWLINK). */
struct device {
	int index;
	int master; /* the index of the bridge it belongs to, or 0 */
	bool up;
	bool isolated; /* as a port of a bridge */
	struct mac_address mac;
	char name[IFNAMSIZ];
	char kind[16];  /* "bridge", "tun" (a tap too), ...; "" for hardware */
	char alias[32]; /* what its maker wrote on it; longer ones are cut */
};

/* 0, -ENODEV, or another negative errno. */
int device_find(struct netlink *netlink, const char *name, struct device *out);
/* Its index, or a negative errno: -ENODEV where there is none of that name. One short system call. */
int device_index(struct netlink *netlink, const char *name);
int device_each(
	struct netlink *netlink, int (*each)(void *ctx, const struct device *device), void *ctx);

/* Sets it up, as a port of `master` where that is not 0. */
int device_raise(struct netlink *netlink, int index, int master);
/* A port of a bridge, whether it is an isolated one (bridge(8)): no frame goes from one such to another. */
int device_isolate(struct netlink *netlink, int index, bool isolated);
int device_delete(struct netlink *netlink, int index);
/* Whether somebody holds the other end of a tap; false where there is no such device. A bridge that
 * was still to hear of a change has heard of it when this returns: by itself the kernel tells of a
 * change soon after another only up to a second later, and till then the port forwards nothing. */
bool device_has_carrier(const struct netlink *netlink, const char *name);

/* Writes /proc/sys/net/FOLDER/NAME/KEY, e.g. of folder "ipv4/conf". 0 or a negative errno. */
int device_set(const char *folder, const char *name, const char *key, const char *value);

/* Whether it can be read, and is other than 0. */
bool device_is_set(const char *folder, const char *name, const char *key);

/* Writes one of the device's IPv6 settings (/proc/sys/net/ipv6/conf/NAME/KEY). There is nothing to
 * do where the kernel has no IPv6 or does not let us: it is about noise only. */
void device_set_ipv6(const char *name, const char *key, const char *value);

/* A name that the kernel takes: 1 to 15 characters, no '/', ':', '%' or white space. */
int device_check_name(const char *what, const char *name, size_t longest, struct error *err);

#endif
