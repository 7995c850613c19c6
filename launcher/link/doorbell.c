/* SPDX-License-Identifier: ISC */
#include "launcher/link/doorbell_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "launcher/link/device.h"
#include "launcher/link/route.h"

/* Worse than a guest's own route, better than the back door below. */
#define DOORBELL_METRIC  1024
/* The bridge's own prefix. To the pool no ordinary lookup takes it, but a socket that is bound to
 * the bridge reaches a guest by it that is not open to others yet: the probe of readiness. To
 * whoever else is on the bridge, with an address outside the pool, it is the way. */
#define BACK_DOOR_METRIC 4096

#define READ_MOST    256 /* packets a turn of the loop */
#define DRAIN_MOST   4096
#define ANSWERS_MOST 1000 /* a second, for strangers who make us answer */

/* --- what rings --- */

static void take(struct doorbell *doorbell, size_t length)
{
	struct packet packet;
	switch (packet_parse(doorbell->packet, length, &packet)) {
	case PACKET_NOISE:
		doorbell->counters.noise++;
		return;
	case PACKET_MALFORMED:
		doorbell->counters.malformed++;
		return;
	case PACKET_FINE:
		doorbell->counters.rang++;
		doorbell->config.rang(doorbell->config.ctx, &packet);
	}
}

static void read_packets(struct doorbell *doorbell, int most)
{
	for (int i = 0; i < most; i++) {
		ssize_t length = read(doorbell->tun.fd, doorbell->packet, sizeof(doorbell->packet));
		if (length <= 0)
			return;
		take(doorbell, (size_t)length);
	}
}

void doorbell_on_packets(uv_poll_t *poll, int status, int events)
{
	(void)events;
	/* Somebody has deleted the device; libuv listens no more. doorbell_restore() does again. */
	if (status == 0)
		read_packets(poll->data, READ_MOST);
}

void doorbell_drain(struct doorbell *doorbell)
{
	read_packets(doorbell, DRAIN_MOST);
}

/* --- what becomes of it --- */

enum parking_result doorbell_park(
	struct doorbell *doorbell, struct parking_lot *lot, const struct packet *packet)
{
	struct doorbell_counters *c = &doorbell->counters;
	uint64_t *const counted[] = {[PARKING_TAKEN] = &c->parked,
		[PARKING_KNOWN] = &c->repeated,
		[PARKING_FULL] = &c->full,
		[PARKING_ALONE] = &c->alone};
	enum parking_result result = parking_add(&doorbell->parking, lot, packet);
	++*counted[result];
	return result;
}

static bool send_to(
	struct doorbell *doorbell, const struct packet *packet, const struct mac_address *mac)
{
	bool sent = neighbour_send(doorbell->neighbour, mac, packet->data, packet->length) == 0;
	doorbell->counters.lost += !sent;
	return sent;
}

void doorbell_pass(
	struct doorbell *doorbell, const struct packet *packet, const struct mac_address *mac)
{
	doorbell->counters.passed += send_to(doorbell, packet, mac);
}

unsigned doorbell_replay(
	struct doorbell *doorbell, struct parking_lot *lot, const struct mac_address *mac)
{
	struct parked *parked;
	unsigned sent = 0;
	while ((parked = parking_take(&doorbell->parking, lot))) {
		sent += send_to(doorbell, &parked->packet, mac);
		free(parked);
	}
	doorbell->counters.replayed += sent;
	return sent;
}

static bool may_answer(struct doorbell *doorbell)
{
	uint64_t now = clock_monotonic();
	if (now - doorbell->answers_since >= NS_PER_S) {
		doorbell->answers_since = now;
		doorbell->answers = 0;
	}
	return doorbell->answers++ < ANSWERS_MOST;
}

/* What is written to the device is a packet that the host has received from it, and forwards or
 * delivers. */
void doorbell_answer(
	struct doorbell *doorbell, const struct packet *packet, enum packet_answer answer)
{
	uint8_t text[PACKET_ANSWER_MAX];
	size_t length = packet_answer(packet, answer, text);
	if (length == 0)
		return;
	if (may_answer(doorbell) && write(doorbell->tun.fd, text, length) == (ssize_t)length)
		doorbell->counters.answered++;
	else
		doorbell->counters.unanswered++;
}

void doorbell_refuse(struct doorbell *doorbell, struct parking_lot *lot, enum packet_answer answer)
{
	struct parked *parked;
	while ((parked = parking_take(&doorbell->parking, lot))) {
		doorbell_answer(doorbell, &parked->packet, answer);
		free(parked);
	}
}

void doorbell_clear(struct doorbell *doorbell, struct parking_lot *lot)
{
	parking_clear(&doorbell->parking, lot);
}

