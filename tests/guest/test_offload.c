/* SPDX-License-Identifier: ISC */
/* Frames whose checksums and segments are left to the network. The network is a few lines here, which
 * finish them as Linux does; what comes out has to be what went in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "guest-kernel/net/offload.h"

#define ETHERNET 14
#define TCP      20
#define MSS      1000

struct frame {
	struct summon_frame_header header;
	size_t size;
	uint8_t bytes[70000];
};

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
	return get16(at) << 16 | get16(at + 2);
}

static uint32_t sum(const uint8_t *at, size_t size)
{
	uint32_t total = 0;
	for (size_t i = 0; i < size; i++)
		total += i % 2 ? at[i] : (uint32_t)at[i] << 8;
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return total;
}

static size_t ip_size(const uint8_t *frame)
{
	return get16(frame + 12) == 0x0800 ? 20 : 40;
}

static struct offload_frame whole(struct frame *f)
{
	return (struct offload_frame){.header = &f->header, .bytes = f->bytes, .size = f->size};
}

/* A segment of TCP with `data` bytes of payload, which depend on their sequence numbers. */
static void make(struct frame *f, bool ipv6, uint32_t sequence, uint8_t flags, size_t data)
{
	uint8_t *ip = f->bytes + ETHERNET, *tcp = ip + (ipv6 ? 40 : 20);
	f->size = (size_t)(tcp + TCP + data - f->bytes);
	memset(f->bytes, 0, f->size);
	put16(f->bytes + 12, ipv6 ? 0x86dd : 0x0800);
	ip[0] = ipv6 ? 0x60 : 0x45;
	if (ipv6) {
		put16(ip + 4, (uint32_t)(TCP + data));
		ip[6] = 6;
		ip[7] = 64;
		memset(ip + 8, 0x77, 32);
	} else {
		put16(ip + 2, (uint32_t)(20 + TCP + data));
		put16(ip + 4, sequence / MSS);
		ip[8] = 64;
		ip[9] = 6;
		memset(ip + 12, 0x77, 8);
		put16(ip + 10, ~sum(ip, 20));
	}
	put16(tcp, 80);
	put16(tcp + 2, 40000);
	put32(tcp + 4, sequence);
	put32(tcp + 8, 4711);
	tcp[12] = 0x50;
	tcp[13] = flags;
	put16(tcp + 14, 64240);
	for (size_t i = 0; i < data; i++)
		tcp[TCP + i] = (uint8_t)((sequence + i) * 7);
	const struct offload_frame frame = whole(f);
	offload_checksum(&frame);
}

static void expect_whole_checksums(const uint8_t *frame, size_t size)
{
	const uint8_t *ip = frame + ETHERNET;
	size_t header = ip_size(frame);
	uint32_t pseudo = header == 20 ? sum(ip + 12, 8) : sum(ip + 8, 32);
	uint32_t total = pseudo + 6 + (uint32_t)(size - ETHERNET - header) +
			 sum(ip + header, size - ETHERNET - header);
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	assert_int_equal(total, 0xffff);
	if (header == 20)
		assert_int_equal(sum(ip, 20), 0xffff);
}

/* The network: computes what is missing. */
static void complete(uint8_t *frame, size_t size, const struct summon_frame_header *h)
{
	if (!(h->flags & SUMMON_FRAME_NEEDS_CHECKSUM))
		return;
	put16(frame + h->checksum_start + h->checksum_offset,
		~sum(frame + h->checksum_start, size - h->checksum_start));
}

/* The network: the segment of a large frame that begins at byte `at` of its data. */
static void cut(const struct frame *large, size_t at, struct frame *out)
{
	size_t headers = large->header.headers_size, left = large->size - headers - at;
	size_t data = left < large->header.segment_size ? left : large->header.segment_size;
	uint8_t *ip = out->bytes + ETHERNET, *tcp = ip + ip_size(large->bytes);
	memcpy(out->bytes, large->bytes, headers);
	memcpy(out->bytes + headers, large->bytes + headers + at, data);
	out->size = headers + data;
	uint32_t pseudo = get16(tcp + 16) + 0xffffu -
			  (uint32_t)(large->size - (size_t)(tcp - out->bytes)) +
			  (uint32_t)(out->size - (size_t)(tcp - out->bytes));
	put16(tcp + 16, (pseudo & 0xffff) + (pseudo >> 16));
	put32(tcp + 4, get32(tcp + 4) + (uint32_t)at);
	if (data < left)
		tcp[13] &= (uint8_t)~9;
	if (ip[0] == 0x45) {
		put16(ip + 2, (uint32_t)(out->size - ETHERNET));
		put16(ip + 4, get16(ip + 4) + (uint32_t)(at / large->header.segment_size));
		put16(ip + 10, 0);
		put16(ip + 10, ~sum(ip, 20));
	} else {
		put16(ip + 4, (uint32_t)(out->size - ETHERNET - 40));
	}
	complete(out->bytes, out->size, &large->header);
}

static struct frame large, next, piece, wanted;

