/* SPDX-License-Identifier: ISC */
#include "launcher/link/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/link/device.h"

#define TUN_PATH "/dev/net/tun"

/* What was forked by a daemon that was killed may hold its device until it has begun its program. */
#define ATTACH_TRIES   50
#define ATTACH_STEP_US 20000

static int attach(int fd, const char *name, int tries, struct error *err)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	memcpy(request.ifr_name, name, strlen(name));
	int code = -EBUSY;
	for (int i = 0; code == -EBUSY && i < tries; i++) {
		if (i > 0)
			usleep(ATTACH_STEP_US);
		code = ioctl(fd, TUNSETIFF, &request) < 0 ? -errno : 0;
	}
	if (code == 0)
		return 0;
	const char *advice = code == -EPERM   ? "; run as root or with CAP_NET_ADMIN"
			     : code == -EBUSY ? "; does another summond run?"
			     : code == -EINVAL
				     ? "; it is a device of another kind: choose another name"
				     : "";
	return error_set(
		err, code, "cannot make the doorbell '%s': %s%s", name, strerror(-code), advice);
}

/* What the host would say by itself (router solicitations, multicast reports, a link-local address
 * that is looked for twice) is switched off before the device is up. */
static void silence(const struct tun *tun, const struct bridge *bridge)
{
	bool six = bridge_address(bridge, AF_INET6);
	device_set_ipv6(tun->name, "disable_ipv6", six ? "0" : "1");
	device_set_ipv6(tun->name, "addr_gen_mode", "1"); /* no link-local address */
	device_set_ipv6(tun->name, "accept_ra", "0");
	device_set_ipv6(tun->name, "router_solicitations", "0");
}

static unsigned mtu_of(const char *name)
{
	struct ifreq request = {0};
	CLEANUP(close) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	return fd >= 0 && ioctl(fd, SIOCGIFMTU, &request) == 0 ? (unsigned)request.ifr_mtu : 1500;
}

/* The MTU is the bridge's, as a client takes its segment size from the route that it begins with. */
static int set_up(struct netlink *netlink, const struct tun *tun, unsigned mtu)
{
	struct ifinfomsg header = {
		.ifi_index = tun->index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP | IFF_MULTICAST};
	struct nl_msg *message = netlink_message(RTM_NEWLINK, 0, &header, sizeof(header));
	netlink_put_u32(message, IFLA_MTU, mtu);
	return netlink_request(netlink, message, NULL, NULL);
}

/* What it has to be, once it is there. */
static int furnish(
	struct netlink *netlink, struct tun *tun, const struct bridge *bridge, struct error *err)
{
	tun->index = device_index(netlink, tun->name);
	if (tun->index < 0)
		return error_set(err, tun->index, "cannot find the doorbell '%s': %s", tun->name,
			strerror(-tun->index));
	silence(tun, bridge);
	int rc = set_up(netlink, tun, mtu_of(bridge->name));
	if (rc < 0)
		return netlink_error(
			netlink, err, rc, "cannot set the doorbell '%s' up", tun->name);
	if (ioctl(tun->fd, TUNSETPERSIST, 1) < 0)
		return error_set(err, -errno, "cannot make the doorbell '%s' persistent: %s",
			tun->name, strerror(errno));
	return 0;
}

int tun_open(struct netlink *netlink, const char *name, const struct bridge *bridge,
	struct tun *out, struct error *err)
{
	int rc = device_check_name("doorbell", name, IFNAMSIZ - 1, err);
	if (rc < 0)
		return rc;
	CLEANUP(close) int fd = open(TUN_PATH, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return error_set(
			err, -errno, "cannot make the doorbell: " TUN_PATH ": %s", strerror(errno));
	struct tun tun = {.made = device_index(netlink, name) == -ENODEV, .fd = fd};
	memcpy(tun.name, name, strlen(name));
	rc = attach(fd, name, ATTACH_TRIES, err);
	if (rc >= 0)
		rc = furnish(netlink, &tun, bridge, err);
	if (rc < 0)
		return rc;
	*out = tun;
	steal_fd(&fd);
	return 0;
}

/* A descriptor whose device was deleted may have another one. */
int tun_restore(
	struct netlink *netlink, struct tun *tun, const struct bridge *bridge, struct error *err)
{
	struct device device;
	int rc = device_find(netlink, tun->name, &device);
	if (rc < 0 && rc != -ENODEV)
		return netlink_error(
			netlink, err, rc, "cannot look for the doorbell '%s'", tun->name);
	if (rc == 0 && device.index == tun->index)
		return device.up ? 0
				 : error_set(err, -ENETDOWN,
					   "the doorbell '%s' was set down, and no packet can wake "
					   "a guest until it is up again (ip link set %s up)",
					   tun->name, tun->name);
	/* EEXIST: it has it, since an attempt that failed after that. */
	struct error why = ERROR_INIT;
	rc = attach(tun->fd, tun->name, 1, &why);
	if (rc < 0 && rc != -EEXIST)
		return error_set(err, rc, "%s", why.message);
	rc = furnish(netlink, tun, bridge, err);
	if (rc < 0)
		tun->index = -1; /* to be furnished the next time */
	return rc < 0 ? rc : 1;
}

void tun_forget(const struct tun *tun)
{
	if (tun->made)
		ioctl(tun->fd, TUNSETPERSIST, 0);
}
