/* SPDX-License-Identifier: ISC */
#include "launcher/link/bridge.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/random.h>

#include "launcher/link/device.h"

/* Written on a bridge that we made, so that a later life knows it as ours. */
#define BRIDGE_ALIAS "made by summond"

/* A fixed MAC: left alone, a bridge takes the lowest one of its ports, which come and go, and its
 * neighbours would keep an old one. */
static struct mac_address random_mac(void)
{
	struct mac_address mac = {0};
	if (getrandom(mac.bytes, sizeof(mac.bytes), GRND_NONBLOCK) < 0)
		mac.bytes[5] = 1;
	mac.bytes[0] = (uint8_t)((mac.bytes[0] & 0xfc) | 0x02);
	return mac;
}

static void set_ipv6(const struct bridge *bridge)
{
	if (!bridge_address(bridge, AF_INET6)) {
		device_set_ipv6(bridge->name, "disable_ipv6", "1");
		return;
	}
	device_set_ipv6(bridge->name, "disable_ipv6", "0");
	/* Until its link-local address was looked for twice, the host could ask for no neighbour. */
	device_set_ipv6(bridge->name, "dad_transmits", "0");
	device_set_ipv6(bridge->name, "accept_ra", "0");
	device_set_ipv6(bridge->name, "autoconf", "0");
}

/* What a bridge of ours is. */
static void put_settings(struct nl_msg *message, const struct bridge *bridge)
{
	netlink_put(message, IFLA_ADDRESS, bridge->mac.bytes, sizeof(bridge->mac.bytes));
	struct nlattr *info = message ? nla_nest_start(message, IFLA_LINKINFO) : NULL;
	if (!info)
		return;
	netlink_put_text(message, IFLA_INFO_KIND, "bridge");
	struct nlattr *data = nla_nest_start(message, IFLA_INFO_DATA);
	if (data) {
		netlink_put_u32(message, IFLA_BR_STP_STATE, 0);
		netlink_put_u32(message, IFLA_BR_FORWARD_DELAY, 0);
		netlink_put(message, IFLA_BR_MCAST_SNOOPING, &(uint8_t){0}, 1);
		nla_nest_end(message, data);
	}
	nla_nest_end(message, info);
}

/* It comes second, as a bridge that is being made does not take an alias. */
static int mark(struct netlink *netlink, const struct bridge *bridge, struct error *err)
{
	struct ifinfomsg header = {.ifi_index = bridge->index};
	struct nl_msg *message = netlink_message(RTM_SETLINK, 0, &header, sizeof(header));
	netlink_put_text(message, IFLA_IFALIAS, BRIDGE_ALIAS);
	int rc = netlink_request(netlink, message, NULL, NULL);
	return rc < 0 ? netlink_error(netlink, err, rc, "cannot mark bridge '%s'", bridge->name)
		      : 0;
}

static int make_bridge(struct netlink *netlink, struct bridge *bridge, struct error *err)
{
	struct ifinfomsg header = {.ifi_family = AF_UNSPEC};
	struct nl_msg *message =
		netlink_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	netlink_put_text(message, IFLA_IFNAME, bridge->name);
	bridge->mac = random_mac();
	put_settings(message, bridge);
	int rc = netlink_request(netlink, message, NULL, NULL);
	if (rc < 0)
		return netlink_error(netlink, err, rc, "cannot make bridge '%s'", bridge->name);
	bridge->made = true;
	bridge->index = device_index(netlink, bridge->name);
	if (bridge->index < 0)
		return error_set(err, bridge->index, "cannot find bridge '%s': %s", bridge->name,
			strerror(-bridge->index));
	set_ipv6(bridge);
	return mark(netlink, bridge, err);
}

/* One that somebody has made in the place of one of ours: with its MAC, which guests know. */
static int make_ours(struct netlink *netlink, struct bridge *bridge, struct error *err)
{
	struct ifinfomsg header = {.ifi_index = bridge->index};
	struct nl_msg *message = netlink_message(RTM_NEWLINK, 0, &header, sizeof(header));
	put_settings(message, bridge);
	int rc = netlink_request(netlink, message, NULL, NULL);
	if (rc < 0)
		return netlink_error(netlink, err, rc, "cannot set up bridge '%s'", bridge->name);
	bridge->made = true;
	set_ipv6(bridge);
	return mark(netlink, bridge, err);
}

