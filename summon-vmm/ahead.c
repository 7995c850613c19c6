/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <string.h>

#include "summon-vmm/monitor.h"
#include "summon-vmm/rights.h"

/*
 * What a shell has ready of the guest that it may become: the memory that all guests of one image, or of
 * one template, begin with, and the address space. No instruction of it has run, and nothing is in it
 * that is one guest's. Where the guest is another one, all of it is given back and is zero again, and
 * the CPU is given page tables in another place.
 */

#define MOST   (2ull << 20) /* bytes to have ready */
#define PIECES 64

/* What of the memory is backed and may be read by the guest, in pieces. */
static unsigned find_used(const struct monitor *m, struct memory_piece pieces[PIECES])
{
	static const struct memory_piece below[] = {
		{LAYOUT_BOOT, LAYOUT_BOOT + 5 * PAGE},
		{LAYOUT_RECEIVE, LAYOUT_RECEIVE + 2 * PAGE},
	};
	bool used[MEMORY_LOOK];
	unsigned count = sizeof(below) / sizeof(below[0]);
	uint64_t left = m->memory.size - SUMMON_IMAGE_MIN;
	unsigned pages = (unsigned)((left < MOST ? left : MOST) / PAGE);
	memcpy(pieces, below, sizeof(below));
	memory_look(&m->memory, SUMMON_IMAGE_MIN, pages, used);
	for (unsigned i = 0; i < pages; i++) {
		uint64_t at = SUMMON_IMAGE_MIN + i * PAGE;
		if (!used[i] || !(rights_of(&m->image, at) & RIGHT_READ))
			continue;
		if (pieces[count - 1].end == at)
			pieces[count - 1].end += PAGE;
		else if (count < PIECES)
			pieces[count++] = (struct memory_piece){at, at + PAGE};
		else
			break;
	}
	return count;
}

_Static_assert(MOST / PAGE <= MEMORY_LOOK, "one look is enough");

static int build(struct monitor *m, struct error *err)
{
	struct memory_piece pieces[PIECES];
	if (!m->cpu.ops->build_ahead)
		return 0;
	unsigned count = m->memory.is_watched ? find_used(m, pieces) : 0;
	int result = m->cpu.ops->build_ahead(&m->cpu, &m->memory, &m->image, pieces, count, err);
	m->is_built = result == 0;
	return result;
}

static int fill(struct monitor *m, int file, const struct control_boot *head, const char *key,
	struct error *err)
{
	int result = memory_limit(&m->memory, head->memory, err);
	if (result < 0)
		return result;
	/* A mapping would be there for the next one. */
	m->memory.only_copies = true;
	m->memory.copy_left = MOST;
	result = monitor_fill(m, file, head->flags & CONTROL_BOOT_KEPT, key, err);
	m->memory.only_copies = false;
	if (result == 0 && m->image.end - SUMMON_IMAGE_MIN > MOST)
		result = error_set(err, -E2BIG, "too large to be kept ready");
	if (result == 0)
		memory_back(&m->memory, m->image.end - STACK_USED, STACK_USED + FREE_USED);
	return result;
}

int monitor_load(struct monitor *m, struct control_request *request, struct error *err)
{
	struct control_boot head;
	const char *text = request->message.text;
	size_t size = request->text_size;
	if (m->was_loaded)
		return error_set(err, -EALREADY, "something was loaded before");
	if (request->fd_count != 1 || size <= sizeof(head) || text[size - 1] != '\0')
		return error_set(err, -EPROTO, "a request to load that lacks a text or its file");
	memcpy(&head, text, sizeof(head));
	m->was_loaded = true;
	m->is_kept = head.flags & CONTROL_BOOT_KEPT;
	int result = fill(m, request->fds[0], &head, text + sizeof(head), err);
	if (result == 0)
		result = build(m, err);
	m->is_loaded = true;
	if (result < 0)
		monitor_unload(m);
	return result;
}

void monitor_unload(struct monitor *m)
{
	if (!m->is_loaded)
		return;
	memory_clear(&m->memory);
	memset(memory_at(&m->memory, LAYOUT_BOOT, PAGE), 0, PAGE);
	m->is_loaded = m->is_built = false;
}
