/* SPDX-License-Identifier: ISC */
#include "summon-xl/vif.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"

static int fail(struct error *err, const char *what, const char *name)
{
	int code = -errno;
	return error_set(err, code, "%s %s: %s", what, name, strerror(-code));
}

/* Else the host sends its own multicasts to each guest that comes up. */
static void forget_ipv6(const char *name)
{
	char path[96];
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	CLEANUP(close) int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "1", 1) < 0)
		return; /* a kernel without IPv6 */
}

static int make_port(int fd, struct ifreq *device, const char *bridge, struct error *err)
{
	struct ifreq port = {0};
	if (ioctl(fd, SIOCGIFINDEX, device) < 0)
		return fail(err, "network device", device->ifr_name);
	port.ifr_ifindex = device->ifr_ifindex;
	snprintf(port.ifr_name, sizeof(port.ifr_name), "%s", bridge);
	if (ioctl(fd, SIOCBRADDIF, &port) < 0)
		return fail(err, "bridge", bridge);
	if (ioctl(fd, SIOCGIFFLAGS, device) < 0)
		return fail(err, "network device", device->ifr_name);
	device->ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, device) < 0)
		return fail(err, "network device", device->ifr_name);
	return 0;
}

/* `name`: what it is to be called, and afterwards what it is. */
static int rename_device(int fd, const char *made, const char *name, struct error *err)
{
	struct ifreq device = {0};
	snprintf(device.ifr_name, sizeof(device.ifr_name), "%s", made);
	snprintf(device.ifr_newname, sizeof(device.ifr_newname), "%s", name);
	return ioctl(fd, SIOCSIFNAME, &device) < 0 ? fail(err, "network device", made) : 0;
}

int vif_attach(struct xs_handle *store, uint32_t domid, unsigned index, const char *name,
	const char *bridge, struct error *err)
{
	char path[96], made[IFNAMSIZ];
	struct ifreq device = {0};
	CLEANUP(close) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(err, "a socket for", name);
	snprintf(made, sizeof(made), "vif%" PRIu32 ".%u", domid, index);
	int r = name[0] ? rename_device(fd, made, name, err) : 0;
	if (r < 0)
		return r;
	snprintf(device.ifr_name, sizeof(device.ifr_name), "%s", name[0] ? name : made);
	forget_ipv6(device.ifr_name);
	r = make_port(fd, &device, bridge, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/local/domain/0/backend/vif/%" PRIu32 "/%u/hotplug-status",
		domid, index);
	if (!xs_write(store, XBT_NULL, path, "connected", strlen("connected")))
		return fail(err, "xenstore", path);
	return 0;
}