static void take(struct bridge *bridge, const struct device *device)
{
	bridge->index = device->index;
	bridge->made = strcmp(device->alias, BRIDGE_ALIAS) == 0;
	if (bridge->made)
		bridge->mac = device->mac;
}

static int find_or_make(
	struct netlink *netlink, struct bridge *bridge, bool *created, struct error *err)
{
	struct device device;
	int rc = device_find(netlink, bridge->name, &device);
	*created = rc == -ENODEV;
	if (*created)
		return make_bridge(netlink, bridge, err);
	if (rc < 0)
		return netlink_error(netlink, err, rc, "cannot look for bridge '%s'", bridge->name);
	if (strcmp(device.kind, "bridge") != 0)
		return error_set(err, -EEXIST,
			"'%s' is a network device that is no bridge (%s): choose another name for "
			"the bridge, or remove that device",
			bridge->name, device.kind[0] ? device.kind : "hardware");
	take(bridge, &device);
	return 0;
}

/* Looks for our address among all devices. */
struct address_search {
	const struct ip_address *address;
	int index; /* of the device that has it, 0: none yet */
};

static int compare_address(void *ctx, struct nlmsghdr *message)
{
	struct address_search *search = ctx;
	struct nlattr *attributes[IFA_MAX + 1];
	const struct ifaddrmsg *header = nlmsg_data(message);
	if (message->nlmsg_type != RTM_NEWADDR ||
		nlmsg_parse(message, sizeof(*header), attributes, IFA_MAX, NULL) < 0)
		return -EIO;
	struct nlattr *local =
		attributes[IFA_LOCAL] ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
	if (header->ifa_family == search->address->family && local &&
		(size_t)nla_len(local) == ip_address_size(search->address) &&
		memcmp(nla_data(local), search->address->bytes, (size_t)nla_len(local)) == 0)
		search->index = (int)header->ifa_index;
	return 0;
}

static int find_address(
	struct netlink *netlink, const struct ip_address *address, int *index, struct error *err)
{
	struct address_search search = {.address = address};
	int rc = -EINTR;
	for (int tries = 0; rc == -EINTR && tries < 8; tries++) {
		struct ifaddrmsg header = {.ifa_family = address->family};
		rc = netlink_request(netlink,
			netlink_message(RTM_GETADDR, NLM_F_DUMP, &header, sizeof(header)),
			compare_address, &search);
	}
	*index = search.index;
	return rc < 0 ? netlink_error(netlink, err, rc, "cannot read this host's addresses") : 0;
}

/* 1, or 0 where it has it. */
static int put_address(struct netlink *netlink, const struct bridge *bridge,
	const struct ip_prefix *prefix, struct error *err)
{
	const struct ip_address *address = &prefix->address;
	char text[IP_PREFIX_TEXT];
	struct ifaddrmsg header = {.ifa_family = address->family,
		.ifa_prefixlen = prefix->length,
		.ifa_index = (unsigned)bridge->index};
	struct nl_msg *message =
		netlink_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	netlink_put(message, IFA_LOCAL, address->bytes, ip_address_size(address));
	netlink_put(message, IFA_ADDRESS, address->bytes, ip_address_size(address));
	/* No detection of duplicates: an address that is still tentative can be no source. */
	netlink_put_u32(message, IFA_FLAGS, IFA_F_NOPREFIXROUTE | IFA_F_NODAD);
	int rc = netlink_request(netlink, message, NULL, NULL);
	if (rc == -EEXIST)
		return 0;
	if (rc < 0)
		return netlink_error(netlink, err, rc, "cannot give %s to bridge '%s'%s",
			ip_prefix_print(prefix, text), bridge->name,
			address->family == AF_INET6 && rc == -EACCES
				? " (is IPv6 switched off there? see the sysctl disable_ipv6)"
				: "");
	return 1;
}

static int add_address(struct netlink *netlink, const struct bridge *bridge,
	const struct ip_prefix *prefix, struct error *err)
{
	const struct ip_address *address = &prefix->address;
	char text[IP_PREFIX_TEXT], holder[IF_NAMESIZE];
	int index;
	int rc = find_address(netlink, address, &index, err);
	if (rc < 0 || index == bridge->index)
		return rc;
	if (index != 0)
		return error_set(err, -EADDRINUSE,
			"%s cannot be the address of bridge '%s': '%s' has it already; choose "
			"another address or remove it there",
			ip_address_print(address, text), bridge->name,
			if_indextoname((unsigned)index, holder) ? holder : "another device");
	rc = put_address(netlink, bridge, prefix, err);
	return rc < 0 ? rc : 0;
}

