/* SPDX-License-Identifier: ISC */
#include "summon-vmm/rings.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#define HEADER 14 /* of Ethernet: shorter is no frame */

void rings_init(struct rings *rings, const struct memory *memory, int tap)
{
	*rings = (struct rings){
		.receive = memory_at(memory, LAYOUT_RECEIVE, sizeof(struct summon_ring)),
		.transmit = memory_at(memory, LAYOUT_TRANSMIT, sizeof(struct summon_ring)),
		.tap = tap,
	};
}

static uint32_t load(const uint32_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static void store(uint32_t *counter, uint32_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELEASE);
}

static int untrue(const char *ring, uint32_t frames, struct error *err)
{
	return error_set(err, -EPROTO,
		"the guest's %s ring claims %" PRIu32 " frames, and holds no more than %d", ring,
		frames, SUMMON_RING_FRAMES);
}

int rings_send(struct rings *rings, struct error *err)
{
	struct summon_ring *ring = rings->transmit;
	uint32_t frames = load(&ring->produced) - rings->sent;
	if (frames > SUMMON_RING_FRAMES)
		return untrue("transmit", frames, err);
	for (; frames > 0; frames--) {
		uint32_t slot = rings->sent % SUMMON_RING_FRAMES;
		uint16_t size = __atomic_load_n(&ring->size[slot], __ATOMIC_RELAXED);
		ssize_t written = 0;
		if (size >= HEADER && size <= SUMMON_FRAME_SIZE)
			written = write(rings->tap, ring->frame[slot], size);
		(void)written; /* lost or not, it is done with */
		rings->sent++;
	}
	store(&ring->consumed, rings->sent);
	return 0;
}

int rings_receive(struct rings *rings, struct error *err)
{
	struct summon_ring *ring = rings->receive;
	uint32_t consumed = load(&ring->consumed);
	if (rings->received - consumed > SUMMON_RING_FRAMES)
		return untrue("receive", rings->received - consumed, err);
	while (rings->received - consumed < SUMMON_RING_FRAMES) {
		uint32_t slot = rings->received % SUMMON_RING_FRAMES;
		ssize_t size = read(rings->tap, ring->frame[slot], SUMMON_FRAME_SIZE);
		if (size <= 0)
			break;
		ring->size[slot] = (uint16_t)size;
		rings->received++;
	}
	store(&ring->produced, rings->received);
	return (int)(rings->received - consumed);
}
