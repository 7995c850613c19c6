/* SPDX-License-Identifier: ISC */
#include "launcher/link/route.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

/* The kernel refuses a destination with host bits. */
static struct ip_address network_of(const struct ip_prefix *prefix)
{
	struct ip_address network = prefix->address;
	for (size_t bit = prefix->length; bit < ip_address_size(&network) * 8; bit++)
		network.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	return network;
}

static struct nl_msg *route_message(
	int type, int flags, int device, const struct ip_prefix *to, uint32_t metric)
{
	const struct ip_address network = network_of(to);
	struct rtmsg header = {.rtm_family = network.family,
		.rtm_dst_len = to->length,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = ROUTE_PROTOCOL,
		.rtm_scope = RT_SCOPE_LINK,
		.rtm_type = RTN_UNICAST};
	struct nl_msg *message = netlink_message(type, flags, &header, sizeof(header));
	netlink_put(message, RTA_DST, network.bytes, ip_address_size(&network));
	netlink_put_u32(message, RTA_OIF, (uint32_t)device);
	netlink_put_u32(message, RTA_PRIORITY, metric);
	return message;
}

static int put(struct netlink *netlink, int flag, int device, const struct ip_prefix *to,
	uint32_t metric, const struct ip_address *source)
{
	struct nl_msg *message =
		route_message(RTM_NEWROUTE, NLM_F_CREATE | flag, device, to, metric);
	netlink_put(message, RTA_PREFSRC, source->bytes, ip_address_size(source));
	return netlink_request(netlink, message, NULL, NULL);
}

int route_put(struct netlink *netlink, int device, const struct ip_prefix *to, uint32_t metric,
	const struct ip_address *source)
{
	int rc = put(netlink, NLM_F_EXCL, device, to, metric, source);
	if (rc == -EEXIST)
		return put(netlink, NLM_F_REPLACE, device, to, metric, source);
	return rc < 0 ? rc : 1;
}

int route_delete(struct netlink *netlink, int device, const struct ip_prefix *to, uint32_t metric)
{
	int rc = netlink_request(
		netlink, route_message(RTM_DELROUTE, 0, device, to, metric), NULL, NULL);
	return rc == -ESRCH ? 0 : rc;
}

static struct ip_prefix host_prefix(const struct ip_address *address)
{
	return (struct ip_prefix){*address, (uint8_t)(ip_address_size(address) * 8)};
}

static struct nl_msg *neighbour_message(
	int type, int flags, const struct bridge *bridge, const struct ip_address *address)
{
	struct ndmsg header = {.ndm_family = address->family,
		.ndm_ifindex = bridge->index,
		.ndm_state = NUD_PERMANENT};
	struct nl_msg *message = netlink_message(type, flags, &header, sizeof(header));
	netlink_put(message, NDA_DST, address->bytes, ip_address_size(address));
	netlink_put(message, NDA_PROTOCOL, &(uint8_t){ROUTE_PROTOCOL}, 1);
	return message;
}

/* A route for anything else would take an address away from the rest of the host. */
static int check_address(
	const struct bridge *bridge, const struct ip_address *address, struct error *err)
{
	char text[IP_ADDRESS_TEXT], prefix_text[IP_PREFIX_TEXT];
	const struct ip_prefix *prefix = bridge_address(bridge, address->family);
	ip_address_print(address, text);
	if (!prefix)
		return error_set(err, -EAFNOSUPPORT,
			"no route to guest %s: bridge '%s' was given no IPv%d address", text,
			bridge->name, address->family == AF_INET6 ? 6 : 4);
	if (!ip_prefix_contains(prefix, address) || ip_address_equal(&prefix->address, address))
		return error_set(err, -EINVAL,
			"no route to guest %s: it has to be an address of bridge '%s' (%s) other "
			"than the bridge's own",
			text, bridge->name, ip_prefix_print(prefix, prefix_text));
	return 0;
}

static int remove_neighbour(
	struct netlink *netlink, const struct bridge *bridge, const struct ip_address *address)
{
	int rc = netlink_request(
		netlink, neighbour_message(RTM_DELNEIGH, 0, bridge, address), NULL, NULL);
	return rc == -ENOENT ? 0 : rc;
}

static int put_neighbour(struct netlink *netlink, int flag, const struct bridge *bridge,
	const struct ip_address *address, const struct mac_address *mac)
{
	struct nl_msg *message =
		neighbour_message(RTM_NEWNEIGH, NLM_F_CREATE | flag, bridge, address);
	netlink_put(message, NDA_LLADDR, mac->bytes, sizeof(mac->bytes));
	return netlink_request(netlink, message, NULL, NULL);
}

