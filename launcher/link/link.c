/* SPDX-License-Identifier: ISC */
#include "launcher/link/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/link/bridge.h"
#include "launcher/link/device.h"
#include "launcher/link/remover.h"
#include "launcher/link/route.h"
#include "launcher/link/spares.h"
#include "launcher/link/tap.h"

#define SPARE_TAPS_MOST 1024
#define LIST_TRIES      8

struct link {
	struct netlink netlink;
	struct bridge bridge;
	struct tap_plan plan;
	struct spares spares;
	struct tap_list used;
	bool settled;
	bool removes_bridge; /* at the end */
	struct remover remover;
};

static int check_config(const struct link_config *config, struct error *err)
{
	int rc = device_check_name(
		"tap prefix", config->tap_prefix, sizeof(((struct tap_plan *)0)->prefix) - 1, err);
	if (rc < 0)
		return rc;
	if (config->spare_taps > SPARE_TAPS_MOST)
		return error_set(err, -EINVAL, "%u spare taps are too many: %d at most",
			config->spare_taps, SPARE_TAPS_MOST);
	return 0;
}

int link_create(
	uv_loop_t *loop, const struct link_config *config, struct link **out, struct error *err)
{
	int rc = check_config(config, err);
	if (rc < 0)
		return rc;
	struct link *link = calloc(1, sizeof(*link));
	if (!link)
		return error_set(err, -ENOMEM, "no memory for the link");
	memcpy(link->plan.prefix, config->tap_prefix, strlen(config->tap_prefix));
	rc = netlink_open(&link->netlink, err);
	if (rc == 0)
		rc = bridge_open(&link->netlink, config, &link->bridge, err);
	if (rc < 0) {
		netlink_close(&link->netlink);
		free(link);
		return rc;
	}
	link->plan.bridge = link->bridge.index;
	remover_init(&link->remover, loop);
	spares_init(&link->spares, loop, &link->plan, &link->remover, config->spare_taps,
		config->spare_headers);
	*out = link;
	return 0;
}

static void release(void *ctx)
{
	struct link *link = ctx;
	netlink_close(&link->netlink);
	tap_list_finish(&link->used);
	free(link);
}

static void remove_rest(void *ctx)
{
	struct link *link = ctx;
	if (link->removes_bridge) {
		struct tap bridge = {.index = link->bridge.index, .fd = -1};
		remover_add(&link->remover, &bridge);
	}
	remover_finish(&link->remover, release, link);
}

void link_destroy(struct link *link, bool remove_all)
{
	if (!link)
		return;
	link->removes_bridge = remove_all && link->bridge.made;
	for (size_t i = 0; i < link->used.count && !link->removes_bridge; i++)
		tap_isolate(&link->netlink, &link->used.items[i], false);
	spares_finish(&link->spares, remove_rest, link);
}

void link_isolate(struct link *link, bool on)
{
	__atomic_store_n(&link->plan.isolates, on, __ATOMIC_RELAXED);
}

bool link_is_isolated(const struct link *link, const struct mac_address *mac)
{
	for (size_t i = 0; i < link->used.count; i++) {
		const struct tap *tap = &link->used.items[i];
		if (tap->isolated && memcmp(&tap->mac, mac, sizeof(*mac)) == 0)
			return true;
	}
	return false;
}

static int make_tap(struct link *link, bool headers, struct tap *out, struct error *err)
{
	int rc = tap_make(&link->netlink, &link->plan, headers, out, err);
	if (rc == 0 && (rc = tap_open_up(out)) < 0) {
		error_set(err, rc, "cannot open tap '%s' to the network: %s", out->name,
			strerror(-rc));
		remover_add(&link->remover, out);
	}
	return rc;
}

static bool spare_will_do(const struct link *link, enum link_tap_use how)
{
	return how == LINK_TAP_BY_NAME || (how == LINK_TAP_HEADERS) == link->spares.headers;
}

bool link_tap_awaited(const struct link *link, enum link_tap_use how)
{
	return spare_will_do(link, how) && spares_awaited(&link->spares);
}

/* What opens it by its name hears everything, and is heard. */
static int open_to_all(struct link *link, struct tap *tap, struct error *err)
{
	int rc = tap_isolate(&link->netlink, tap, false);
	if (rc == 0)
		rc = tap_hear_all(tap);
	if (rc == 0)
		return 0;
	remover_add(&link->remover, tap);
	return netlink_error(&link->netlink, err, rc,
		"cannot make tap '%s' a port of bridge '%s' that other guests hear", tap->name,
		link->bridge.name);
}

