/* SPDX-License-Identifier: ISC */
#include "summon-vmm/rights.h"

#include <stddef.h>

struct window {
	uint64_t start, size;
	unsigned rights;
};

/* Below the image, the guest has these, and nothing else. */
static const struct window windows[] = {
	{LAYOUT_BOOT, PAGE, RIGHT_READ},
	{LAYOUT_CALLS, PAGE, RIGHT_READ | RIGHT_EXECUTE},
	{LAYOUT_SHARED, PAGE, RIGHT_READ | RIGHT_WRITE},
	{LAYOUT_RECEIVE, sizeof(struct summon_ring), RIGHT_READ | RIGHT_WRITE},
	{LAYOUT_TRANSMIT, sizeof(struct summon_ring), RIGHT_READ | RIGHT_WRITE},
};

static unsigned rights_below(uint64_t address)
{
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++)
		if (address >= windows[i].start && address - windows[i].start < windows[i].size)
			return windows[i].rights;
	return 0;
}

unsigned rights_of(const struct image *image, uint64_t address)
{
	if (address < SUMMON_IMAGE_MIN)
		return rights_below(address);
	for (unsigned i = 0; i < SUMMON_GUARDS; i++)
		if (address == image->note.guards[i])
			return 0;
	for (unsigned i = 0; i < image->count; i++) {
		const struct image_segment *s = &image->segments[i];
		if (address >= s->start && address < s->end)
			return RIGHT_READ | (s->write ? RIGHT_WRITE : 0u) |
			       (s->execute ? RIGHT_EXECUTE : 0u);
	}
	return RIGHT_READ | RIGHT_WRITE;
}