void doorbell_announce(
	struct doorbell *doorbell, const struct ip_address *address, const struct mac_address *mac)
{
	neighbour_announce(doorbell->neighbour, address, mac);
}

void doorbell_announce_soon(
	struct doorbell *doorbell, const struct ip_address *address, const struct mac_address *mac)
{
	neighbour_announce_soon(doorbell->neighbour, address, mac);
}

int doorbell_hear(struct doorbell *doorbell, const char *tap, const struct mac_address *mac,
	claims_fn heard, void *ctx, struct claims **out, struct error *err)
{
	*out = NULL;
	if (!device_has_carrier(&doorbell->netlink, tap))
		return 0;
	return neighbour_hear(doorbell->neighbour, tap, mac, heard, ctx, out, err);
}

void doorbell_ask(
	struct doorbell *doorbell, const struct ip_address *address, const struct mac_address *mac)
{
	neighbour_ask(doorbell->neighbour, address, mac);
}

struct doorbell_counters doorbell_counters(const struct doorbell *doorbell)
{
	struct doorbell_counters counters = doorbell->counters;
	counters.solicited += neighbour_answered(doorbell->neighbour);
	counters.waiting = doorbell->parking.packets;
	counters.waiting_bytes = doorbell->parking.bytes;
	return counters;
}

/* --- routes --- */

static const struct ip_address *source_for(const struct doorbell *doorbell, uint8_t family)
{
	const struct ip_prefix *prefix = bridge_address(&doorbell->bridge, family);
	return prefix ? &prefix->address : NULL;
}

/* How many routes were missing. */
static int route_pool(
	struct doorbell *doorbell, size_t place, const struct ip_prefix *pool, struct error *err)
{
	char text[IP_PREFIX_TEXT];
	const struct ip_address *source = source_for(doorbell, pool->address.family);
	if (!doorbell->bridge.made || !ip_address_is_set(&pool->address) || !source)
		return 0;
	int rc = route_put(&doorbell->netlink, doorbell->tun.index, pool, DOORBELL_METRIC, source);
	int missing = rc;
	if (rc >= 0)
		rc = route_put(&doorbell->netlink, doorbell->bridge.index,
			bridge_address(&doorbell->bridge, pool->address.family), BACK_DOOR_METRIC,
			source);
	if (rc < 0)
		return netlink_error(&doorbell->netlink, err, rc,
			"cannot route %s to the doorbell '%s'", ip_prefix_print(pool, text),
			doorbell->tun.name);
	doorbell->routed[place] = *pool;
	return missing + rc;
}

int doorbell_route_pools(struct doorbell *doorbell, struct error *err)
{
	doorbell->routed[0] = doorbell->routed[1] = (struct ip_prefix){0};
	int four = route_pool(doorbell, 0, &doorbell->config.pool, err);
	int six = four < 0 ? four : route_pool(doorbell, 1, &doorbell->config.pool6, err);
	return six < 0 ? six : four + six;
}

static bool is_routed(const struct doorbell *doorbell, const struct ip_address *address)
{
	for (size_t i = 0; i < 2; i++)
		if (ip_address_is_set(&doorbell->routed[i].address) &&
			ip_prefix_contains(&doorbell->routed[i], address))
			return true;
	return false;
}

static struct ip_prefix alone(const struct ip_address *address)
{
	return (struct ip_prefix){*address, (uint8_t)(ip_address_size(address) * 8)};
}

int doorbell_admit(struct doorbell *doorbell, const struct ip_address *address, struct error *err)
{
	char text[IP_ADDRESS_TEXT];
	const struct ip_address *source = source_for(doorbell, address->family);
	if (!source || is_routed(doorbell, address))
		return 0;
	const struct ip_prefix to = alone(address);
	int rc = route_put(&doorbell->netlink, doorbell->tun.index, &to, DOORBELL_METRIC, source);
	int missing = rc;
	if (rc >= 0 && address->family == AF_INET)
		rc = route_put_proxy(&doorbell->netlink, doorbell->bridge.index, address, true);
	return rc < 0 ? netlink_error(&doorbell->netlink, err, rc,
				"cannot route %s to the doorbell '%s'",
				ip_address_print(address, text), doorbell->tun.name)
		      : missing;
}

int doorbell_dismiss(struct doorbell *doorbell, const struct ip_address *address, struct error *err)
{
	char text[IP_ADDRESS_TEXT];
	const struct ip_prefix to = alone(address);
	if (!ip_address_is_set(address) || is_routed(doorbell, address))
		return 0;
	int rc = route_delete(&doorbell->netlink, doorbell->tun.index, &to, DOORBELL_METRIC);
	int proxy = address->family == AF_INET ? route_put_proxy(&doorbell->netlink,
							 doorbell->bridge.index, address, false)
					       : 0;
	rc = rc < 0 ? rc : proxy;
	return rc < 0 ? netlink_error(&doorbell->netlink, err, rc,
				"cannot end the route of %s to the doorbell '%s'",
				ip_address_print(address, text), doorbell->tun.name)
		      : 0;
}