static bool append(void)
{
	struct offload_frame frame = whole(&large);
	const struct offload_frame following = whole(&next);
	bool done = offload_append(&frame, &following);
	large.size = frame.size;
	return done;
}

/* ---- checksums ---- */

static void leaves_checksums(void **state)
{
	(void)state;
	for (int ipv6 = 0; ipv6 < 2; ipv6++)
		for (size_t data = 0; data < 4; data++) {
			make(&large, ipv6, 5, 0x18, data);
			assert_int_equal(large.header.flags, SUMMON_FRAME_NEEDS_CHECKSUM);
			assert_int_equal(large.header.segments, SUMMON_FRAME_WHOLE);
			complete(large.bytes, large.size, &large.header);
			expect_whole_checksums(large.bytes, large.size);
		}
}

static void leaves_other_frames_alone(void **state)
{
	(void)state;
	static const struct {
		size_t at;
		uint8_t value;
	} changes[] = {
		{12, 0x09},            /* another protocol than IP */
		{ETHERNET, 0x46},      /* options */
		{ETHERNET + 6, 0x20},  /* the first fragment */
		{ETHERNET + 7, 1},     /* a later one */
		{ETHERNET + 9, 17},    /* UDP */
		{ETHERNET + 2, 0xff},  /* longer than the frame */
		{ETHERNET + 3, 39},    /* too short for TCP */
		{ETHERNET + 32, 0x40}, /* TCP's header too short */
		{ETHERNET + 32, 0xf0}, /* and too long */
	};
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		make(&large, false, 5, 0x10, 10);
		large.bytes[changes[i].at] = changes[i].value;
		memcpy(wanted.bytes, large.bytes, large.size);
		const struct offload_frame frame = whole(&large);
		offload_checksum(&frame);
		assert_int_equal(large.header.flags, 0);
		assert_memory_equal(wanted.bytes, large.bytes, large.size);
	}
	for (size_t size = 0; size < 54; size++) {
		make(&large, false, 5, 0x10, 10);
		struct offload_frame frame = whole(&large);
		frame.size = size;
		offload_checksum(&frame);
		assert_int_equal(large.header.flags, 0);
	}
}

/* ---- segments ---- */

static void gives_the_same_segments_again(void **state)
{
	(void)state;
	for (int ipv6 = 0; ipv6 < 2; ipv6++)
		for (size_t last = 1; last <= MSS; last += 333) {
			const uint32_t first = UINT32_MAX - 3 * MSS - 100; /* it wraps on the way */
			const uint32_t full = 20;
			make(&large, ipv6, first, 0x10, MSS);
			for (uint32_t i = 1; i <= full; i++) {
				make(&next, ipv6, first + i * MSS, i < full ? 0x10 : 0x19,
					i < full ? MSS : last);
				assert_true(append());
			}
			if (!ipv6)
				assert_int_equal(sum(large.bytes + ETHERNET, 20), 0xffff);
			for (uint32_t i = 0; i <= full; i++) {
				make(&wanted, ipv6, first + i * MSS, i < full ? 0x10 : 0x19,
					i < full ? MSS : last);
				complete(wanted.bytes, wanted.size, &wanted.header);
				cut(&large, (size_t)i * MSS, &piece);
				if (!ipv6) { /* identification goes up by one, from wherever */
					memcpy(wanted.bytes + 18, piece.bytes + 18, 2);
					memcpy(wanted.bytes + 24, piece.bytes + 24, 2);
				}
				assert_int_equal(piece.size, wanted.size);
				assert_memory_equal(piece.bytes, wanted.bytes, piece.size);
				expect_whole_checksums(piece.bytes, piece.size);
			}
		}
}

static void ends_at_the_largest_packet(void **state)
{
	(void)state;
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		uint32_t sequence = 0;
		make(&large, ipv6, sequence, 0x10, MSS);
		do {
			sequence += MSS;
			make(&next, ipv6, sequence, 0x10, MSS);
		} while (append());
		assert_in_range(large.size, ETHERNET + 65535 - MSS, ETHERNET + 65535);
	}
}

static void appends_only_what_follows(void **state)
{
	(void)state;
	enum { IP = ETHERNET, T = ETHERNET + 20 };
	static const struct {
		size_t at;
		uint8_t value;
	} changes[] = {
		{0, 1},         /* another neighbour */
		{IP + 1, 4},    /* type of service */
		{IP + 6, 0x40}, /* don't fragment */
		{IP + 8, 63},   /* time to live */
		{IP + 15, 1},   /* source */
		{IP + 19, 1},   /* destination */
		{T + 1, 81},    /* ports */
		{T + 3, 1},     /* likewise */
		{T + 7, 1},     /* a gap */
		{T + 11, 1},    /* acknowledges something else */
		{T + 12, 0x60}, /* options */
		{T + 13, 0x14}, /* reset */
		{T + 13, 0x30}, /* urgent */
		{T + 14, 1},    /* window */
		{T + 19, 1},    /* urgent pointer */
	};
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		make(&large, false, 0, 0x10, MSS);
		make(&next, false, MSS, 0x10, MSS);
		next.bytes[changes[i].at] = changes[i].value;
		memcpy(wanted.bytes, large.bytes, large.size);
		assert_false(append());
		assert_memory_equal(wanted.bytes, large.bytes, large.size);
	}
}

