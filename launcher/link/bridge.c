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

static int make_bridge(struct netlink *netlink, struct bridge *bridge, struct error *err)
{
	struct ifinfomsg header = {.ifi_family = AF_UNSPEC};
	struct nl_msg *message =
		netlink_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	struct mac_address mac = random_mac();
	netlink_put_text(message, IFLA_IFNAME, bridge->name);
	netlink_put(message, IFLA_ADDRESS, mac.bytes, sizeof(mac.bytes));
	struct nlattr *info = message ? nla_nest_start(message, IFLA_LINKINFO) : NULL;
	if (info) {
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
	int rc = netlink_request(netlink, message, NULL, NULL);
	if (rc < 0)
		return netlink_error(netlink, err, rc, "cannot make bridge '%s'", bridge->name);
	bridge->made = true;
	bridge->index = device_index(netlink, bridge->name);
	if (bridge->index < 0)
		return error_set(err, bridge->index, "cannot find bridge '%s': %s", bridge->name,
			strerror(-bridge->index));
	set_ipv6(bridge);
	/* The alias comes second, as a new bridge does not take it. */
	header.ifi_index = bridge->index;
	message = netlink_message(RTM_SETLINK, 0, &header, sizeof(header));
	netlink_put_text(message, IFLA_IFALIAS, BRIDGE_ALIAS);
	rc = netlink_request(netlink, message, NULL, NULL);
	return rc < 0 ? netlink_error(netlink, err, rc, "cannot mark bridge '%s'", bridge->name)
		      : 0;
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
	bridge->index = device.index;
	bridge->made = strcmp(device.alias, BRIDGE_ALIAS) == 0;
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
	struct ifaddrmsg header = {.ifa_family = address->family,
		.ifa_prefixlen = prefix->length,
		.ifa_index = (unsigned)bridge->index};
	struct nl_msg *message =
		netlink_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	netlink_put(message, IFA_LOCAL, address->bytes, ip_address_size(address));
	netlink_put(message, IFA_ADDRESS, address->bytes, ip_address_size(address));
	/* No detection of duplicates: an address that is still tentative can be no source. */
	netlink_put_u32(message, IFA_FLAGS, IFA_F_NOPREFIXROUTE | IFA_F_NODAD);
	rc = netlink_request(netlink, message, NULL, NULL);
	if (rc < 0)
		return netlink_error(netlink, err, rc, "cannot give %s to bridge '%s'%s",
			ip_prefix_print(prefix, text), bridge->name,
			address->family == AF_INET6 && rc == -EACCES
				? " (is IPv6 switched off there? see the sysctl disable_ipv6)"
				: "");
	return 0;
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

const struct ip_prefix *bridge_address(const struct bridge *bridge, int family)
{
	for (size_t i = 0; i < 2; i++)
		if (bridge->addresses[i].address.family == family)
			return &bridge->addresses[i];
	return NULL;
}
