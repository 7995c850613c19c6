/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "summon-vmm/monitor.h"
#include "summon-vmm/snapshot.h"

static void describe(const struct monitor *m, struct snapshot_head *head)
{
	const struct summon_note *note = &m->image.note;
	memset(head, 0, sizeof(*head));
	head->started_at = m->started_at;
	head->image_end = m->image.end;
	head->initrd = m->boot->initrd;
	head->initrd_size = m->boot->initrd_size;
	head->free_start = m->boot->free_start;
	head->free_end = m->boot->free_end;
	head->resume_entry = note->resume_entry;
	head->exception_entry = note->exception_entry;
	head->thread = note->thread;
	memcpy(head->guards, note->guards, sizeof(head->guards));
	head->segment_count = m->image.count;
	for (unsigned i = 0; i < m->image.count; i++)
		head->segment[i] = (struct snapshot_segment){m->image.segments[i].start,
			m->image.segments[i].end, m->image.segments[i].write,
			m->image.segments[i].execute};
	head->boot_size = m->order_size;
	memcpy(head->boot, m->order, m->order_size);
}

/* With 0, or why not. */
static void finish(struct monitor *m, int result, const struct error *err)
{
	const struct control_message head = {
		.type = CONTROL_KEPT, .code = result, .flags = m->keep_flags};
	const char *why = result < 0 ? err->message : "";
	monitor_keep_cancel(m);
	control_send(&m->control, &head, why, strlen(why));
}

static int check(const struct monitor *m, struct error *err)
{
	if (m->paused && !m->has_run)
		return error_set(err, -EINVAL, "the guest has not run: there is nothing to keep");
	if (!m->image.note.resume_entry)
		return error_set(err, -ENOTSUP,
			"its image cannot be gone on with later (its note has no resume_entry)");
	return 0;
}

void monitor_keep_ask(struct monitor *m, int file, uint64_t flags)
{
	struct error err;
	monitor_keep_cancel(m);
	m->keep_file = file;
	m->keep_flags = flags;
	m->keep_when_ready = false;
	int result = check(m, &err);
	if (result < 0) {
		finish(m, result, &err);
		return;
	}
	/* Paused in the middle of something, it runs on until that is done. */
	m->keep_pauses_again = m->paused && !m->is_waiting;
	m->paused = m->paused && m->is_waiting;
	monitor_keep(m);
}

void monitor_keep_cancel(struct monitor *m)
{
	if (m->keep_file >= 0)
		close(m->keep_file);
	m->keep_file = -1;
	m->paused = m->paused || m->keep_pauses_again;
	m->keep_pauses_again = false;
}

void monitor_keep(struct monitor *m)
{
	static struct snapshot_head head;
	struct error err;
	if (m->keep_file < 0 || !m->is_waiting || (m->keep_when_ready && !m->ready))
		return;
	int result = check(m, &err);
	if (result == 0) {
		describe(m, &head);
		result = snapshot_write(&head, &m->memory, m->keep_file, &err);
	}
	if (result == 0 && (m->keep_flags & CONTROL_KEEP_PAUSE))
		m->paused = true;
	m->keep_when_ready = false;
	finish(m, result, &err);
}
