/* SPDX-License-Identifier: ISC */
#include "launcher/link/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/link/device.h"
#include "launcher/link/hearing.h"

#define TUN_PATH     "/dev/net/tun"
/* Seven digits after eight letters fill a device's name. */
#define TAP_NUMBERS  10000000u
#define TAP_ATTEMPTS 65536
#define OFFLOADS     (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)

int tap_list_add(struct tap_list *list, const struct tap *tap)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 16;
		struct tap *items = reallocarray(list->items, capacity, sizeof(*items));
		if (!items)
			return -ENOMEM;
		list->items = items;
		list->capacity = capacity;
	}
	list->items[list->count++] = *tap;
	return 0;
}

size_t tap_list_find(const struct tap_list *list, const char *name)
{
	size_t place = 0;
	while (place < list->count && strcmp(list->items[place].name, name) != 0)
		place++;
	return place;
}

struct tap tap_list_take(struct tap_list *list, size_t place)
{
	struct tap tap = list->items[place];
	list->items[place] = list->items[--list->count];
	return tap;
}

void tap_list_finish(struct tap_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].fd >= 0)
			close(list->items[i].fd);
	free(list->items);
	*list = (struct tap_list){0};
}

static int open_tun(struct error *err)
{
	int fd = open(TUN_PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	int code = -errno;
	const char *advice =
		code == -ENOENT || code == -ENODEV || code == -ENXIO
			? "; load the kernel module tun, or pass the device into the container"
		: code == -EPERM || code == -EACCES ? "; run as root or with CAP_NET_ADMIN"
						    : "";
	return error_set(
		err, code, "cannot make a tap: " TUN_PATH ": %s%s", strerror(-code), advice);
}

/* Makes the first tap of a free number: without IFF_TUN_EXCL the kernel would hand out an existing
 * one, which may be another guest's. */
static int make_numbered(int fd, struct tap_plan *plan, struct tap *tap, struct error *err)
{
	struct ifreq request;
	for (int attempt = 0; attempt < TAP_ATTEMPTS; attempt++) {
		unsigned number = __atomic_fetch_add(&plan->number, 1, __ATOMIC_RELAXED);
		request = (struct ifreq){.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL |
							      (tap->headers ? IFF_VNET_HDR : 0))};
		snprintf(request.ifr_name, sizeof(request.ifr_name), "%s%u", plan->prefix,
			number % TAP_NUMBERS);
		if (ioctl(fd, TUNSETIFF, &request) == 0) {
			memcpy(tap->name, request.ifr_name, sizeof(tap->name));
			return 0;
		}
		int code = -errno;
		/* EINVAL: a device of that name that is no tap. */
		if (code != -EBUSY && !(code == -EINVAL && if_nametoindex(request.ifr_name)))
			return error_set(err, code, "cannot make tap '%.15s': %s%s",
				request.ifr_name, strerror(-code),
				code == -EPERM ? "; run as root or with CAP_NET_ADMIN" : "");
	}
	return error_set(err, -EEXIST,
		"cannot make a tap: %d names from '%.15s' backwards are taken; choose another "
		"prefix",
		TAP_ATTEMPTS, request.ifr_name);
}

/* Until it is somebody's: else the network's noise would fill its queue, and be what its guest hears
 * first. A filter by addresses, of which it has one that is nobody's, costs less to change than a program. */
static int shut(int fd, bool is_shut)
{
	_Alignas(struct tun_filter) uint8_t room[sizeof(struct tun_filter) + ETH_ALEN] = {0};
	struct tun_filter filter = {.count = is_shut};
	memcpy(room, &filter, sizeof(filter));
	return ioctl(fd, TUNSETTXFILTER, room) < 0 ? -errno : 0;
}

int tap_open_up(const struct tap *tap)
{
	return shut(tap->fd, false);
}

int tap_hear_all(const struct tap *tap)
{
	struct sock_fprog none = {0};
	return ioctl(tap->fd, TUNDETACHFILTER, &none) < 0 ? -errno : 0;
}

/* Before it is somebody's, as that waits then. */
static int begin(int fd, bool isolated)
{
	int rc = shut(fd, true);
	return rc == 0 && isolated ? hearing_begin(fd) : rc;
}

int tap_restore(struct netlink *netlink, const struct tap *tap, int bridge)
{
	int rc = device_raise(netlink, tap->index, bridge);
	return rc == 0 && tap->isolated ? device_isolate(netlink, tap->index, true) : rc;
}

