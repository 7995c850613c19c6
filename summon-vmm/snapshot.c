/* SPDX-License-Identifier: ISC */
#include "summon-vmm/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "summon-vmm/file.h"

_Static_assert(sizeof(((struct snapshot_head *)NULL)->guards) ==
		       sizeof(((struct summon_note *)NULL)->guards),
	"as many as a note has");

/* ---- writing ---- */

#define GAP 4 /* pages of zeroes that are not worth a run of their own */

/* Where there is no place for another run, the last one grows. */
static void add_page(struct snapshot_head *head, uint64_t address)
{
	struct snapshot_run *last = head->run_count ? &head->run[head->run_count - 1] : NULL;
	if (last && (address - last->end <= GAP * PAGE || head->run_count == SNAPSHOT_RUNS))
		last->end = address + PAGE;
	else
		head->run[head->run_count++] = (struct snapshot_run){address, address + PAGE};
}

/* Where the guest is a part of this process, we cannot read its guard pages either. */
static bool is_guard(const struct snapshot_head *head, uint64_t address)
{
	return address == head->guards[0] || address == head->guards[1];
}

static void find_runs(struct snapshot_head *head, const struct memory *memory)
{
	bool used[MEMORY_LOOK];
	head->run_count = 0;
	for (uint64_t at = SUMMON_IMAGE_MIN; at < memory->size; at += MEMORY_LOOK * PAGE) {
		uint64_t left = (memory->size - at) / PAGE;
		unsigned count = left < MEMORY_LOOK ? (unsigned)left : MEMORY_LOOK;
		memory_look(memory, at, count, used);
		for (unsigned i = 0; i < count; i++)
			if (used[i] && !is_guard(head, at + i * PAGE) &&
				!memory_is_zero(memory_at(memory, at + i * PAGE, PAGE)))
				add_page(head, at + i * PAGE);
	}
}

static int write_run(const struct snapshot_head *head, const struct snapshot_run *run,
	const struct memory *memory, int file)
{
	int result = 0;
	for (uint64_t at = run->start, end; result == 0 && at < run->end; at = end + PAGE) {
		for (end = at; end < run->end && !is_guard(head, end);)
			end += PAGE;
		result = file_write(
			file, memory_at(memory, at, end - at), end - at, SNAPSHOT_DATA + at);
	}
	return result;
}

int snapshot_write(
	struct snapshot_head *head, const struct memory *memory, int file, struct error *err)
{
	int result = 0;
	find_runs(head, memory);
	if (head->run_count == 0)
		return error_set(err, -EINVAL, "the guest's memory is empty");
	memcpy(head->magic, SNAPSHOT_MAGIC, sizeof(head->magic));
	head->version = SNAPSHOT_VERSION;
	head->abi = SUMMON_ABI_VERSION;
	head->file_size = SNAPSHOT_DATA + head->run[head->run_count - 1].end;
	head->checksum = snapshot_checksum(head);
	for (unsigned i = 0; result == 0 && i < head->run_count; i++)
		result = write_run(head, &head->run[i], memory, file);
	/* Last, so that a file that was not finished has none. */
	if (result == 0)
		result = file_write(file, head, sizeof(*head), 0);
	return result < 0
		       ? error_set(err, result, "the guest cannot be kept: %s", strerror(-result))
		       : 0;
}

/* ---- reading ---- */

static int refuse(struct error *err, const char *why)
{
	return error_set(err, -EINVAL, "the kept guest: %s", why);
}

static bool is_range(uint64_t start, uint64_t end, uint64_t least, uint64_t most)
{
	return start >= least && start < end && end <= most && start % PAGE == 0 && end % PAGE == 0;
}

static bool has_right_runs(const struct snapshot_head *head, uint64_t memory)
{
	uint64_t least = SUMMON_IMAGE_MIN;
	if (head->run_count < 1 || head->run_count > SNAPSHOT_RUNS)
		return false;
	for (unsigned i = 0; i < head->run_count; i++) {
		if (!is_range(head->run[i].start, head->run[i].end, least, memory))
			return false;
		least = head->run[i].end;
	}
	return head->file_size == SNAPSHOT_DATA + least;
}

static bool has_right_segments(const struct snapshot_head *head, uint64_t memory)
{
	if (head->segment_count > SNAPSHOT_SEGMENTS ||
		!is_range(SUMMON_IMAGE_MIN, head->image_end, SUMMON_IMAGE_MIN, memory))
		return false;
	for (unsigned i = 0; i < head->segment_count; i++) {
		const struct snapshot_segment *s = &head->segment[i];
		if (!is_range(s->start, s->end, SUMMON_IMAGE_MIN, head->image_end) ||
			(s->write && s->execute))
			return false;
		for (unsigned other = 0; other < i; other++)
			if (s->start < head->segment[other].end &&
				head->segment[other].start < s->end)
				return false;
	}
	return true;
}

static bool has_right_addresses(const struct snapshot_head *head, uint64_t memory)
{
	return head->resume_entry && head->resume_entry < memory &&
	       head->exception_entry < memory && head->thread < memory &&
	       head->free_start <= head->free_end && head->free_end <= memory &&
	       head->initrd <= memory && head->initrd_size <= memory - head->initrd;
}

int snapshot_read(struct snapshot_head *head, const struct memory *memory, int file,
	const char *key, struct error *err)
{
	struct control_boot booted;
	memset(head, 0, sizeof(*head));
	off_t size = lseek(file, 0, SEEK_END);
	ssize_t got = pread(file, head, sizeof(*head), 0);
	if (size < 0 || got < 0)
		return error_set(err, -errno, "the kept guest: %s", strerror(errno));
	const char *why = snapshot_refuse(head, (size_t)got, (uint64_t)size);
	if (why)
		return refuse(err, why);
	if (head->abi != SUMMON_ABI_VERSION)
		return refuse(err, "it was kept for another version of the guest's interface");
	const char *kept_key = snapshot_text(head, 3);
	if (!kept_key || strcmp(kept_key, key) != 0)
		return refuse(err, "it is made of something else than what is to be started");
	memcpy(&booted, head->boot, sizeof(booted));
	if (booted.memory != memory->size)
		return error_set(err, -EINVAL,
			"the kept guest: it has %" PRIu64 " bytes of memory, not %" PRIu64,
			booted.memory, memory->size);
	if (!has_right_runs(head, memory->size) || !has_right_segments(head, memory->size) ||
		!has_right_addresses(head, memory->size))
		return refuse(err, "it is damaged: its parts contradict each other");
	return 0;
}

int snapshot_load(const struct snapshot_head *head, struct memory *memory, struct image *image,
	int file, struct error *err)
{
	int result = 0;
	*image = (struct image){.count = head->segment_count,
		.end = head->image_end,
		.note = {.version = head->abi,
			.resume_entry = head->resume_entry,
			.exception_entry = head->exception_entry,
			.thread = head->thread}};
	memcpy(image->note.guards, head->guards, sizeof(head->guards));
	for (unsigned i = 0; i < head->segment_count; i++)
		image->segments[i] = (struct image_segment){head->segment[i].start,
			head->segment[i].end, head->segment[i].write, head->segment[i].execute};
	for (unsigned i = 0; result == 0 && i < head->run_count; i++)
		result = memory_load(memory, head->run[i].start,
			head->run[i].end - head->run[i].start, file,
			SNAPSHOT_DATA + head->run[i].start);
	return result < 0 ? error_set(err, result, "the kept guest: %s", strerror(-result)) : 0;
}