static int check_config(const struct link_config *config, struct error *err)
{
	int rc = device_check_name("bridge name", config->bridge, IFNAMSIZ - 1, err);
	if (rc < 0)
		return rc;
	if (config->address.address.family != AF_INET)
		return error_set(err, -EINVAL,
			"bridge '%s' needs an IPv4 address and prefix, as in 10.77.0.1/16",
			config->bridge);
	if (config->address6.address.family != 0 && config->address6.address.family != AF_INET6)
		return error_set(err, -EINVAL,
			"the IPv6 address of bridge '%s' has to be one, as in fd00::1/64",
			config->bridge);
	return 0;
}

static void remove_made(struct netlink *netlink, const struct bridge *bridge)
{
	int index = bridge->index > 0 ? bridge->index : device_index(netlink, bridge->name);
	if (index > 0)
		device_delete(netlink, index);
}

int bridge_open(struct netlink *netlink, const struct link_config *config, struct bridge *out,
	struct error *err)
{
	int rc = check_config(config, err);
	if (rc < 0)
		return rc;
	struct bridge bridge = {.addresses = {config->address, config->address6}};
	memcpy(bridge.name, config->bridge, strlen(config->bridge));
	bool created;
	rc = find_or_make(netlink, &bridge, &created, err);
	for (size_t i = 0; rc == 0 && i < 2; i++)
		if (ip_address_is_set(&bridge.addresses[i].address))
			rc = add_address(netlink, &bridge, &bridge.addresses[i], err);
	if (rc == 0 && (rc = device_raise(netlink, bridge.index, 0)) < 0)
		rc = netlink_error(netlink, err, rc, "cannot set bridge '%s' up", bridge.name);
	if (rc < 0) {
		if (created && bridge.made)
			remove_made(netlink, &bridge);
		return rc;
	}
	*out = bridge;
	return 0;
}

/* Where it is another device than it was, it has been made anew. */
static int find_again(
	struct netlink *netlink, struct bridge *bridge, bool *renewed, struct error *err)
{
	struct device device;
	int rc = device_find(netlink, bridge->name, &device);
	if (rc == -ENODEV)
		return error_set(err, rc,
			"bridge '%s' is gone, and no guest can be reached: they are again when it "
			"is there, or when summond is started again, which makes it",
			bridge->name);
	if (rc < 0)
		return netlink_error(netlink, err, rc, "cannot look for bridge '%s'", bridge->name);
	if (strcmp(device.kind, "bridge") != 0)
		return error_set(err, -EEXIST,
			"bridge '%s' is gone, and a device that is none has its name: no guest can "
			"be reached",
			bridge->name);
	*renewed = device.index != bridge->index;
	if (!*renewed && !device.up)
		return error_set(err, -ENETDOWN,
			"bridge '%s' was set down, and no guest can be reached until it is up "
			"again (ip link set %s up)",
			bridge->name, bridge->name);
	bool made = bridge->made;
	take(bridge, &device);
	if (!made || bridge->made)
		return 0;
	rc = make_ours(netlink, bridge, err);
	bridge->made = true; /* also the next time */
	return rc;
}

int bridge_restore(struct netlink *netlink, struct bridge *bridge, bool *renewed, struct error *err)
{
	int count = 0;
	int rc = find_again(netlink, bridge, renewed, err);
	if (rc == 0 && *renewed && (rc = device_raise(netlink, bridge->index, 0)) < 0)
		netlink_error(netlink, err, rc, "cannot set bridge '%s' up", bridge->name);
	if (rc < 0) {
		if (*renewed)
			bridge->index = 0; /* it is a new one the next time, too */
		return rc;
	}
	for (size_t i = 0; rc >= 0 && i < 2; i++) {
		if (!ip_address_is_set(&bridge->addresses[i].address))
			continue;
		rc = put_address(netlink, bridge, &bridge->addresses[i], err);
		count += rc;
	}
	return rc < 0 ? rc : count;
}

const struct ip_prefix *bridge_address(const struct bridge *bridge, int family)
{
	for (size_t i = 0; i < 2; i++)
		if (bridge->addresses[i].address.family == family)
			return &bridge->addresses[i];
	return NULL;
}
