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

#define HEADER sizeof(struct summon_frame_header)

struct wire {
	struct memory memory;
	struct rings rings;
	struct summon_shared *shared;
	int far;      /* the other end of the tap */
	uint32_t end; /* of what the guest has written to the transmit ring */
};

static int wire_make(void **state)
{
	static struct wire wire;
	int ends[2];
	if (memory_init(&wire.memory, MEMORY_MIN, NULL) < 0 ||
		socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends) < 0)
		return -1;
	wire.far = ends[1];
	wire.end = 0;
	wire.shared = memory_at(&wire.memory, LAYOUT_SHARED, sizeof(*wire.shared));
	rings_init(&wire.rings, &wire.memory, ends[0], true);
	*state = &wire;
	return 0;
}

static int wire_unmake(void **state)
{
	struct wire *wire = *state;
	close(wire->rings.tap);
	close(wire->far);
	memory_finish(&wire->memory);
	return 0;
}

static void guest_claims(struct wire *wire, uint32_t offset, uint32_t size)
{
	struct summon_frame *frames = wire->rings.transmit->frame;
	frames[wire->shared->transmit.produced++ % SUMMON_RING_FRAMES] =
		(struct summon_frame){offset, size, 0, 0};
}

/* A frame of `size` bytes that begins with `first`, behind the last one; with a header. */
static void guest_sends_with(
	struct wire *wire, const struct summon_frame_header *header, uint8_t first, uint32_t size)
{
	uint8_t *data = wire->rings.transmit->data;
	if (SUMMON_RING_DATA - wire->end < HEADER + size)
		wire->end = 0;
	memcpy(data + wire->end, header, HEADER);
	memset(data + wire->end + HEADER, first, size);
	guest_claims(wire, wire->end, (uint32_t)HEADER + size);
	wire->end += (uint32_t)HEADER + size;
}

static void guest_sends(struct wire *wire, uint8_t first, uint32_t size)
{
	guest_sends_with(wire, &(struct summon_frame_header){0}, first, size);
}

static void expect_frame(const struct wire *wire, uint8_t first, size_t size)
{
	static uint8_t frame[SUMMON_FRAME_MAX + 1];
	assert_int_equal(read(wire->far, frame, sizeof(frame)), HEADER + size);
	assert_int_equal(frame[HEADER], first);
	assert_int_equal(frame[HEADER + size - 1], first);
}

static void expect_no_frame(const struct wire *wire)
{
	uint8_t frame[64];
	assert_true(read(wire->far, frame, sizeof(frame)) < 0 && errno == EAGAIN);
}

static void sends_in_order(void **state)
{
	struct wire *wire = *state;
	for (int round = 0; round < 300; round++) { /* round the ring, more than twice */
		guest_sends(wire, (uint8_t)round, 60);
		guest_sends(wire, (uint8_t)~round, 1514);
		assert_int_equal(rings_send(&wire->rings, NULL), 0);
		expect_frame(wire, (uint8_t)round, 60);
		expect_frame(wire, (uint8_t)~round, 1514);
	}
	assert_int_equal(wire->shared->transmit.consumed, 600);
	assert_int_equal(wire->rings.out.frames, 600);
	assert_int_equal(wire->rings.out.bytes, 300 * (60 + 1514));
	assert_int_equal(wire->rings.lost, 0);
}

