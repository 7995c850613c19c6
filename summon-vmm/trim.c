/* SPDX-License-Identifier: ISC */
#include <sys/mman.h>

#include "summon-vmm/monitor.h"
#include "summon-vmm/rights.h"

/* What a paused guest does not need: pages full of zeroes, which come back as such; rings without a
 * frame, of which nothing is read again; and the rest is the first that the kernel may take when
 * memory is short. */

static void give_back(const struct memory *memory, uint64_t start, uint64_t end)
{
	if (start < end)
		madvise(memory_at(memory, start, end - start), end - start, MADV_DONTNEED);
}

static void trim_zeroes(const struct memory *memory, const struct image *image)
{
	bool used[MEMORY_LOOK];
	uint64_t start = SUMMON_IMAGE_MIN;
	for (uint64_t at = start; at < memory->size; at += PAGE) {
		uint64_t place = (at - SUMMON_IMAGE_MIN) / PAGE % MEMORY_LOOK;
		uint64_t left = (memory->size - at) / PAGE;
		if (place == 0)
			memory_look(memory, at, left < MEMORY_LOOK ? (unsigned)left : MEMORY_LOOK,
				used);
		/* In a process we can read no more than the guest can. */
		bool goes = used[place] && (rights_of(image, at) & RIGHT_READ) &&
			    !memory_is_mapped(memory, at) &&
			    memory_is_zero(memory_at(memory, at, PAGE));
		if (goes)
			continue;
		give_back(memory, start, at);
		start = at + PAGE;
	}
	give_back(memory, start, memory->size);
}

static void trim_rings(const struct monitor *m)
{
	const struct rings *r = &m->rings;
	if (!m->is_waiting || !m->has_network)
		return;
	if (__atomic_load_n(&r->received_counters->consumed, __ATOMIC_RELAXED) == r->received)
		madvise(r->receive, sizeof(*r->receive), MADV_DONTNEED);
	if (__atomic_load_n(&r->transmitted_counters->produced, __ATOMIC_RELAXED) == r->sent)
		madvise(r->transmit, sizeof(*r->transmit), MADV_DONTNEED);
}

void monitor_trim(struct monitor *m)
{
	trim_zeroes(&m->memory, &m->image);
	trim_rings(m);
	madvise(memory_at(&m->memory, SUMMON_IMAGE_MIN, PAGE), m->memory.size - SUMMON_IMAGE_MIN,
		MADV_COLD);
}
