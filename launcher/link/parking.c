/* SPDX-License-Identifier: ISC */
#include "launcher/link/parking.h"

#include <stdlib.h>
#include <string.h>

static bool same_ends(const struct packet *a, const struct packet *b)
{
	return a->protocol == b->protocol && ip_address_equal(&a->source, &b->source) &&
	       ip_address_equal(&a->destination, &b->destination);
}

/* A SYN that was sent again has the same sequence number. */
static bool is_again(const struct packet *a, const struct packet *b)
{
	return a->kind == PACKET_TCP_SYN && b->kind == PACKET_TCP_SYN &&
	       a->sequence == b->sequence && a->source_port == b->source_port &&
	       a->port == b->port && same_ends(a, b);
}

static bool belongs_to(const struct packet *fragment, const struct packet *first)
{
	return first->more && first->fragment_id == fragment->fragment_id &&
	       same_ends(fragment, first);
}

/* What the lot says of a packet before its limits do. */
static enum parking_result look_for(const struct parking_lot *lot, const struct packet *packet)
{
	bool fragment = packet->kind == PACKET_FRAGMENT;
	for (const struct parked *parked = lot->first; parked; parked = parked->next) {
		if (is_again(packet, &parked->packet))
			return PARKING_KNOWN;
		if (fragment && belongs_to(packet, &parked->packet))
			return PARKING_TAKEN;
	}
	return fragment ? PARKING_ALONE : PARKING_TAKEN;
}

static uint64_t cost(size_t length)
{
	return sizeof(struct parked) + length;
}

enum parking_result parking_add(
	struct parking *parking, struct parking_lot *lot, const struct packet *packet)
{
	const struct parking_limits *limits = &parking->limits;
	enum parking_result result = look_for(lot, packet);
	if (result != PARKING_TAKEN)
		return result;
	if (lot->count >= limits->per_lot || parking->packets >= limits->packets ||
		cost(packet->length) > limits->bytes - parking->bytes)
		return PARKING_FULL;
	struct parked *parked = malloc(cost(packet->length));
	if (!parked)
		return PARKING_FULL;
	parked->next = NULL;
	parked->packet = *packet;
	parked->packet.data = parked->data;
	memcpy(parked->data, packet->data, packet->length);
	*(lot->first ? lot->last : &lot->first) = parked;
	lot->last = &parked->next;
	lot->count++;
	parking->packets++;
	parking->bytes += cost(packet->length);
	return PARKING_TAKEN;
}

struct parked *parking_take(struct parking *parking, struct parking_lot *lot)
{
	struct parked *parked = lot->first;
	if (!parked)
		return NULL;
	lot->first = parked->next;
	lot->count--;
	parking->packets--;
	parking->bytes -= cost(parked->packet.length);
	return parked;
}

void parking_clear(struct parking *parking, struct parking_lot *lot)
{
	struct parked *parked;
	while ((parked = parking_take(parking, lot)))
		free(parked);
}
