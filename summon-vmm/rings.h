/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_RINGS_H
#define SUMMON_VMM_RINGS_H

#include "guest-kernel/include/summon_abi.h"
#include "summon-vmm/memory.h"

/*
 * Frames between the guest's rings and a tap (or anything of whose read() and write() each is a
 * frame). The rings are the guest's to write at any moment: this side's own counters are kept here,
 * each of the guest's is read once, and nothing read from a slot is believed beyond its size.
 */
struct rings {
	struct summon_ring *receive, *transmit;
	uint32_t received, sent; /* receive->produced and transmit->consumed */
	int tap;                 /* non-blocking; the caller's */
};

/* The rings at their places in the guest's memory, empty. */
void rings_init(struct rings *rings, const struct memory *memory, int tap);

/* Writes the frames that the guest has for us to the tap. A frame that is no frame, or that the tap
 * does not take, is lost, as on any wire. -EPROTO where the guest's counter cannot be true. */
int rings_send(struct rings *rings, struct error *err);

/* Reads into the ring what the tap has, as far as there is room. Returns how many frames wait for
 * the guest now, or -EPROTO. */
int rings_receive(struct rings *rings, struct error *err);

#endif