int tap_isolate(struct netlink *netlink, struct tap *tap, bool isolated)
{
	int rc = tap->isolated == isolated ? 0 : device_isolate(netlink, tap->index, isolated);
	if (rc == 0)
		tap->isolated = isolated;
	return rc;
}

int tap_make(struct netlink *netlink, struct tap_plan *plan, bool headers, struct tap *out,
	struct error *err)
{
	struct tap tap = {.headers = headers};
	CLEANUP(close) int fd = open_tun(err);
	if (fd < 0)
		return fd;
	int rc = make_numbered(fd, plan, &tap, err);
	if (rc < 0)
		return rc;
	/* From here to TUNSETPERSIST an error needs no undoing: closing removes the tap. */
	tap.index = device_index(netlink, tap.name);
	if (tap.index < 0)
		return error_set(
			err, tap.index, "cannot find tap '%s': %s", tap.name, strerror(-tap.index));
	device_set_ipv6(tap.name, "disable_ipv6", "1");
	tap.isolated = __atomic_load_n(&plan->isolates, __ATOMIC_RELAXED);
	rc = begin(fd, tap.isolated);
	if (rc < 0)
		return error_set(err, rc, "cannot close tap '%s' to the network: %s", tap.name,
			strerror(-rc));
	if (headers && ioctl(fd, TUNSETOFFLOAD, OFFLOADS) < 0)
		return error_set(err, -errno, "cannot set the offloads of tap '%s': %s", tap.name,
			strerror(errno));
	rc = tap_restore(netlink, &tap, __atomic_load_n(&plan->bridge, __ATOMIC_RELAXED));
	if (rc < 0)
		return netlink_error(
			netlink, err, rc, "cannot make tap '%s' a port of the bridge", tap.name);
	if (ioctl(fd, TUNSETPERSIST, 1) < 0)
		return error_set(err, -errno, "cannot make tap '%s' persistent: %s", tap.name,
			strerror(errno));
	*out = tap;
	out->fd = steal_fd(&fd);
	return 0;
}

int tap_place(
	struct netlink *netlink, struct tap *tap, const struct mac_address *mac, struct error *err)
{
	struct ndmsg header = {.ndm_family = AF_BRIDGE,
		.ndm_ifindex = tap->index,
		.ndm_state = NUD_NOARP, /* static: it does not age */
		.ndm_flags = NTF_MASTER | NTF_STICKY};
	tap->mac = *mac;
	struct nl_msg *message = netlink_message(
		RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &header, sizeof(header));
	netlink_put(message, NDA_LLADDR, mac->bytes, sizeof(mac->bytes));
	int rc = netlink_request(netlink, message, NULL, NULL);
	return rc < 0 ? netlink_error(netlink, err, rc,
				"cannot tell the bridge which guest is behind tap '%s'", tap->name)
		      : 0;
}

static int take_counters(void *ctx, struct nlmsghdr *message)
{
	struct link_counters *out = ctx;
	struct rtnl_link_stats64 stats = {0};
	if (message->nlmsg_type != RTM_NEWSTATS)
		return -EIO;
	struct nlattr *attribute =
		nlmsg_find_attr(message, sizeof(struct if_stats_msg), IFLA_STATS_LINK_64);
	if (!attribute)
		return -EIO;
	nla_memcpy(&stats, attribute, sizeof(stats));
	/* What the guest sends is what the host receives from the tap. */
	*out = (struct link_counters){.sent_frames = stats.rx_packets,
		.sent_bytes = stats.rx_bytes,
		.received_frames = stats.tx_packets,
		.received_bytes = stats.tx_bytes};
	return 0;
}

int tap_read_counters(
	struct netlink *netlink, const char *name, struct link_counters *out, struct error *err)
{
	struct link_counters counters = {0};
	int index = device_index(netlink, name);
	if (index < 0)
		return error_set(err, index, "cannot read the counters of tap '%.40s': %s", name,
			strerror(-index));
	struct if_stats_msg header = {.ifindex = (unsigned)index,
		.filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64)};
	int rc = netlink_request(netlink, netlink_message(RTM_GETSTATS, 0, &header, sizeof(header)),
		take_counters, &counters);
	if (rc < 0)
		return netlink_error(
			netlink, err, rc, "cannot read the counters of tap '%s'", name);
	*out = counters;
	return 0;
}