int link_tap_take(struct link *link, enum link_tap_use how, struct link_tap *out, struct error *err)
{
	bool by_name = how == LINK_TAP_BY_NAME;
	struct tap tap;
	int rc = spare_will_do(link, how) && spares_take(&link->spares, &tap)
			 ? 0
			 : make_tap(link, how == LINK_TAP_HEADERS, &tap, err);
	if (rc < 0)
		return rc;
	if (link->settled)
		spares_refill(&link->spares);
	if (by_name && (rc = open_to_all(link, &tap, err)) < 0)
		return rc;
	CLEANUP(close) int fd = tap.fd;
	tap.fd = -1;
	rc = tap_list_add(&link->used, &tap);
	if (rc < 0) {
		remover_add(&link->remover, &tap);
		return error_set(err, rc, "no memory for a tap");
	}
	memcpy(out->name, tap.name, IFNAMSIZ);
	out->fd = by_name ? -1 : steal_fd(&fd);
	return 0;
}

/* A used tap is deleted, not used again: no frame, setting or forwarding entry of one guest can
 * reach another. */
void link_tap_give(struct link *link, const char *name)
{
	size_t place = tap_list_find(&link->used, name);
	if (place == link->used.count)
		return;
	struct tap tap = tap_list_take(&link->used, place);
	remover_add(&link->remover, &tap);
}

int link_tap_adopt(struct link *link, const char *name, struct error *err)
{
	struct device device;
	int rc = device_check_name("tap", name, IFNAMSIZ - 1, err);
	if (rc < 0)
		return rc;
	rc = device_find(&link->netlink, name, &device);
	if (rc < 0)
		return netlink_error(&link->netlink, err, rc, "cannot adopt tap '%s'", name);
	if (strcmp(device.kind, "tun") != 0)
		return error_set(err, -EINVAL, "cannot adopt '%s': it is no tap", name);
	if (device.master != 0 && device.master != link->bridge.index)
		return error_set(err, -EINVAL,
			"cannot adopt tap '%s': it belongs to another bridge than '%s'", name,
			link->bridge.name);
	if (tap_list_find(&link->used, name) < link->used.count)
		return 0;
	struct tap tap = {.index = device.index, .fd = -1, .isolated = device.isolated};
	memcpy(tap.name, device.name, sizeof(tap.name));
	/* A bridge that was removed and made again has lost its ports. */
	rc = tap_restore(&link->netlink, &tap, link->bridge.index);
	if (rc == 0 && !link->plan.isolates)
		rc = tap_isolate(&link->netlink, &tap, false);
	if (rc < 0)
		return netlink_error(&link->netlink, err, rc,
			"cannot make tap '%s' a port of bridge '%s'", name, link->bridge.name);
	rc = tap_list_add(&link->used, &tap);
	return rc < 0 ? error_set(err, rc, "no memory for a tap") : 0;
}

/* A tap of our prefix that nobody holds, on our bridge or on none (its bridge was removed). */
static bool is_orphan(const struct link *link, const struct device *device)
{
	size_t prefix = strlen(link->plan.prefix);
	const char *number = device->name + prefix;
	return strcmp(device->kind, "tun") == 0 &&
	       (device->master == 0 || device->master == link->bridge.index) &&
	       strncmp(device->name, link->plan.prefix, prefix) == 0 && *number &&
	       strspn(number, "0123456789") == strlen(number) &&
	       tap_list_find(&link->used, device->name) == link->used.count &&
	       tap_list_find(&link->spares.list, device->name) == link->spares.list.count;
}

struct orphans {
	const struct link *link;
	struct tap_list list;
};

static int gather_orphan(void *ctx, const struct device *device)
{
	struct orphans *orphans = ctx;
	struct tap tap = {.index = device->index, .fd = -1};
	return is_orphan(orphans->link, device) ? tap_list_add(&orphans->list, &tap) : 0;
}

/* They are deleted after the last look: a list of devices that are being deleted is none. Other
 * devices may come and go meanwhile. */
static int remove_orphans(struct link *link, struct error *err)
{
	struct orphans orphans = {.link = link};
	int rc = -EINTR;
	for (int tries = 0; rc == -EINTR && tries < LIST_TRIES; tries++) {
		orphans.list.count = 0;
		rc = device_each(&link->netlink, gather_orphan, &orphans);
	}
	for (size_t i = 0; i < orphans.list.count; i++)
		remover_add(&link->remover, &orphans.list.items[i]);
	tap_list_finish(&orphans.list);
	/* What was missed is found the next time. */
	return rc < 0 && rc != -EINTR ? netlink_error(&link->netlink, err, rc,
						"cannot list this host's network devices")
				      : 0;
}

