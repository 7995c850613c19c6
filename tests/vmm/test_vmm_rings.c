/* SPDX-License-Identifier: ISC */
/* Frames between a guest's rings and a socket of packets that stands for the tap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "summon-vmm/rings.h"

struct wire {
	struct memory memory;
	struct rings rings;
	int far; /* the other end of the tap */
};

static int wire_make(void **state)
{
	static struct wire wire;
	int ends[2];
	if (memory_init(&wire.memory, MEMORY_MIN, NULL) < 0 ||
		socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends) < 0)
		return -1;
	wire.far = ends[1];
	rings_init(&wire.rings, &wire.memory, ends[0]);
	*state = &wire;
	return 0;
}

static int wire_unmake(void **state)
{
	struct wire *wire = *state;
	close(wire->far);
	close(wire->rings.tap);
	memory_finish(&wire->memory);
	return 0;
}

static void guest_sends(struct wire *wire, uint8_t first, uint16_t size)
{
	struct summon_ring *ring = wire->rings.transmit;
	uint32_t slot = ring->produced % SUMMON_RING_FRAMES;
	memset(ring->frame[slot], first, SUMMON_FRAME_SIZE);
	ring->size[slot] = size;
	ring->produced++;
}

static void sends_in_order(void **state)
{
	struct wire *wire = *state;
	uint8_t frame[SUMMON_FRAME_SIZE + 1];
	for (int round = 0; round < 300; round++) { /* round the ring, more than twice */
		guest_sends(wire, (uint8_t)round, 60);
		guest_sends(wire, (uint8_t)~round, 1514);
		assert_int_equal(rings_send(&wire->rings, NULL), 0);
		assert_int_equal(read(wire->far, frame, sizeof(frame)), 60);
		assert_int_equal(frame[59], (uint8_t)round);
		assert_int_equal(read(wire->far, frame, sizeof(frame)), 1514);
		assert_int_equal(frame[0], (uint8_t)~round);
	}
	assert_int_equal(wire->rings.transmit->consumed, 600);
}

static void drops_what_is_no_frame(void **state)
{
	struct wire *wire = *state;
	uint8_t frame[SUMMON_FRAME_SIZE + 1];
	static const uint16_t sizes[] = {0, 13, SUMMON_FRAME_SIZE + 1, UINT16_MAX};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		guest_sends(wire, 1, sizes[i]);
	guest_sends(wire, 2, SUMMON_FRAME_SIZE);
	assert_int_equal(rings_send(&wire->rings, NULL), 0);
	assert_int_equal(read(wire->far, frame, sizeof(frame)), SUMMON_FRAME_SIZE);
	assert_int_equal(frame[0], 2);
	assert_true(read(wire->far, frame, sizeof(frame)) < 0 && errno == EAGAIN);
}

/* A tap that takes nothing more loses frames, and keeps nobody. */
static void loses_what_the_tap_does_not_take(void **state)
{
	struct wire *wire = *state;
	for (int i = 0; i < 20; i++) {
		for (int n = 0; n < SUMMON_RING_FRAMES; n++)
			guest_sends(wire, 3, 1514);
		assert_int_equal(rings_send(&wire->rings, NULL), 0);
	}
	assert_int_equal(wire->rings.transmit->consumed, wire->rings.transmit->produced);
}

static void receives_what_there_is_room_for(void **state)
{
	struct wire *wire = *state;
	struct summon_ring *ring = wire->rings.receive;
	uint8_t frame[1514];
	uint32_t sent = 0, seen = 0;
	while (seen < 3 * SUMMON_RING_FRAMES) {
		memset(frame, (int)(sent & 0xff), sizeof(frame));
		while (write(wire->far, frame, 60 + sent % 1000) > 0) {
			sent++;
			memset(frame, (int)(sent & 0xff), sizeof(frame));
		}
		int waiting = rings_receive(&wire->rings, NULL);
		assert_in_range(waiting, 1, SUMMON_RING_FRAMES);
		assert_int_equal(ring->produced - ring->consumed, waiting);
		for (; waiting > 0; waiting--) {
			uint32_t slot = ring->consumed % SUMMON_RING_FRAMES;
			assert_int_equal(ring->size[slot], 60 + seen % 1000);
			assert_int_equal(ring->frame[slot][59], seen & 0xff);
			ring->consumed++;
			seen++;
		}
	}
}

static void keeps_what_the_guest_has_not_read(void **state)
{
	struct wire *wire = *state;
	uint8_t frame[60] = {7};
	for (uint32_t i = 0; i < 2 * SUMMON_RING_FRAMES; i++) {
		while (write(wire->far, frame, sizeof(frame)) > 0)
			;
		int waiting = rings_receive(&wire->rings, NULL);
		assert_in_range(waiting, 1, SUMMON_RING_FRAMES);
	}
	assert_int_equal(wire->rings.receive->produced, SUMMON_RING_FRAMES);
}

static void does_not_believe_counters(void **state)
{
	struct wire *wire = *state;
	static const uint32_t lies[] = {SUMMON_RING_FRAMES + 1, 1u << 31, UINT32_MAX - 200};
	struct error err = ERROR_INIT;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		wire->rings.transmit->produced = lies[i];
		assert_int_equal(rings_send(&wire->rings, &err), -EPROTO);
		assert_non_null(strstr(err.message, "transmit ring claims"));
		wire->rings.receive->consumed = lies[i]; /* frames that were never there */
		assert_int_equal(rings_receive(&wire->rings, &err), -EPROTO);
		assert_non_null(strstr(err.message, "receive ring claims"));
	}
}

/* The monitor's own counters are not the guest's to change. */
static void keeps_its_own_counters(void **state)
{
	struct wire *wire = *state;
	uint8_t frame[SUMMON_FRAME_SIZE];
	guest_sends(wire, 9, 100);
	wire->rings.transmit->consumed = 77;
	assert_int_equal(rings_send(&wire->rings, NULL), 0);
	assert_int_equal(read(wire->far, frame, sizeof(frame)), 100);
	assert_int_equal(wire->rings.transmit->consumed, 1);
	wire->rings.receive->produced = 77;
	assert_int_equal(rings_receive(&wire->rings, NULL), 0);
	assert_int_equal(wire->rings.receive->produced, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, wire_make, wire_unmake)
	const struct CMUnitTest tests[] = {
		CASE(sends_in_order),
		CASE(drops_what_is_no_frame),
		CASE(loses_what_the_tap_does_not_take),
		CASE(receives_what_there_is_room_for),
		CASE(keeps_what_the_guest_has_not_read),
		CASE(does_not_believe_counters),
		CASE(keeps_its_own_counters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