int route_add_neighbour(struct netlink *netlink, const struct bridge *bridge,
	const struct ip_address *address, const struct mac_address *mac, struct error *err)
{
	char text[IP_ADDRESS_TEXT];
	int rc = check_address(bridge, address, err);
	if (rc < 0)
		return rc;
	rc = put_neighbour(netlink, NLM_F_EXCL, bridge, address, mac);
	bool made = rc == 0;
	if (rc == -EEXIST)
		rc = put_neighbour(netlink, NLM_F_REPLACE, bridge, address, mac);
	return rc < 0 ? netlink_error(netlink, err, rc, "cannot make a neighbour of %s on '%s'",
				ip_address_print(address, text), bridge->name)
		      : made;
}

int route_open(struct netlink *netlink, const struct bridge *bridge,
	const struct ip_address *address, struct error *err)
{
	char text[IP_ADDRESS_TEXT];
	const struct ip_prefix to = host_prefix(address);
	int rc = check_address(bridge, address, err);
	if (rc < 0)
		return rc;
	rc = route_put(netlink, bridge->index, &to, ROUTE_METRIC,
		&bridge_address(bridge, address->family)->address);
	return rc < 0 ? netlink_error(netlink, err, rc, "cannot route %s to '%s'",
				ip_address_print(address, text), bridge->name)
		      : rc;
}

int route_close(struct netlink *netlink, const struct bridge *bridge,
	const struct ip_address *address, struct error *err)
{
	char text[IP_ADDRESS_TEXT];
	const struct ip_prefix to = host_prefix(address);
	int rc = route_delete(netlink, bridge->index, &to, ROUTE_METRIC);
	return rc < 0 ? netlink_error(netlink, err, rc, "cannot remove the route of %s to '%s'",
				ip_address_print(address, text), bridge->name)
		      : 0;
}

static int remove_guest(struct netlink *netlink, const struct bridge *bridge,
	const struct ip_address *address, struct error *err)
{
	char text[IP_ADDRESS_TEXT];
	int rc = route_close(netlink, bridge, address, err);
	if (rc < 0)
		return rc;
	rc = remove_neighbour(netlink, bridge, address);
	return rc < 0 ? netlink_error(netlink, err, rc, "cannot remove neighbour %s of '%s'",
				ip_address_print(address, text), bridge->name)
		      : 0;
}

int route_remove(struct netlink *netlink, const struct bridge *bridge,
	const struct ip_address *address, struct error *err)
{
	int rc = check_address(bridge, address, err);
	return rc < 0 ? rc : remove_guest(netlink, bridge, address, err);
}

/* --- pruning: what is found is gathered first and removed after, as a dump does not survive
 * changes --- */

struct gathering {
	int device;
	bool (*keep)(void *ctx, const struct ip_prefix *to);
	void *ctx;
	struct route_found *items;
	size_t count, capacity;
};

static int gather(struct gathering *gathering, const struct ip_prefix *to, uint32_t metric)
{
	if (gathering->keep(gathering->ctx, to))
		return 0;
	if (gathering->count == gathering->capacity) {
		size_t capacity = gathering->capacity ? gathering->capacity * 2 : 16;
		struct route_found *items =
			reallocarray(gathering->items, capacity, sizeof(*items));
		if (!items)
			return -ENOMEM;
		gathering->items = items;
		gathering->capacity = capacity;
	}
	gathering->items[gathering->count++] = (struct route_found){*to, metric};
	return 0;
}

static int gather_route(void *ctx, struct nlmsghdr *message)
{
	struct gathering *gathering = ctx;
	struct nlattr *attributes[RTA_MAX + 1];
	const struct rtmsg *header = nlmsg_data(message);
	if (message->nlmsg_type != RTM_NEWROUTE ||
		nlmsg_parse(message, sizeof(*header), attributes, RTA_MAX, NULL) < 0)
		return -EIO;
	struct ip_prefix to = {{.family = header->rtm_family}, header->rtm_dst_len};
	size_t size = ip_address_size(&to.address);
	struct nlattr *dst = attributes[RTA_DST], *oif = attributes[RTA_OIF];
	struct nlattr *metric = attributes[RTA_PRIORITY];
	if (header->rtm_protocol != ROUTE_PROTOCOL || !dst || !oif ||
		(size_t)nla_len(dst) != size || nla_get_u32(oif) != (uint32_t)gathering->device)
		return 0;
	memcpy(to.address.bytes, nla_data(dst), size);
	return gather(gathering, &to, metric ? nla_get_u32(metric) : 0);
}

static int gather_neighbour(void *ctx, struct nlmsghdr *message)
{
	struct gathering *gathering = ctx;
	struct nlattr *attributes[NDA_MAX + 1];
	const struct ndmsg *header = nlmsg_data(message);
	if (message->nlmsg_type != RTM_NEWNEIGH ||
		nlmsg_parse(message, sizeof(*header), attributes, NDA_MAX, NULL) < 0)
		return -EIO;
	struct ip_prefix to = {.address = {.family = header->ndm_family}};
	size_t size = ip_address_size(&to.address);
	struct nlattr *dst = attributes[NDA_DST], *protocol = attributes[NDA_PROTOCOL];
	if (!dst || !protocol || nla_get_u8(protocol) != ROUTE_PROTOCOL ||
		(size_t)nla_len(dst) != size || header->ndm_ifindex != gathering->device)
		return 0;
	memcpy(to.address.bytes, nla_data(dst), size);
	to.length = (uint8_t)(size * 8);
	return gather(gathering, &to, 0);
}

