/* SPDX-License-Identifier: ISC */
#include "launcher/link/device.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"

/* The attributes of IFLA_LINKINFO: its kind, and what it is to its bridge. */
static void parse_info(struct nlattr *attribute, struct device *out)
{
	struct nlattr *info[IFLA_INFO_MAX + 1], *port[IFLA_BRPORT_MAX + 1];
	if (nla_parse_nested(info, IFLA_INFO_MAX, attribute, NULL) < 0)
		return;
	if (info[IFLA_INFO_KIND])
		nla_strlcpy(out->kind, info[IFLA_INFO_KIND], sizeof(out->kind));
	if (info[IFLA_INFO_SLAVE_DATA] &&
		nla_parse_nested(port, IFLA_BRPORT_MAX, info[IFLA_INFO_SLAVE_DATA], NULL) == 0 &&
		port[IFLA_BRPORT_ISOLATED])
		out->isolated = nla_get_u8(port[IFLA_BRPORT_ISOLATED]);
}

static int parse_device(struct nlmsghdr *message, struct device *out)
{
	struct nlattr *attributes[IFLA_MAX + 1];
	const struct ifinfomsg *header = nlmsg_data(message);
	if (message->nlmsg_type != RTM_NEWLINK ||
		nlmsg_parse(message, sizeof(*header), attributes, IFLA_MAX, NULL) < 0 ||
		!attributes[IFLA_IFNAME])
		return -EIO;
	*out = (struct device){.index = header->ifi_index, .up = (header->ifi_flags & IFF_UP) != 0};
	nla_strlcpy(out->name, attributes[IFLA_IFNAME], sizeof(out->name));
	if (attributes[IFLA_IFALIAS])
		nla_strlcpy(out->alias, attributes[IFLA_IFALIAS], sizeof(out->alias));
	if (attributes[IFLA_ADDRESS])
		nla_memcpy(&out->mac, attributes[IFLA_ADDRESS], sizeof(out->mac));
	if (attributes[IFLA_MASTER])
		out->master = (int)nla_get_u32(attributes[IFLA_MASTER]);
	if (attributes[IFLA_LINKINFO])
		parse_info(attributes[IFLA_LINKINFO], out);
	return 0;
}

static int take_device(void *ctx, struct nlmsghdr *message)
{
	return parse_device(message, ctx);
}

int device_find(struct netlink *netlink, const char *name, struct device *out)
{
	struct ifinfomsg header = {.ifi_family = AF_UNSPEC};
	struct nl_msg *message = netlink_message(RTM_GETLINK, 0, &header, sizeof(header));
	netlink_put_text(message, IFLA_IFNAME, name);
	return netlink_request(netlink, message, take_device, out);
}

int device_index(struct netlink *netlink, const char *name)
{
	struct ifreq request = {0};
	if (strlen(name) >= sizeof(request.ifr_name))
		return -ENODEV;
	memcpy(request.ifr_name, name, strlen(name));
	return ioctl(netlink->fd, SIOCGIFINDEX, &request) < 0 ? -errno : request.ifr_ifindex;
}

struct walk {
	int (*each)(void *ctx, const struct device *device);
	void *ctx;
};

static int walk_device(void *ctx, struct nlmsghdr *message)
{
	struct walk *walk = ctx;
	struct device device;
	int rc = parse_device(message, &device);
	return rc < 0 ? rc : walk->each(walk->ctx, &device);
}

int device_each(
	struct netlink *netlink, int (*each)(void *ctx, const struct device *device), void *ctx)
{
	struct ifinfomsg header = {.ifi_family = AF_UNSPEC};
	return netlink_request(netlink,
		netlink_message(RTM_GETLINK, NLM_F_DUMP, &header, sizeof(header)), walk_device,
		&(struct walk){each, ctx});
}

int device_raise(struct netlink *netlink, int index, int master)
{
	struct ifinfomsg header = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	struct nl_msg *message = netlink_message(RTM_NEWLINK, 0, &header, sizeof(header));
	if (master)
		netlink_put_u32(message, IFLA_MASTER, (uint32_t)master);
	return netlink_request(netlink, message, NULL, NULL);
}

int device_isolate(struct netlink *netlink, int index, bool isolated)
{
	struct ifinfomsg header = {.ifi_family = AF_BRIDGE, .ifi_index = index};
	struct nl_msg *message = netlink_message(RTM_SETLINK, 0, &header, sizeof(header));
	struct nlattr *port =
		message ? nla_nest_start(message, IFLA_PROTINFO | NLA_F_NESTED) : NULL;
	if (port) {
		netlink_put(message, IFLA_BRPORT_ISOLATED, &(uint8_t){isolated}, 1);
		nla_nest_end(message, port);
	}
	return netlink_request(netlink, message, NULL, NULL);
}

int device_delete(struct netlink *netlink, int index)
{
	struct ifinfomsg header = {.ifi_index = index};
	return netlink_request(
		netlink, netlink_message(RTM_DELLINK, 0, &header, sizeof(header)), NULL, NULL);
}

bool device_has_carrier(const struct netlink *netlink, const char *name)
{
	struct ethtool_value link = {.cmd = ETHTOOL_GLINK};
	struct ifreq request = {.ifr_data = (char *)&link};
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	return ioctl(netlink->fd, SIOCETHTOOL, &request) == 0 && link.data;
}

static int open_setting(const char *folder, const char *name, const char *key, int how)
{
	char path[128];
	snprintf(path, sizeof(path), "/proc/sys/net/%s/%s/%s", folder, name, key);
	return open(path, how | O_CLOEXEC);
}

bool device_is_set(const char *folder, const char *name, const char *key)
{
	char first;
	CLEANUP(close) int fd = open_setting(folder, name, key, O_RDONLY);
	return fd >= 0 && read(fd, &first, 1) == 1 && first != '0';
}

int device_set(const char *folder, const char *name, const char *key, const char *value)
{
	CLEANUP(close) int fd = open_setting(folder, name, key, O_WRONLY);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return -errno;
	return 0;
}

void device_set_ipv6(const char *name, const char *key, const char *value)
{
	device_set("ipv6/conf", name, key, value);
}

int device_check_name(const char *what, const char *name, size_t longest, struct error *err)
{
	size_t length = strlen(name);
	if (length == 0 || length > longest)
		return error_set(err, -EINVAL,
			"%s '%.40s' has %zu characters: 1 to %zu are allowed", what, name, length,
			longest);
	for (const char *c = name; *c; c++)
		if (!isgraph((unsigned char)*c) || strchr("/:%", *c))
			return error_set(err, -EINVAL,
				"%s '%s' cannot name a network device: no '/', ':', '%%' or space",
				what, name);
	if (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2])))
		return error_set(err, -EINVAL, "%s '%s' cannot name a network device", what, name);
	return 0;
}
