/* SPDX-License-Identifier: ISC */
#ifndef NET_OFFLOAD_H
#define NET_OFFLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest-kernel/include/summon_abi.h"

/*
 * What the network does for a guest that leaves it to it. lwIP makes segments as they will be on the
 * wire, so that windows, retransmissions and path MTU are its own; here segments that follow one
 * another become one large frame, which passes through everything up to the wire as one. Pure
 * functions on Ethernet frames.
 */
struct offload_frame {
	struct summon_frame_header *header;
	uint8_t *bytes;
	size_t size;
	const uint8_t *tail; /* the rest of it, which stays where it is */
	size_t tail_size;    /* 0: none */
};

/* Leaves the checksum of a TCP segment to the network, which its header then says; of anything else
 * the header says that nothing is open. What TCP carries may be in the tail, and only that. */
void offload_checksum(const struct offload_frame *frame);

/* Appends `next`, whose checksum was left open too, to *frame where both are of one stream, without a
 * gap, and where taking the whole apart gives them again: if both have tails, one behind the other, or
 * neither has. Without tails there must be room for both; they may overlap. False where nothing was
 * done. */
bool offload_append(struct offload_frame *frame, const struct offload_frame *next);

#endif
