/* SPDX-License-Identifier: ISC */
#include "summon-vmm/rings.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define HEADER      sizeof(struct summon_frame_header)
#define ETHERNET    14 /* the header: shorter is no frame */
#define ALIGN(n)    (((n) + 7) & ~7u)
/* TCP's smallest usual segment (RFC 9293, 3.7.1) holds more. The kernel takes a large frame apart
 * before this process runs on, and this bounds into how many pieces. */
#define SEGMENT_MIN 256

static uint32_t load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void store(uint32_t *counter, uint32_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELEASE);
}

void rings_init(struct rings *rings, const struct memory *memory, int tap, bool has_header)
{
	struct summon_shared *shared = memory_at(memory, LAYOUT_SHARED, sizeof(*shared));
	*rings = (struct rings){
		.memory = memory,
		.receive = memory_at(memory, LAYOUT_RECEIVE, sizeof(struct summon_ring)),
		.transmit = memory_at(memory, LAYOUT_TRANSMIT, sizeof(struct summon_ring)),
		.received_counters = &shared->receive,
		.transmitted_counters = &shared->transmit,
		.received = load(&shared->receive.produced),
		.sent = load(&shared->transmit.consumed),
		.end = SUMMON_RING_DATA, /* frames that wait already may be anywhere */
		.tap = tap,
		.has_header = has_header,
	};
}

static int untrue(const char *ring, uint32_t frames, struct error *err)
{
	return error_set(err, -EPROTO,
		"the guest's %s ring claims %" PRIu32 " frames, and holds no more than %d", ring,
		frames, SUMMON_RING_FRAMES);
}

/* The kernel checks the same, and more; but it is not for a guest to try whether it does. `size` is
 * without the tail: what a header speaks of comes before. */
static bool header_is_sound(const struct summon_frame_header *h, uint32_t size)
{
	bool needs_checksum = h->flags == SUMMON_FRAME_NEEDS_CHECKSUM;
	if (h->flags && !needs_checksum)
		return false;
	if (needs_checksum && (uint32_t)h->checksum_start + h->checksum_offset + 2 > size)
		return false;
	if (h->segments == SUMMON_FRAME_WHOLE)
		return true;
	return (h->segments == SUMMON_FRAME_TCP4 || h->segments == SUMMON_FRAME_TCP6) &&
	       needs_checksum && h->segment_size >= SEGMENT_MIN && h->headers_size <= size;
}

/* A frame's description, each word of it read once. */
static struct summon_frame read_description(const struct summon_frame *frame)
{
	return (struct summon_frame){load(&frame->offset), load(&frame->size), load(&frame->tail),
		load(&frame->tail_size)};
}

/* The parts of a frame but for its header; how many, 0 where it is none. */
static int find_parts(
	const struct rings *rings, const struct summon_frame *f, struct iovec parts[2])
{
	if (f->size < HEADER + ETHERNET || f->size > SUMMON_FRAME_MAX ||
		f->offset > SUMMON_RING_DATA - f->size || f->tail_size > SUMMON_FRAME_MAX - f->size)
		return 0;
	parts[0] = (struct iovec){rings->transmit->data + f->offset + HEADER, f->size - HEADER};
	if (f->tail_size == 0)
		return 1;
	void *tail = memory_at(rings->memory, f->tail, f->tail_size);
	parts[1] = (struct iovec){tail, f->tail_size};
	return tail && f->tail >= SUMMON_IMAGE_MIN ? 2 : 0;
}

/* Bytes without the header; 0 where the frame is lost. */
static uint32_t send_frame(const struct rings *rings, const struct summon_frame *f)
{
	struct summon_frame_header header;
	struct iovec parts[3] = {{&header, HEADER}};
	int count = find_parts(rings, f, parts + 1);
	if (count == 0)
		return 0;
	/* A copy of it is looked at and sent: the guest has no say any more. */
	memcpy(&header, rings->transmit->data + f->offset, HEADER);
	if (rings->has_header && !header_is_sound(&header, f->size - (uint32_t)HEADER))
		return 0;
	ssize_t written = rings->has_header ? writev(rings->tap, parts, count + 1)
					    : writev(rings->tap, parts + 1, count);
	return written > 0 ? f->size - (uint32_t)HEADER + f->tail_size : 0;
}

/* Lost or not, it is done with. */
static void count_sent(struct rings *rings, uint32_t bytes)
{
	rings->lost += bytes == 0;
	rings->out.frames += bytes > 0;
	rings->out.bytes += bytes;
}

int rings_send(struct rings *rings, struct error *err)
{
	const struct summon_ring *ring = rings->transmit;
	uint32_t frames = load(&rings->transmitted_counters->produced) - rings->sent;
	if (frames > SUMMON_RING_FRAMES)
		return untrue("transmit", frames, err);
	for (; frames > 0; frames--) {
		const struct summon_frame frame =
			read_description(&ring->frame[rings->sent % SUMMON_RING_FRAMES]);
		count_sent(rings, send_frame(rings, &frame));
		rings->sent++;
	}
	store(&rings->transmitted_counters->consumed, rings->sent);
	return 0;
}

/* The size of a frame with its header, read to `place`; 0 where there is none. */
static uint32_t read_frame(const struct rings *rings, uint8_t *place)
{
	size_t gap = rings->has_header ? 0 : HEADER;
	ssize_t size = read(rings->tap, place + gap, SUMMON_FRAME_MAX - gap);
	if (size <= 0)
		return 0;
	memset(place, 0, gap);
	return (uint32_t)((size_t)size + gap);
}

int rings_receive(struct rings *rings, struct error *err)
{
	struct summon_ring *ring = rings->receive;
	uint32_t waiting = rings->received - load(&rings->received_counters->consumed);
	if (waiting > SUMMON_RING_FRAMES)
		return untrue("receive", waiting, err);
	/* A guest that keeps up is served from the same few pages for ever. */
	if (waiting == 0)
		rings->end = 0;
	while (waiting < SUMMON_RING_FRAMES && SUMMON_RING_DATA - rings->end >= SUMMON_FRAME_MAX) {
		uint32_t size = read_frame(rings, ring->data + rings->end);
		if (size == 0)
			break;
		ring->frame[rings->received++ % SUMMON_RING_FRAMES] =
			(struct summon_frame){rings->end, size, 0, 0};
		rings->end += ALIGN(size);
		rings->in.frames++;
		rings->in.bytes += size - HEADER;
		waiting++;
	}
	store(&rings->received_counters->produced, rings->received);
	return (int)waiting;
}