int link_taps_settle(struct link *link, struct error *err)
{
	int rc = remove_orphans(link, err);
	if (rc >= 0)
		rc = spares_fill(&link->spares, &link->netlink, err);
	link->settled = true;
	if (rc < 0) /* for now */
		spares_refill(&link->spares);
	return rc;
}

int link_down(struct link *link, const struct ip_address *address, struct error *err)
{
	return route_remove(&link->netlink, &link->bridge, address, err);
}

int link_place(struct link *link, const char *tap, const struct mac_address *mac, struct error *err)
{
	size_t place = tap_list_find(&link->used, tap);
	if (place == link->used.count)
		return error_set(err, -ENODEV, "tap '%.40s' is not in use", tap);
	return tap_place(&link->netlink, &link->used.items[place], mac, err);
}

int link_prepare(struct link *link, const struct ip_address *address, const struct mac_address *mac,
	struct error *err)
{
	return route_add_neighbour(&link->netlink, &link->bridge, address, mac, err);
}

void link_catch_up(struct link *link, const char *tap)
{
	device_has_carrier(&link->netlink, tap);
}

int link_open(struct link *link, const struct ip_address *address, struct error *err)
{
	return route_open(&link->netlink, &link->bridge, address, err);
}

int link_close(struct link *link, const struct ip_address *address, struct error *err)
{
	return route_close(&link->netlink, &link->bridge, address, err);
}

const struct bridge *link_bridge(const struct link *link)
{
	return &link->bridge;
}

const struct netlink *link_netlink(const struct link *link)
{
	return &link->netlink;
}

int link_restore(struct link *link, struct error *err)
{
	bool renewed = false;
	int rc = bridge_restore(&link->netlink, &link->bridge, &renewed, err);
	if (rc < 0)
		return rc;
	/* The thread that makes spare ones reads it. */
	__atomic_store_n(&link->plan.bridge, link->bridge.index, __ATOMIC_RELAXED);
	for (size_t i = 0; i < link->spares.list.count; i++)
		tap_restore(&link->netlink, &link->spares.list.items[i], link->bridge.index);
	return rc + renewed;
}

int link_tap_restore(struct link *link, const char *tap, struct error *err)
{
	/* One that a hypervisor has made is none of ours. */
	size_t place = tap_list_find(&link->used, tap);
	const struct tap device =
		place < link->used.count ? link->used.items[place]
					 : (struct tap){.index = device_index(&link->netlink, tap)};
	int rc = device.index < 0 ? device.index
				  : tap_restore(&link->netlink, &device, link->bridge.index);
	return rc < 0 ? netlink_error(&link->netlink, err, rc,
				"cannot make tap '%.40s' a port of bridge '%s'", tap,
				link->bridge.name)
		      : 0;
}

int link_prune(struct link *link, bool (*keep)(void *ctx, const struct ip_address *address),
	void *ctx, struct error *err)
{
	return route_prune(&link->netlink, &link->bridge, keep, ctx, err);
}

int link_read_counters(
	struct link *link, const char *tap, struct link_counters *out, struct error *err)
{
	return tap_read_counters(&link->netlink, tap, out, err);
}

/* FNV-1a, 64 bits (draft-eastlake-fnv). */
static uint64_t hash(const char *text)
{
	uint64_t value = 0xcbf29ce484222325u;
	for (; *text; text++)
		value = (value ^ (uint8_t)*text) * 0x100000001b3u;
	return value;
}

/* 14 bits of the identity's hash, the upper half of the service's number mixed with 16 more, and
 * its lower half as it is: two services of one identity never share a MAC, whatever the hash. */
struct mac_address link_mac(const char *identity, uint32_t service)
{
	uint64_t h = hash(identity);
	uint32_t upper = (service >> 16) ^ (uint32_t)(h & 0xffff);
	return (struct mac_address){.bytes = {
					    (uint8_t)(((h >> 56) & 0xfc) | 0x02),
					    (uint8_t)(h >> 48),
					    (uint8_t)(upper >> 8),
					    (uint8_t)upper,
					    (uint8_t)(service >> 8),
					    (uint8_t)service,
				    }};
}