static void drops_what_is_no_frame(void **state)
{
	struct wire *wire = *state;
	static const struct {
		uint32_t offset, size;
	} wrong[] = {
		{0, 0},
		{0, HEADER + 13},
		{0, SUMMON_FRAME_MAX + 1},
		{0, UINT32_MAX},
		{SUMMON_RING_DATA - 59, 60},
		{SUMMON_RING_DATA, 60},
		{UINT32_MAX - 59, 60},
		{UINT32_MAX, UINT32_MAX},
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		guest_claims(wire, wrong[i].offset, wrong[i].size);
	guest_claims(wire, SUMMON_RING_DATA - 60, 60);
	guest_sends(wire, 2, SUMMON_FRAME_MAX - HEADER);
	assert_int_equal(rings_send(&wire->rings, NULL), 0);
	expect_frame(wire, 0, 60 - HEADER);
	expect_frame(wire, 2, SUMMON_FRAME_MAX - HEADER);
	expect_no_frame(wire);
	assert_int_equal(wire->rings.lost, sizeof(wrong) / sizeof(wrong[0]));
	assert_int_equal(wire->rings.out.frames, 2);
}

/* A frame that goes on elsewhere in memory. */
static void sends_tails(void **state)
{
	struct wire *wire = *state;
	uint8_t frame[SUMMON_FRAME_MAX + 1];
	struct summon_frame *place = &wire->rings.transmit->frame[0];
	for (int header = 0; header < 2; header++) {
		wire->rings.has_header = header;
		place = &wire->rings.transmit->frame[wire->shared->transmit.produced];
		guest_sends(wire, 5, 60);
		place->tail = SUMMON_IMAGE_MIN + 0x12345;
		place->tail_size = 50000;
		memset(memory_at(&wire->memory, place->tail, place->tail_size), 6,
			place->tail_size);
		assert_int_equal(rings_send(&wire->rings, NULL), 0);
		size_t before = header ? HEADER : 0;
		assert_int_equal(read(wire->far, frame, sizeof(frame)), before + 60 + 50000);
		assert_int_equal(frame[before + 59], 5);
		assert_int_equal(frame[before + 60], 6);
		assert_int_equal(frame[before + 60 + 49999], 6);
	}
}

static void drops_what_has_no_sound_tail(void **state)
{
	struct wire *wire = *state;
	static const struct {
		uint32_t tail, tail_size;
	} wrong[] = {
		{SUMMON_IMAGE_MIN - 1, 60},
		{LAYOUT_TABLES, 60},
		{0, 60},
		{MEMORY_MIN - 59, 60},
		{MEMORY_MIN, 1},
		{UINT32_MAX, 60},
		{SUMMON_IMAGE_MIN, SUMMON_FRAME_MAX - HEADER - 59},
		{SUMMON_IMAGE_MIN, UINT32_MAX},
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct summon_frame *place = &wire->rings.transmit->frame[i];
		guest_sends(wire, 5, 60);
		place->tail = wrong[i].tail;
		place->tail_size = wrong[i].tail_size;
		assert_int_equal(rings_send(&wire->rings, NULL), 0);
		expect_no_frame(wire);
	}
}

/* What a header may ask of the kernel. */
static void drops_what_has_no_sound_header(void **state)
{
	struct wire *wire = *state;
	enum { CHECK = SUMMON_FRAME_NEEDS_CHECKSUM, TCP4 = SUMMON_FRAME_TCP4 };
	static const struct {
		struct summon_frame_header header;
		bool passes;
	} cases[] = {
		{{.flags = CHECK, .checksum_start = 34, .checksum_offset = 16}, true},
		{{.flags = CHECK, .checksum_start = 1982, .checksum_offset = 16}, true},
		{{.flags = CHECK, .checksum_start = 1983, .checksum_offset = 16}, false},
		{{.flags = CHECK, .checksum_start = UINT16_MAX, .checksum_offset = UINT16_MAX},
			false},
		{{.flags = SUMMON_FRAME_IS_CHECKED}, false},
		{{.flags = 0x80}, false},
		{{.flags = CHECK, .segments = TCP4, .headers_size = 54, .segment_size = 1000},
			true},
		{{.flags = CHECK, .segments = SUMMON_FRAME_TCP6, .segment_size = 1000}, true},
		{{.flags = CHECK, .segments = TCP4, .segment_size = 1}, false},
		{{.flags = CHECK, .segments = TCP4, .segment_size = 0}, false},
		{{.flags = CHECK, .segments = TCP4, .headers_size = 2001, .segment_size = 1000},
			false},
		{{.segments = TCP4, .segment_size = 1000}, false},
		{{.flags = CHECK, .segments = 3, .segment_size = 1000}, false},
		{{.flags = CHECK, .segments = TCP4 | 0x80, .segment_size = 1000}, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		guest_sends_with(wire, &cases[i].header, (uint8_t)i, 2000);
		assert_int_equal(rings_send(&wire->rings, NULL), 0);
		if (cases[i].passes)
			expect_frame(wire, (uint8_t)i, 2000);
		expect_no_frame(wire);
	}
}

/* A tap that takes nothing more loses frames, and keeps nobody. */
static void loses_what_the_tap_does_not_take(void **state)
{
	struct wire *wire = *state;
	for (int i = 0; i < 20; i++) {
		for (int n = 0; n < SUMMON_RING_FRAMES; n++)
			guest_sends(wire, 3, 900);
		assert_int_equal(rings_send(&wire->rings, NULL), 0);
	}
	assert_int_equal(wire->shared->transmit.consumed, wire->shared->transmit.produced);
}

/* Frame number n is of 60 + n % 1000 bytes, each n. */
static bool host_sends(struct wire *wire, uint32_t number)
{
	uint8_t frame[HEADER + 1060] = {0};
	memset(frame + HEADER, (int)(number & 0xff), sizeof(frame) - HEADER);
	return write(wire->far, frame, HEADER + 60 + number % 1000) > 0;
}

static void receives_what_there_is_room_for(void **state)
{
	struct wire *wire = *state;
	struct summon_counters *counters = &wire->shared->receive;
	uint32_t sent = 0, seen = 0;
	while (seen < 3 * SUMMON_RING_FRAMES) {
		while (host_sends(wire, sent))
			sent++;
		int waiting = rings_receive(&wire->rings, NULL);
		assert_in_range(waiting, 1, SUMMON_RING_FRAMES);
		assert_int_equal(counters->produced - counters->consumed, waiting);
		for (; waiting > 0; waiting--, seen++) {
			struct summon_frame frame =
				wire->rings.receive
					->frame[counters->consumed++ % SUMMON_RING_FRAMES];
			const uint8_t *data = wire->rings.receive->data + frame.offset;
			assert_int_equal(frame.size, HEADER + 60 + seen % 1000);
			assert_int_equal(data[HEADER], seen & 0xff);
			assert_int_equal(data[HEADER + 59], seen & 0xff);
		}
	}
}

/* One that keeps up is served from the beginning of the ring. */
static void uses_the_same_memory_again(void **state)
{
	struct wire *wire = *state;
	for (uint32_t i = 0; i < 1000; i++) {
		assert_true(host_sends(wire, i));
		assert_int_equal(rings_receive(&wire->rings, NULL), 1);
		assert_int_equal(wire->rings.receive->frame[i % SUMMON_RING_FRAMES].offset, 0);
		wire->shared->receive.consumed++;
	}
}

static void keeps_what_the_guest_has_not_read(void **state)
{
	struct wire *wire = *state;
	int waiting = 0;
	for (uint32_t i = 0; i < 2 * SUMMON_RING_FRAMES; i++) {
		while (host_sends(wire, 7))
			;
		waiting = rings_receive(&wire->rings, NULL);
		assert_in_range(waiting, 1, SUMMON_RING_FRAMES);
	}
	assert_int_equal(waiting, SUMMON_RING_FRAMES);
	assert_int_equal(wire->shared->receive.produced, SUMMON_RING_FRAMES);
	for (int i = 0; i < SUMMON_RING_FRAMES; i++)
		assert_int_equal(
			wire->rings.receive->data[wire->rings.receive->frame[i].offset + HEADER],
			7);
}

/* There is room for the largest frame, or none is taken. */
static void cuts_no_large_frame(void **state)
{
	struct wire *wire = *state;
	static uint8_t frame[SUMMON_FRAME_MAX];
	for (int i = 0; i < 3; i++) {
		assert_int_equal(write(wire->far, frame, sizeof(frame)), sizeof(frame));
		assert_int_equal(rings_receive(&wire->rings, NULL), i + 1);
		assert_int_equal(wire->rings.receive->frame[i].size, sizeof(frame));
	}
	assert_int_equal(write(wire->far, frame, sizeof(frame)), sizeof(frame));
	assert_int_equal(rings_receive(&wire->rings, NULL), 3);
	wire->shared->receive.consumed = 3;
	assert_int_equal(rings_receive(&wire->rings, NULL), 1);
}

/* The headers are there for the guest, and not on the tap. */
static void without_headers(void **state)
{
	struct wire *wire = *state;
	uint8_t frame[100] = {5};
	wire->rings.has_header = false;
	guest_sends_with(wire, &(struct summon_frame_header){.flags = 0xff}, 9, 60);
	assert_int_equal(rings_send(&wire->rings, NULL), 0);
	assert_int_equal(read(wire->far, frame, sizeof(frame)), 60);
	assert_int_equal(frame[0], 9);
	memset(wire->rings.receive->data, 0xff, HEADER);
	assert_int_equal(write(wire->far, frame, 60), 60);
	assert_int_equal(rings_receive(&wire->rings, NULL), 1);
	assert_int_equal(wire->rings.receive->frame[0].size, HEADER + 60);
	for (size_t i = 0; i < HEADER; i++)
		assert_int_equal(wire->rings.receive->data[i], 0);
	assert_memory_equal(wire->rings.receive->data + HEADER, frame, 60);
}

static void does_not_believe_counters(void **state)
{
	struct wire *wire = *state;
	static const uint32_t lies[] = {SUMMON_RING_FRAMES + 1, 1u << 31, UINT32_MAX - 300};
	struct error err = ERROR_INIT;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		wire->shared->transmit.produced = lies[i];
		assert_int_equal(rings_send(&wire->rings, &err), -EPROTO);
		assert_non_null(strstr(err.message, "transmit ring claims"));
		wire->shared->receive.consumed = lies[i]; /* frames that were never there */
		assert_int_equal(rings_receive(&wire->rings, &err), -EPROTO);
		assert_non_null(strstr(err.message, "receive ring claims"));
	}
}

/* The monitor's own counters are not the guest's to change. */
static void keeps_its_own_counters(void **state)
{
	struct wire *wire = *state;
	guest_sends(wire, 9, 100);
	wire->shared->transmit.consumed = 77;
	assert_int_equal(rings_send(&wire->rings, NULL), 0);
	expect_frame(wire, 9, 100);
	assert_int_equal(wire->shared->transmit.consumed, 1);
	wire->shared->receive.produced = 77;
	assert_int_equal(rings_receive(&wire->rings, NULL), 0);
	assert_int_equal(wire->shared->receive.produced, 0);
}

/* Rings of a guest that has run before, elsewhere. */
static void goes_on_where_memory_is(void **state)
{
	struct wire *wire = *state;
	wire->shared->transmit.produced = wire->shared->transmit.consumed = UINT32_MAX;
	wire->shared->receive.produced = 1000;
	wire->shared->receive.consumed = 998;
	rings_init(&wire->rings, &wire->memory, wire->rings.tap, true);
	guest_sends(wire, 4, 60);
	assert_int_equal(rings_send(&wire->rings, NULL), 0);
	expect_frame(wire, 4, 60);
	assert_int_equal(wire->shared->transmit.consumed, 0);
	assert_true(host_sends(wire, 1));
	assert_int_equal(rings_receive(&wire->rings, NULL), 2); /* two that are not overwritten */
	wire->shared->receive.consumed = 1000;
	assert_int_equal(rings_receive(&wire->rings, NULL), 1);
	assert_int_equal(wire->shared->receive.produced, 1001);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, wire_make, wire_unmake)
	const struct CMUnitTest tests[] = {
		CASE(sends_in_order),
		CASE(drops_what_is_no_frame),
		CASE(sends_tails),
		CASE(drops_what_has_no_sound_tail),
		CASE(drops_what_has_no_sound_header),
		CASE(loses_what_the_tap_does_not_take),
		CASE(receives_what_there_is_room_for),
		CASE(uses_the_same_memory_again),
		CASE(keeps_what_the_guest_has_not_read),
		CASE(cuts_no_large_frame),
		CASE(without_headers),
		CASE(does_not_believe_counters),
		CASE(keeps_its_own_counters),
		CASE(goes_on_where_memory_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
