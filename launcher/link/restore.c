/* SPDX-License-Identifier: ISC */
#include "launcher/link/doorbell_internal.h"

int doorbell_watch(struct doorbell *doorbell, watch_fn changed, void *ctx, struct error *err)
{
	const struct watch_config config = {{link_netlink(doorbell->link), &doorbell->netlink},
		doorbell->bridge.index, doorbell->tun.index, changed, ctx};
	return watch_create(doorbell->poll.loop, &config, &doorbell->watch, err);
}

/* Its sockets are bound to the bridge that was. */
static int renew_neighbour(
	struct doorbell *doorbell, const struct bridge *bridge, struct error *err)
{
	struct neighbour *neighbour;
	int rc = doorbell_open_neighbour(doorbell, doorbell->poll.loop, bridge, &neighbour, err);
	if (rc < 0)
		return rc;
	doorbell->counters.solicited += neighbour_answered(doorbell->neighbour);
	neighbour_destroy(doorbell->neighbour);
	doorbell->neighbour = neighbour;
	return 0;
}

int doorbell_restore(struct doorbell *doorbell, struct error *err)
{
	const struct bridge *bridge = link_bridge(doorbell->link);
	bool renewed = bridge->index != doorbell->bridge.index;
	int made = tun_restore(&doorbell->netlink, &doorbell->tun, bridge, err);
	int rc = made;
	if (rc >= 0 && renewed)
		rc = renew_neighbour(doorbell, bridge, err);
	if (rc < 0)
		return rc;
	doorbell->bridge = *bridge;
	doorbell->renewed |= renewed;
	if (renewed || made)
		doorbell_set_kernel(doorbell);
	if (doorbell->watch)
		watch_aim(doorbell->watch, bridge->index, doorbell->tun.index);
	uv_poll_start(&doorbell->poll, UV_READABLE, doorbell_on_packets);
	rc = doorbell_route_pools(doorbell, err);
	return rc < 0 ? rc : rc + made;
}

void doorbell_restored(struct doorbell *doorbell)
{
	for (size_t i = 0; doorbell->renewed && i < 2; i++)
		if (ip_address_is_set(&doorbell->bridge.addresses[i].address))
			doorbell_announce(doorbell, &doorbell->bridge.addresses[i].address, NULL);
	doorbell->renewed = false;
}
