/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_LINK_PARKING_H
#define LAUNCHER_LINK_PARKING_H

#include "launcher/link/packet.h"

/*
 * Packets that wait for a guest, in order. A lot is one service's; the parking, which bounds all
 * of them together by count and by bytes, is the doorbell's.
 */
struct parking_limits {
	unsigned per_lot; /* packets of one lot */
	unsigned packets; /* of all */
	uint64_t bytes;   /* of all, with what each needs to be kept */
};

struct parking {
	struct parking_limits limits;
	unsigned packets;
	uint64_t bytes;
};

struct parked {
	struct parked *next;
	struct packet packet; /* its data is the copy behind it */
	uint8_t data[];
};

/* All zero is an empty one. */
struct parking_lot {
	struct parked *first, **last; /* `last` is meaningful where `first` is not NULL */
	unsigned count;
};

enum parking_result {
	PARKING_TAKEN,
	PARKING_KNOWN, /* the same segment waits already: the client has sent it again */
	PARKING_FULL,  /* nothing was kept */
	PARKING_ALONE, /* a fragment whose first piece does not wait here */
};

/* Keeps a copy. */
enum parking_result parking_add(
	struct parking *parking, struct parking_lot *lot, const struct packet *packet);
/* The oldest one, for the caller to free; NULL at the end. */
struct parked *parking_take(struct parking *parking, struct parking_lot *lot);
void parking_clear(struct parking *parking, struct parking_lot *lot);

#endif