struct keeping {
	const struct doorbell *doorbell;
	bool (*keep)(void *ctx, const struct ip_address *address);
	void *ctx;
};

static bool same_network(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->length == b->length && ip_prefix_contains(a, &b->address);
}

static bool is_kept(void *ctx, const struct ip_prefix *to)
{
	const struct keeping *keeping = ctx;
	for (size_t i = 0; i < 2; i++)
		if (ip_address_is_set(&keeping->doorbell->routed[i].address) &&
			same_network(&keeping->doorbell->routed[i], to))
			return true;
	return to->length == ip_address_size(&to->address) * 8 &&
	       !is_routed(keeping->doorbell, &to->address) &&
	       keeping->keep(keeping->ctx, &to->address);
}

/* The back doors are on the bridge, among the guests' routes, which are none of ours here. */
static bool is_kept_on_bridge(void *ctx, const struct ip_prefix *to)
{
	const struct keeping *keeping = ctx;
	const struct ip_prefix *own =
		bridge_address(&keeping->doorbell->bridge, to->address.family);
	return to->length == ip_address_size(&to->address) * 8 || (own && same_network(own, to));
}

static int prune_family(struct doorbell *doorbell, struct keeping *keeping, uint8_t family)
{
	struct netlink *netlink = &doorbell->netlink;
	const int devices[] = {doorbell->tun.index, doorbell->bridge.index};
	bool (*const keep[])(void *, const struct ip_prefix *) = {is_kept, is_kept_on_bridge};
	int rc = 0;
	for (size_t i = 0; rc >= 0 && i < 2; i++) {
		CLEANUP(free) struct route_found *found = NULL;
		size_t count = 0;
		rc = route_find(netlink, devices[i], family, keep[i], keeping, &found, &count);
		for (size_t k = 0; rc >= 0 && k < count; k++)
			rc = route_delete(netlink, devices[i], &found[k].to, found[k].metric);
	}
	CLEANUP(free) struct route_found *proxies = NULL;
	size_t count = 0;
	if (rc >= 0)
		rc = route_find_proxies(netlink, doorbell->bridge.index, family, is_kept, keeping,
			&proxies, &count);
	for (size_t k = 0; rc >= 0 && k < count; k++)
		rc = route_put_proxy(
			netlink, doorbell->bridge.index, &proxies[k].to.address, false);
	return rc;
}

int doorbell_prune(struct doorbell *doorbell,
	bool (*keep)(void *ctx, const struct ip_address *address), void *ctx, struct error *err)
{
	struct keeping keeping = {doorbell, keep, ctx};
	int rc = prune_family(doorbell, &keeping, AF_INET);
	if (rc >= 0)
		rc = prune_family(doorbell, &keeping, AF_INET6);
	return rc < 0 ? netlink_error(&doorbell->netlink, err, rc,
				"cannot tidy the routes to the doorbell '%s'", doorbell->tun.name)
		      : 0;
}

/* --- its life --- */

/* Before Linux 6.17 forwarding of IPv6 is the whole host's affair, and not for us to turn on. */
static int forward_ipv6(struct doorbell *doorbell)
{
	int rc = device_set("ipv6/conf", doorbell->bridge.name, "force_forwarding", "1");
	device_set("ipv6/conf", doorbell->tun.name, "force_forwarding", "1");
	if (rc < 0 && device_is_set("ipv6/conf", "all", "forwarding"))
		rc = 0;
	if (rc < 0)
		doorbell->hindrance = "IPv6 clients on the bridge wake a service only where "
				      "net.ipv6.conf.all.forwarding is 1";
	return rc;
}

/* The kernel's part. forwarding: from the bridge, and of our answers. rp_filter 2: a guest that
 * boots sends from an address that is not routed to it yet. proxy_delay 0: else an answer waits for
 * up to 0.8 s. */
void doorbell_set_kernel(struct doorbell *doorbell)
{
	const char *bridge = doorbell->bridge.name, *tun = doorbell->tun.name;
	doorbell->hindrance = NULL;
	int rc = device_set("ipv4/conf", bridge, "forwarding", "1");
	if (doorbell->bridge.made)
		device_set("ipv4/conf", bridge, "proxy_arp", "1");
	device_set("ipv4/neigh", bridge, "proxy_delay", "0");
	device_set("ipv4/conf", bridge, "rp_filter", "2");
	device_set("ipv4/conf", bridge, "send_redirects", "0");
	device_set("ipv4/conf", tun, "forwarding", "1");
	if (rc < 0)
		doorbell->hindrance = "clients on the bridge cannot wake a service: "
				      "/proc/sys/net/ipv4/conf cannot be written";
	if (rc >= 0 && bridge_address(&doorbell->bridge, AF_INET6))
		rc = forward_ipv6(doorbell);
	/* What keeps the host from passing packets on keeps guests from one another, if they are. */
	link_isolate(doorbell->link, doorbell->bridge.made && rc >= 0);
}

