/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_XL_IDENTITY_H
#define SUMMON_XL_IDENTITY_H

#include <libxl.h>
#include <stdbool.h>
#include <stdint.h>

/* The daemon's id of an instance. */
struct guest_id {
	uint32_t slot, generation;
};

static inline bool guest_id_equal(struct guest_id a, struct guest_id b)
{
	return a.slot == b.slot && a.generation == b.generation;
}

/*
 * A domain's UUID says whose it is: the database's identity (64 bits), the slot and the generation.
 * The hypervisor has it from a domain's first instant to its last, which nothing in xenstore can be
 * relied on for: a toolstack that was killed leaves domains that are not in there yet, or any more.
 */
uint64_t identity_hash(const char *identity);
void identity_uuid(uint64_t identity, struct guest_id id, libxl_uuid *uuid);
/* False where the domain belongs to somebody else. */
bool identity_owns(uint64_t identity, const libxl_uuid *uuid, struct guest_id *id);

#endif