static void appends_only_behind_full_segments(void **state)
{
	(void)state;
	static const struct {
		uint8_t flags;
		size_t data, more;
	} cases[] = {
		{0x18, MSS, MSS},     /* pushed */
		{0x11, MSS, MSS},     /* ended */
		{0x12, MSS, MSS},     /* begun */
		{0x10, 255, 100},     /* no bulk */
		{0x10, MSS, 0},       /* nothing to append */
		{0x10, MSS, MSS + 1}, /* larger than those before */
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make(&large, false, 0, cases[i].flags, cases[i].data);
		make(&next, false, (uint32_t)cases[i].data, 0x10, cases[i].more);
		assert_false(append());
	}
	make(&large, false, 0, 0x10, MSS);
	make(&next, false, MSS, 0x10, MSS - 1);
	assert_true(append());
	make(&next, false, 2 * MSS - 1, 0x10, 1);
	assert_false(append());
	make(&next, true, MSS, 0x10, MSS);
	assert_false(append());
}

/* Both lie in the ring, one right behind the other. */
static void appends_what_lies_behind(void **state)
{
	(void)state;
	make(&wanted, false, 0, 0x10, MSS);
	make(&next, false, MSS, 0x18, MSS);
	make(&large, false, 0, 0x10, MSS);
	memcpy(large.bytes + large.size + 2, next.bytes, next.size);
	struct offload_frame frame = whole(&large), following = whole(&next);
	following.bytes = large.bytes + large.size + 2;
	assert_true(offload_append(&frame, &following));
	assert_int_equal(frame.size, wanted.size + MSS);
	assert_memory_equal(large.bytes + wanted.size, next.bytes + 54, MSS);
}

/* ---- tails ---- */

static uint8_t file[70000];

/* A frame whose data, but for `copied` bytes of it, are in `file`. */
static struct offload_frame with_tail(
	struct frame *f, uint32_t sequence, uint8_t flags, size_t copied)
{
	make(f, false, sequence, flags, MSS);
	memcpy(file + sequence, f->bytes + 54, MSS);
	return (struct offload_frame){
		&f->header, f->bytes, 54 + copied, file + sequence + copied, MSS - copied};
}

static void leaves_tails_where_they_are(void **state)
{
	(void)state;
	const uint32_t count = 20;
	for (size_t copied = 0; copied < 400; copied += 150) {
		struct offload_frame frame = with_tail(&large, 0, 0x10, copied);
		offload_checksum(&frame);
		for (uint32_t i = 1; i < count; i++) {
			struct offload_frame following =
				with_tail(&next, i * MSS, i + 1 < count ? 0x10 : 0x18, 0);
			offload_checksum(&following);
			assert_true(offload_append(&frame, &following));
		}
		assert_int_equal(frame.size, 54 + copied);
		assert_int_equal(frame.tail_size, count * MSS - copied);
		memcpy(large.bytes + frame.size, frame.tail, frame.tail_size);
		large.size = frame.size + frame.tail_size;
		for (uint32_t i = 0; i < count; i++) {
			make(&wanted, false, i * MSS, i + 1 < count ? 0x10 : 0x18, MSS);
			complete(wanted.bytes, wanted.size, &wanted.header);
			cut(&large, (size_t)i * MSS, &piece);
			assert_int_equal(piece.size, wanted.size);
			assert_memory_equal(piece.bytes, wanted.bytes, piece.size);
		}
	}
}

static void joins_tails_only_where_they_touch(void **state)
{
	(void)state;
	struct offload_frame frame = with_tail(&large, 0, 0x10, 0);
	struct offload_frame following = with_tail(&next, MSS, 0x10, 1);
	assert_false(offload_append(&frame, &following)); /* a byte lies elsewhere */
	following = with_tail(&next, MSS, 0x10, 0);
	following.tail++;
	assert_false(offload_append(&frame, &following));
	following = with_tail(&next, MSS, 0x10, 0);
	following.tail_size--; /* less than its header says */
	assert_false(offload_append(&frame, &following));
	make(&next, false, MSS, 0x10, MSS);
	following = whole(&next);
	assert_false(offload_append(&frame, &following));
	make(&large, false, 0, 0x10, MSS);
	frame = whole(&large);
	following = with_tail(&next, MSS, 0x10, 0);
	assert_false(offload_append(&frame, &following));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_checksums),
		cmocka_unit_test(leaves_other_frames_alone),
		cmocka_unit_test(gives_the_same_segments_again),
		cmocka_unit_test(ends_at_the_largest_packet),
		cmocka_unit_test(appends_only_what_follows),
		cmocka_unit_test(appends_only_behind_full_segments),
		cmocka_unit_test(appends_what_lies_behind),
		cmocka_unit_test(leaves_tails_where_they_are),
		cmocka_unit_test(joins_tails_only_where_they_touch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
