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
 * functions on Ethernet frames; `size` is without the struct summon_frame_header.
 */

/* Leaves the checksum of a TCP segment to the network, which *header then says; of anything else
 * *header says that nothing is open. */
void offload_checksum(struct summon_frame_header *header, uint8_t *frame, size_t size);

/* Appends `next`, whose checksum was left open too, to the frame that *header describes where both
 * are of one stream, without a gap, and where taking the whole apart gives them again. `frame` must
 * have room for both, and may overlap `next`. Returns the new size; 0 where nothing was done. */
size_t offload_append(struct summon_frame_header *header, uint8_t *frame, size_t size,
	const uint8_t *next, size_t next_size);

#endif
