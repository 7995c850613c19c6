/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_RINGS_H
#define SUMMON_VMM_RINGS_H

#include <stdbool.h>

#include "guest-kernel/include/summon_abi.h"
#include "summon-vmm/memory.h"

/*
 * Frames between the guest's rings and a tap (or anything of whose readv() and writev() each is a
 * frame). The rings are the guest's to write at any moment: this side's own counters are kept here,
 * each word of the guest's is read once, and nothing in a ring is believed.
 *
 * What one call does is bounded by the ring: SUMMON_RING_FRAMES frames.
 */
struct rings {
	const struct memory *memory;
	struct summon_ring *receive, *transmit;
	struct summon_counters *received_counters, *transmitted_counters;
	uint32_t received, sent; /* what we say has been produced, and consumed */
	uint32_t end;            /* of the received frames that wait, in receive->data */
	int tap;                 /* non-blocking; the caller's */
	bool has_header;         /* frames of the tap begin with a struct virtio_net_hdr */
	struct rings_counts {
		uint64_t frames, bytes;
	} in, out;
	uint64_t lost; /* of those that the guest had for us */
};

/* The rings at their places in the guest's memory, as they are there. *memory has to last. */
void rings_init(struct rings *rings, const struct memory *memory, int tap, bool has_header);

/* Writes the frames that the guest has for us to the tap. A frame that is no frame, or that the tap
 * does not take, is lost, as on any wire. -EPROTO where the guest's counter cannot be true. */
int rings_send(struct rings *rings, struct error *err);

/* Reads into the ring what the tap has, as far as there is room. Returns how many frames wait for
 * the guest now, or -EPROTO. */
int rings_receive(struct rings *rings, struct error *err);

#endif
