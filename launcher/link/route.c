/* SPDX-License-Identifier: ISC */
#include "launcher/link/route.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

static struct nl_msg *route_message(
	int type, int flags, const struct bridge *bridge, const struct ip_address *address)
{
	size_t size = ip_address_size(address);
	struct rtmsg header = {.rtm_family = address->family,
		.rtm_dst_len = (unsigned char)(size * 8),
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = ROUTE_PROTOCOL,
		.rtm_scope = RT_SCOPE_LINK,
		.rtm_type = RTN_UNICAST};
	struct nl_msg *message = netlink_message(type, flags, &header, sizeof(header));
	netlink_put(message, RTA_DST, address->bytes, size);
	netlink_put_u32(message, RTA_OIF, (uint32_t)bridge->index);
	netlink_put_u32(message, RTA_PRIORITY, ROUTE_METRIC);
	return message;
}

static struct nl_msg *neighbour_message(
	int type, int flags, const struct bridge *bridge, const struct ip_address *address)
{
	struct ndmsg header = {.ndm_family = address->family,
		.ndm_ifindex = bridge->index,
		.ndm_state = NUD_PERMANENT};
	struct nl_msg *message = netlink_message(type, flags, &header, sizeof(header));
	netlink_put(message, NDA_DST, address->bytes, ip_address_size(address));
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

int route_add(struct netlink *netlink, const struct bridge *bridge,
	const struct ip_address *address, const struct mac_address *mac, struct error *err)
{
	char text[IP_ADDRESS_TEXT];
	int rc = check_address(bridge, address, err);
	if (rc < 0)
		return rc;
	struct nl_msg *message =
		neighbour_message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, bridge, address);
	netlink_put(message, NDA_LLADDR, mac->bytes, sizeof(mac->bytes));
	rc = netlink_request(netlink, message, NULL, NULL);
	if (rc < 0)
		return netlink_error(netlink, err, rc, "cannot make a neighbour of %s on '%s'",
			ip_address_print(address, text), bridge->name);
	message = route_message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, bridge, address);
	const struct ip_address *source = &bridge_address(bridge, address->family)->address;
	netlink_put(message, RTA_PREFSRC, source->bytes, ip_address_size(source));
	rc = netlink_request(netlink, message, NULL, NULL);
	if (rc < 0) {
		netlink_error(netlink, err, rc, "cannot route %s to '%s'",
			ip_address_print(address, text), bridge->name);
		remove_neighbour(netlink, bridge, address);
	}
	return rc;
}

static int remove_guest(struct netlink *netlink, const struct bridge *bridge,
	const struct ip_address *address, struct error *err)
{
	char text[IP_ADDRESS_TEXT];
	int rc = netlink_request(
		netlink, route_message(RTM_DELROUTE, 0, bridge, address), NULL, NULL);
	if (rc < 0 && rc != -ESRCH)
		return netlink_error(netlink, err, rc, "cannot remove the route of %s to '%s'",
			ip_address_print(address, text), bridge->name);
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

/* Routes are gathered first and removed after, as a dump does not survive changes. */
struct gathering {
	const struct bridge *bridge;
	bool (*keep)(void *ctx, const struct ip_address *address);
	void *ctx;
	struct ip_address *items;
	size_t count, capacity;
};

static int gather(struct gathering *gathering, const struct ip_address *address)
{
	if (gathering->count == gathering->capacity) {
		size_t capacity = gathering->capacity ? gathering->capacity * 2 : 16;
		struct ip_address *items = reallocarray(gathering->items, capacity, sizeof(*items));
		if (!items)
			return -ENOMEM;
		gathering->items = items;
		gathering->capacity = capacity;
	}
	gathering->items[gathering->count++] = *address;
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
	struct ip_address address = {.family = header->rtm_family};
	size_t size = ip_address_size(&address);
	struct nlattr *dst = attributes[RTA_DST], *oif = attributes[RTA_OIF];
	if (header->rtm_protocol != ROUTE_PROTOCOL || header->rtm_dst_len != size * 8 || !dst ||
		!oif || (size_t)nla_len(dst) != size ||
		nla_get_u32(oif) != (uint32_t)gathering->bridge->index)
		return 0;
	memcpy(address.bytes, nla_data(dst), size);
	return gathering->keep(gathering->ctx, &address) ? 0 : gather(gathering, &address);
}

static int prune_family(
	struct netlink *netlink, struct gathering *gathering, uint8_t family, struct error *err)
{
	int rc = -EINTR;
	for (int tries = 0; rc == -EINTR && tries < 8; tries++) {
		struct rtmsg header = {.rtm_family = family, .rtm_protocol = ROUTE_PROTOCOL};
		gathering->count = 0;
		rc = netlink_request(netlink,
			netlink_message(RTM_GETROUTE, NLM_F_DUMP, &header, sizeof(header)),
			gather_route, gathering);
	}
	if (rc == -EOPNOTSUPP || rc == -EAFNOSUPPORT)
		return 0; /* a kernel without IPv6 */
	if (rc < 0)
		return netlink_error(netlink, err, rc, "cannot read the routes to '%s'",
			gathering->bridge->name);
	for (size_t i = 0; rc == 0 && i < gathering->count; i++)
		rc = remove_guest(netlink, gathering->bridge, &gathering->items[i], err);
	return rc;
}

int route_prune(struct netlink *netlink, const struct bridge *bridge,
	bool (*keep)(void *ctx, const struct ip_address *address), void *ctx, struct error *err)
{
	/* Both families, and addresses that the bridge had before the configuration changed. */
	struct gathering gathering = {.bridge = bridge, .keep = keep, .ctx = ctx};
	int rc = prune_family(netlink, &gathering, AF_INET, err);
	if (rc == 0)
		rc = prune_family(netlink, &gathering, AF_INET6, err);
	free(gathering.items);
	return rc;
}