/* One guest asks for another, and neither hears the other. */
static bool is_between(const struct doorbell *doorbell, const struct ip_address *address,
	const struct mac_address *asker)
{
	struct mac_address guest;
	return doorbell->config.is_guests(doorbell->config.ctx, address, &guest) &&
	       memcmp(&guest, asker, sizeof(guest)) != 0 &&
	       link_is_isolated(doorbell->link, asker) && link_is_isolated(doorbell->link, &guest);
}

/* For those who sleep the kernel answers ARP. */
static bool is_ours(void *ctx, const struct ip_address *address, const struct mac_address *asker)
{
	struct doorbell *doorbell = ctx;
	return (address->family == AF_INET6 &&
		       doorbell->config.is_ours(doorbell->config.ctx, address)) ||
	       is_between(doorbell, address, asker);
}

int doorbell_open_neighbour(struct doorbell *doorbell, uv_loop_t *loop, const struct bridge *bridge,
	struct neighbour **out, struct error *err)
{
	const struct neighbour_config config = {
		.bridge = bridge, .answers_arp = bridge->made, .is_ours = is_ours, .ctx = doorbell};
	return neighbour_create(loop, &config, out, err);
}

static int open_all(struct doorbell *doorbell, uv_loop_t *loop, struct error *err)
{
	const struct doorbell_config *config = &doorbell->config;
	int rc = netlink_open(&doorbell->netlink, err);
	if (rc >= 0)
		rc = tun_open(
			&doorbell->netlink, config->device, &doorbell->bridge, &doorbell->tun, err);
	if (rc < 0)
		return rc;
	doorbell_set_kernel(doorbell);
	rc = doorbell_route_pools(doorbell, err);
	if (rc >= 0)
		rc = doorbell_open_neighbour(
			doorbell, loop, &doorbell->bridge, &doorbell->neighbour, err);
	return rc;
}

int doorbell_create(uv_loop_t *loop, struct link *link, const struct doorbell_config *config,
	struct doorbell **out, struct error *err)
{
	struct doorbell *doorbell = calloc(1, sizeof(*doorbell));
	if (!doorbell)
		return error_set(err, -ENOMEM, "no memory for the doorbell");
	doorbell->config = *config;
	doorbell->link = link;
	doorbell->bridge = *link_bridge(link);
	doorbell->parking.limits = config->limits;
	doorbell->netlink.fd = doorbell->tun.fd = -1;
	int rc = open_all(doorbell, loop, err);
	if (rc >= 0 && (rc = uv_poll_init(loop, &doorbell->poll, doorbell->tun.fd)) < 0)
		error_set(err, rc, "cannot watch the doorbell: %s", uv_strerror(rc));
	if (rc < 0) {
		tun_forget(&doorbell->tun);
		neighbour_destroy(doorbell->neighbour);
		cleanup_close(&doorbell->tun.fd);
		netlink_close(&doorbell->netlink);
		free(doorbell);
		return rc;
	}
	doorbell->config.device = doorbell->tun.name;
	doorbell->poll.data = doorbell;
	uv_poll_start(&doorbell->poll, UV_READABLE, doorbell_on_packets);
	*out = doorbell;
	return 0;
}

static void release(uv_handle_t *handle)
{
	free(handle->data);
}

static void remove_routes(struct doorbell *doorbell)
{
	for (size_t i = 0; i < 2; i++)
		if (ip_address_is_set(&doorbell->routed[i].address))
			route_delete(&doorbell->netlink, doorbell->bridge.index,
				bridge_address(
					&doorbell->bridge, doorbell->routed[i].address.family),
				BACK_DOOR_METRIC);
	/* Routes to the device go with it. */
	device_delete(&doorbell->netlink, doorbell->tun.index);
}

void doorbell_destroy(struct doorbell *doorbell, bool remove_all)
{
	if (!doorbell)
		return;
	if (remove_all)
		remove_routes(doorbell);
	watch_destroy(doorbell->watch);
	neighbour_destroy(doorbell->neighbour);
	uv_close((uv_handle_t *)&doorbell->poll, release);
	close(doorbell->tun.fd);
	netlink_close(&doorbell->netlink);
}

const char *doorbell_hindrance(const struct doorbell *doorbell)
{
	return doorbell->hindrance ? doorbell->hindrance : "";
}
