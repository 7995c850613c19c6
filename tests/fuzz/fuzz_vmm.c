/* SPDX-License-Identifier: ISC */
/*
 * What summon-vmm reads of a guest. The first byte says what the rest is:
 *
 *   'E'  an executable, loaded and given page tables
 *   'F'  the file of a kept guest
 *   'H'  the head of one, from its field file_size on; magic, versions and checksum are right, and
 *        what is left out is that of a small guest
 *   'R'  what a guest writes into its rings, in steps: how often to look (7 bits), whether the tap
 *        has headers (1 bit), then writes of {where (2 bits: transmit, receive, shared page),
 *        offset there (30 bits), value (32 bits)}; between the looks, frames arrive
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "summon-vmm/machine.h"
#include "summon-vmm/rings.h"
#include "summon-vmm/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WRITE_SIZE 8
#define FRAMES     3

static void must(bool true_one)
{
	if (!true_one)
		abort();
}

static void check_image(const struct memory *memory, const struct image *image)
{
	must(image->end <= memory->size && image->note.entry < memory->size &&
		image->note.resume_entry < memory->size);
	for (unsigned i = 0; i < image->count; i++)
		must(image->segments[i].start >= SUMMON_IMAGE_MIN &&
			image->segments[i].start < image->segments[i].end &&
			!(image->segments[i].write && image->segments[i].execute));
}

static void try_image(const struct memory *memory, const uint8_t *data, size_t size)
{
	struct image image;
	CLEANUP(close) int file = memfd_create("image", MFD_CLOEXEC);
	must(file >= 0 && write(file, data, size) == (ssize_t)size);
	if (image_load(&image, memory, file, "image", NULL) < 0 ||
		machine_build(memory, &image, MACHINE_TABLES, NULL) < 0)
		return;
	check_image(memory, &image);
}

static void try_file(struct memory *memory, int file)
{
	static struct snapshot_head head;
	struct image image;
	const char *key = "";
	/* Whatever key it has is the right one. */
	if (pread(file, &head, sizeof(head), 0) == sizeof(head) && head.boot_size > 0 &&
		head.boot_size <= sizeof(head.boot) && head.boot[head.boot_size - 1] == '\0')
		key = snapshot_text(&head, 3);
	char right_key[sizeof(head.boot)] = "";
	if (key)
		memcpy(right_key, key, strlen(key) + 1);
	if (snapshot_read(&head, memory, file, right_key, NULL) < 0 ||
		snapshot_load(&head, memory, &image, file, NULL) < 0 ||
		machine_build(memory, &image, MACHINE_TABLES, NULL) < 0)
		return;
	check_image(memory, &image);
	must(snapshot_write(&head, memory, file, NULL) == 0 || head.run_count == 0);
}

static void try_kept(struct memory *memory, const uint8_t *data, size_t size)
{
	CLEANUP(close) int file = memfd_create("kept", MFD_CLOEXEC);
	must(file >= 0 && write(file, data, size) == (ssize_t)size);
	try_file(memory, file);
}

static void try_head(struct memory *memory, const uint8_t *data, size_t size)
{
	static struct snapshot_head head;
	const struct control_boot booted = {.memory = MEMORY_MIN};
	const size_t room = sizeof(head) - offsetof(struct snapshot_head, file_size);
	memset(&head, 0, sizeof(head));
	memcpy(head.boot, &booted, sizeof(booted));
	head.boot_size = sizeof(booted) + 4; /* four texts */
	memcpy(&head.file_size, data, size < room ? size : room);
	memcpy(head.magic, SNAPSHOT_MAGIC, sizeof(head.magic));
	head.version = SNAPSHOT_VERSION;
	head.abi = SUMMON_ABI_VERSION;
	head.checksum = snapshot_checksum(&head);
	CLEANUP(close) int file = memfd_create("kept", MFD_CLOEXEC);
	must(file >= 0 && write(file, &head, sizeof(head)) == sizeof(head));
	if (head.file_size > sizeof(head) && head.file_size <= SNAPSHOT_DATA + MEMORY_MIN)
		must(ftruncate(file, (off_t)head.file_size) == 0);
	try_file(memory, file);
}

static void write_rings(const struct memory *memory, const uint8_t *write)
{
	static const struct {
		uint64_t start, size;
	} places[] = {
		{LAYOUT_TRANSMIT, sizeof(struct summon_ring)},
		{LAYOUT_SHARED, sizeof(struct summon_shared)},
		{LAYOUT_RECEIVE, sizeof(struct summon_ring)},
		{LAYOUT_SHARED, sizeof(struct summon_shared)},
	};
	uint32_t where, value;
	memcpy(&where, write, sizeof(where));
	memcpy(&value, write + sizeof(where), sizeof(value));
	uint64_t size = places[where >> 30].size - sizeof(value);
	uint64_t offset = (where & (UINT32_MAX >> 2)) % (size + 1);
	memcpy(memory_at(memory, places[where >> 30].start + offset, sizeof(value)), &value,
		sizeof(value));
}

static bool exchange(struct rings *rings, int far)
{
	static uint8_t frame[SUMMON_FRAME_MAX + 1];
	size_t header = rings->has_header ? sizeof(struct summon_frame_header) : 0;
	for (size_t i = 0; i < FRAMES; i++)
		(void)!write(far, frame, 60 + 700 * i);
	if (rings_send(rings, NULL) < 0 || rings_receive(rings, NULL) < 0)
		return false; /* the guest has ended */
	for (ssize_t got; (got = read(far, frame, sizeof(frame))) > 0;)
		must((size_t)got >= header + 14 && got <= SUMMON_FRAME_MAX);
	return true;
}

static void try_rings(const struct memory *memory, const uint8_t *data, size_t size)
{
	struct rings rings;
	int ends[2];
	if (size < 1)
		return;
	size_t step = 1u + data[0] % 16;
	must(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends) == 0);
	rings_init(&rings, memory, ends[0], data[0] & 0x80);
	bool lives = true;
	for (size_t at = 1, n = 1; lives && at + WRITE_SIZE <= size; at += WRITE_SIZE, n++) {
		write_rings(memory, data + at);
		if (n % step == 0)
			lives = exchange(&rings, ends[1]);
	}
	close(ends[0]);
	close(ends[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory memory;
	if (size < 1)
		return 0;
	must(memory_init(&memory, MEMORY_MIN, NULL) == 0);
	if (data[0] == 'E')
		try_image(&memory, data + 1, size - 1);
	else if (data[0] == 'F')
		try_kept(&memory, data + 1, size - 1);
	else if (data[0] == 'H')
		try_head(&memory, data + 1, size - 1);
	else if (data[0] == 'R')
		try_rings(&memory, data + 1, size - 1);
	memory_finish(&memory);
	return 0;
}