static int find(struct netlink *netlink, struct gathering *gathering, int type, const void *header,
	size_t size, netlink_fn each)
{
	int rc = -EINTR;
	for (int tries = 0; rc == -EINTR && tries < 8; tries++) {
		gathering->count = 0;
		rc = netlink_request(
			netlink, netlink_message(type, NLM_F_DUMP, header, size), each, gathering);
	}
	return rc == -EOPNOTSUPP || rc == -EAFNOSUPPORT ? 0 : rc; /* a kernel without IPv6 */
}

static int find_routes(struct netlink *netlink, struct gathering *gathering, uint8_t family)
{
	const struct rtmsg header = {.rtm_family = family, .rtm_protocol = ROUTE_PROTOCOL};
	return find(netlink, gathering, RTM_GETROUTE, &header, sizeof(header), gather_route);
}

static int find_neighbours(
	struct netlink *netlink, struct gathering *gathering, uint8_t family, uint8_t flags)
{
	const struct ndmsg header = {.ndm_family = family, .ndm_flags = flags};
	return find(netlink, gathering, RTM_GETNEIGH, &header, sizeof(header), gather_neighbour);
}

int route_find(struct netlink *netlink, int device, uint8_t family,
	bool (*keep)(void *ctx, const struct ip_prefix *to), void *ctx, struct route_found **out,
	size_t *count)
{
	struct gathering gathering = {.device = device, .keep = keep, .ctx = ctx};
	int rc = find_routes(netlink, &gathering, family);
	*out = gathering.items;
	*count = gathering.count;
	return rc;
}

int route_find_proxies(struct netlink *netlink, int device, uint8_t family,
	bool (*keep)(void *ctx, const struct ip_prefix *to), void *ctx, struct route_found **out,
	size_t *count)
{
	struct gathering gathering = {.device = device, .keep = keep, .ctx = ctx};
	int rc = find_neighbours(netlink, &gathering, family, NTF_PROXY);
	*out = gathering.items;
	*count = gathering.count;
	return rc;
}

struct keeping {
	bool (*keep)(void *ctx, const struct ip_address *address);
	void *ctx;
};

static bool keep_address(void *ctx, const struct ip_prefix *to)
{
	const struct keeping *keeping = ctx;
	/* A route to many is no guest's. */
	return to->length != ip_address_size(&to->address) * 8 ||
	       keeping->keep(keeping->ctx, &to->address);
}

static int prune_family(struct netlink *netlink, const struct bridge *bridge,
	struct keeping *keeping, uint8_t family, struct error *err)
{
	struct gathering gathering = {
		.device = bridge->index, .keep = keep_address, .ctx = keeping};
	int rc = find_routes(netlink, &gathering, family);
	if (rc < 0)
		netlink_error(netlink, err, rc, "cannot read the routes to '%s'", bridge->name);
	for (size_t i = 0; rc >= 0 && i < gathering.count; i++)
		rc = remove_guest(netlink, bridge, &gathering.items[i].to.address, err);
	/* Then the neighbours of guests that never had a route. */
	if (rc >= 0 && (rc = find_neighbours(netlink, &gathering, family, 0)) < 0)
		netlink_error(netlink, err, rc, "cannot read the neighbours of '%s'", bridge->name);
	for (size_t i = 0; rc >= 0 && i < gathering.count; i++)
		rc = remove_guest(netlink, bridge, &gathering.items[i].to.address, err);
	free(gathering.items);
	return rc;
}

int route_prune(struct netlink *netlink, const struct bridge *bridge,
	bool (*keep)(void *ctx, const struct ip_address *address), void *ctx, struct error *err)
{
	/* Both families, and addresses that the bridge had before the configuration changed. */
	struct keeping keeping = {keep, ctx};
	int rc = prune_family(netlink, bridge, &keeping, AF_INET, err);
	return rc < 0 ? rc : prune_family(netlink, bridge, &keeping, AF_INET6, err);
}

/* --- answers of the kernel to those who ask for an address (arp(7), proxy entries) --- */

int route_put_proxy(struct netlink *netlink, int device, const struct ip_address *address, bool on)
{
	struct ndmsg header = {
		.ndm_family = address->family, .ndm_ifindex = device, .ndm_flags = NTF_PROXY};
	struct nl_msg *message = netlink_message(on ? RTM_NEWNEIGH : RTM_DELNEIGH,
		on ? NLM_F_CREATE | NLM_F_REPLACE : 0, &header, sizeof(header));
	netlink_put(message, NDA_DST, address->bytes, ip_address_size(address));
	netlink_put(message, NDA_PROTOCOL, &(uint8_t){ROUTE_PROTOCOL}, 1);
	int rc = netlink_request(netlink, message, NULL, NULL);
	return rc == -ENOENT && !on ? 0 : rc;
}
