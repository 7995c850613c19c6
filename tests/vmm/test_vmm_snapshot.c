/* SPDX-License-Identifier: ISC */
/* A guest's memory, written to a file and read back into other memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "summon-vmm/snapshot.h"

#define SIZE      (16ull << 20)
#define IMAGE_END (SUMMON_IMAGE_MIN + 0x4000)

struct world {
	struct memory memory, other;
	struct snapshot_head head;
	int file;
};

static int make_world(void **state)
{
	static struct world world;
	const struct control_boot booted = {.memory = SIZE};
	memset(&world, 0, sizeof(world));
	world.file = memfd_create("kept", MFD_CLOEXEC);
	if (world.file < 0 || memory_init(&world.memory, SIZE, NULL) < 0 ||
		memory_init(&world.other, SIZE, NULL) < 0)
		return -1;
	memory_populate(&world.memory);
	memory_populate_image(&world.memory);
	memory_populate(&world.other);
	memory_populate_image(&world.other);
	memory_watch(&world.memory); /* there is one descriptor for it */
	world.head.image_end = IMAGE_END;
	world.head.resume_entry = SUMMON_IMAGE_MIN;
	world.head.free_end = SIZE;
	world.head.segment_count = 2;
	world.head.segment[0] =
		(struct snapshot_segment){SUMMON_IMAGE_MIN, SUMMON_IMAGE_MIN + PAGE, 0, 1};
	world.head.segment[1] = (struct snapshot_segment){SUMMON_IMAGE_MIN + PAGE, IMAGE_END, 1, 0};
	memcpy(world.head.boot, &booted, sizeof(booted));
	memcpy(world.head.boot + sizeof(booted), "a.example\0tap0\0x=1\0key", 23);
	world.head.boot_size = sizeof(booted) + 23;
	*state = &world;
	return 0;
}

static int unmake_world(void **state)
{
	struct world *world = *state;
	memory_finish(&world->memory);
	memory_finish(&world->other);
	return close(world->file);
}

static void put(struct world *world, uint64_t address, uint8_t byte)
{
	*(uint8_t *)memory_at(&world->memory, address, 1) = byte;
}

static uint8_t get(const struct world *world, uint64_t address)
{
	return *(uint8_t *)memory_at(&world->other, address, 1);
}

static void keep_and_load(struct world *world)
{
	struct snapshot_head head;
	struct image image;
	struct error err = ERROR_INIT;
	if (snapshot_write(&world->head, &world->memory, world->file, &err) < 0 ||
		snapshot_read(&head, &world->other, world->file, "key", &err) < 0 ||
		snapshot_load(&head, &world->other, &image, world->file, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(image.count, 2);
	assert_true(image.segments[0].execute && image.segments[1].write);
	assert_string_equal(snapshot_text(&head, 0), "a.example");
	assert_string_equal(snapshot_text(&head, 1), "tap0");
	assert_string_equal(snapshot_text(&head, 3), "key");
	assert_null(snapshot_text(&head, 4));
}

static void brings_it_all_back(void **state)
{
	struct world *world = *state;
	for (uint64_t at = SUMMON_IMAGE_MIN; at < IMAGE_END; at += 512)
		put(world, at, 7);
	for (uint64_t at = 8ull << 20; at < 9ull << 20; at += 512)
		put(world, at, 8); /* large enough to be mapped */
	put(world, SIZE - 1, 9);
	put(world, SUMMON_IMAGE_MIN - 1, 10); /* the monitor's own */
	keep_and_load(world);
	assert_int_equal(world->head.run_count, 3);
	assert_int_equal(world->other.mapped_count, 1);
	for (uint64_t at = SUMMON_IMAGE_MIN; at < SIZE; at += 512)
		if (get(world, at) != *(uint8_t *)memory_at(&world->memory, at, 1))
			fail_msg("another byte at %#llx", (unsigned long long)at);
	assert_int_equal(get(world, SIZE - 1), 9);
	assert_int_equal(get(world, SUMMON_IMAGE_MIN - 1), 0);
}

/* What was mapped and never touched since is still there. */
static void keeps_what_was_mapped(void **state)
{
	struct world *world = *state;
	for (uint64_t at = 8ull << 20; at < 9ull << 20; at += PAGE)
		put(world, at, 8);
	keep_and_load(world);
	const struct memory first = world->memory;
	world->memory = world->other;
	world->memory.is_watched = true;
	assert_int_equal(snapshot_write(&world->head, &world->memory, world->file, NULL), 0);
	assert_int_equal(world->head.run_count, 1);
	assert_int_equal(world->head.run[0].end - world->head.run[0].start, 1ull << 20);
	world->memory.is_watched = false;
	world->memory = first;
}

/* More pieces than the head has room for. */
static void brings_back_many_pieces(void **state)
{
	struct world *world = *state;
	for (uint64_t at = SUMMON_IMAGE_MIN; at < SIZE; at += 8 * PAGE)
		put(world, at, 1);
	keep_and_load(world);
	assert_int_equal(world->head.run_count, SNAPSHOT_RUNS);
	for (uint64_t at = SUMMON_IMAGE_MIN; at < SIZE; at += 8 * PAGE)
		assert_int_equal(get(world, at), 1);
}

static void leaves_guards_out(void **state)
{
	struct world *world = *state;
	world->head.guards[0] = SUMMON_IMAGE_MIN + PAGE;
	world->head.guards[1] = SUMMON_IMAGE_MIN + 3 * PAGE;
	for (uint64_t at = SUMMON_IMAGE_MIN; at < IMAGE_END; at += PAGE)
		put(world, at, 5);
	keep_and_load(world);
	assert_int_equal(get(world, SUMMON_IMAGE_MIN), 5);
	assert_int_equal(get(world, SUMMON_IMAGE_MIN + PAGE), 0);
	assert_int_equal(get(world, SUMMON_IMAGE_MIN + 2 * PAGE), 5);
	assert_int_equal(get(world, SUMMON_IMAGE_MIN + 3 * PAGE), 0);
}

static void refuses_nothing(void **state)
{
	struct world *world = *state;
	assert_true(snapshot_write(&world->head, &world->memory, world->file, NULL) < 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_world, unmake_world)
	const struct CMUnitTest tests[] = {
		CASE(brings_it_all_back),
		CASE(keeps_what_was_mapped),
		CASE(brings_back_many_pieces),
		CASE(leaves_guards_out),
		CASE(refuses_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
