/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_DOORBELL_INTERNAL_H
#define LAUNCHER_LINK_DOORBELL_INTERNAL_H

#include "launcher/link/doorbell.h"
#include "launcher/link/neighbour.h"
#include "launcher/link/netlink.h"
#include "launcher/link/tun.h"

/* What doorbell.c, which rings, and restore.c, which puts back what somebody has taken away, share. */

struct doorbell {
	uv_poll_t poll;
	struct netlink netlink;
	struct link *link;
	struct bridge bridge;
	struct tun tun;
	struct watch *watch;
	struct neighbour *neighbour;
	struct doorbell_config config;
	struct ip_prefix routed[2]; /* pools that are routed whole, or none */
	struct parking parking;
	struct doorbell_counters counters;
	uint64_t answers_since; /* monotonic; when counting began */
	unsigned answers;       /* since then */
	const char *hindrance;
	bool renewed; /* the bridge is another one, which its hosts have not been told */
	uint8_t packet[PACKET_MAX + 1];
};

void doorbell_on_packets(uv_poll_t *poll, int status, int events);
/* The routes of the pools; returns how many were missing. */
int doorbell_route_pools(struct doorbell *doorbell, struct error *err);
/* The settings of the bridge and of the device, which both lose when they are deleted. */
void doorbell_set_kernel(struct doorbell *doorbell);
int doorbell_open_neighbour(struct doorbell *doorbell, uv_loop_t *loop, const struct bridge *bridge,
	struct neighbour **out, struct error *err);

#endif
