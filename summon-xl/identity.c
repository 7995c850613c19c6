/* SPDX-License-Identifier: ISC */
#include "summon-xl/identity.h"

#include <endian.h>
#include <string.h>

/* FNV-1a (draft-eastlake-fnv): an identity is random already, and this makes 64 bits of any. */
uint64_t identity_hash(const char *identity)
{
	uint64_t hash = 0xcbf29ce484222325u;
	for (; *identity; identity++)
		hash = (hash ^ (uint8_t)*identity) * 0x100000001b3u;
	return hash;
}

void identity_uuid(uint64_t identity, struct guest_id id, libxl_uuid *uuid)
{
	const uint64_t owner = htobe64(identity);
	const uint32_t numbers[] = {htobe32(id.slot), htobe32(id.generation)};
	uint8_t *bytes = libxl_uuid_bytearray(uuid);
	memcpy(bytes, &owner, sizeof(owner));
	memcpy(bytes + sizeof(owner), numbers, sizeof(numbers));
}

bool identity_owns(uint64_t identity, const libxl_uuid *uuid, struct guest_id *id)
{
	uint64_t owner;
	uint32_t numbers[2];
	const uint8_t *bytes = libxl_uuid_bytearray_const(uuid);
	memcpy(&owner, bytes, sizeof(owner));
	memcpy(numbers, bytes + sizeof(owner), sizeof(numbers));
	*id = (struct guest_id){be32toh(numbers[0]), be32toh(numbers[1])};
	return be64toh(owner) == identity;
}
