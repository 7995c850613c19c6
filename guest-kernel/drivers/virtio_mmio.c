/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "guest-kernel/drivers/apic.h"
#include "guest-kernel/drivers/virtio.h"
#include "guest-kernel/kernel/cpu.h"
#include "guest-kernel/kernel/words.h"

/* Virtio 1.2, 4.2.2 "MMIO Device Register Layout" and 4.2.4 "Legacy interface" */
enum {
	MAGIC = 0x000,
	VERSION = 0x004,
	DEVICE_ID = 0x008,
	DEVICE_FEATURES = 0x010,
	DEVICE_FEATURES_SELECT = 0x014,
	DRIVER_FEATURES = 0x020,
	DRIVER_FEATURES_SELECT = 0x024,
	LEGACY_PAGE_SIZE = 0x028,
	QUEUE_SELECT = 0x030,
	QUEUE_SIZE_MAX = 0x034,
	QUEUE_SIZE = 0x038,
	LEGACY_QUEUE_ALIGN = 0x03c,
	LEGACY_QUEUE_PAGE = 0x040,
	QUEUE_READY = 0x044,
	QUEUE_NOTIFY = 0x050,
	INTERRUPT_STATUS = 0x060,
	INTERRUPT_ACKNOWLEDGE = 0x064,
	STATUS = 0x070,
	QUEUE_DESCRIPTORS = 0x080,
	QUEUE_AVAILABLE = 0x090,
	QUEUE_USED = 0x0a0,
	CONFIG = 0x100,
};

#define MAGIC_VALUE    0x74726976
#define VERSION_LEGACY 1
#define VERSION_MODERN 2
#define PAGE_SIZE      4096

static uint8_t get_status(struct virtio *v)
{
	return (uint8_t)mmio_read32(v->base + STATUS);
}

static void set_status(struct virtio *v, uint8_t status)
{
	mmio_write32(v->base + STATUS, status);
	if (status == 0 && !v->modern)
		mmio_write32(v->base + LEGACY_PAGE_SIZE, PAGE_SIZE);
}

static uint64_t get_features(struct virtio *v)
{
	return virtio_read_features(v, DEVICE_FEATURES_SELECT, DEVICE_FEATURES);
}

static void set_features(struct virtio *v, uint64_t features)
{
	virtio_write_features(v, DRIVER_FEATURES_SELECT, DRIVER_FEATURES, features);
}

static bool setup_queue(struct virtio *v, uint16_t index, struct virtqueue *queue)
{
	mmio_write32(v->base + QUEUE_SELECT, index);
	uint32_t size = mmio_read32(v->base + QUEUE_SIZE_MAX);
	if (size > VIRTQUEUE_BUFFERS)
		size = VIRTQUEUE_BUFFERS;
	if (!virtqueue_init(queue, (uint16_t)size))
		return false;
	mmio_write32(v->base + QUEUE_SIZE, size);
	if (v->modern) {
		virtio_write_address(v, QUEUE_DESCRIPTORS, queue->descriptors);
		virtio_write_address(v, QUEUE_AVAILABLE, queue->available_ring);
		virtio_write_address(v, QUEUE_USED, queue->used_ring);
		mmio_write32(v->base + QUEUE_READY, 1);
	} else {
		mmio_write32(v->base + LEGACY_QUEUE_ALIGN, PAGE_SIZE);
		mmio_write32(v->base + LEGACY_QUEUE_PAGE,
			(uint32_t)((uintptr_t)queue->descriptors / PAGE_SIZE));
	}
	return true;
}

static void notify_queue(struct virtio *v, uint16_t index)
{
	mmio_write32(v->base + QUEUE_NOTIFY, index);
}

static void acknowledge(struct virtio *v)
{
	uint32_t status = mmio_read32(v->base + INTERRUPT_STATUS);
	if (status)
		mmio_write32(v->base + INTERRUPT_ACKNOWLEDGE, status);
}

static const struct virtio_transport mmio_transport = {
	.get_status = get_status,
	.set_status = set_status,
	.get_features = get_features,
	.set_features = set_features,
	.config_byte = virtio_config_byte,
	.setup_queue = setup_queue,
	.notify_queue = notify_queue,
	.acknowledge = acknowledge,
};

static bool try_registers(struct virtio *virtio, uint32_t kind, uintptr_t base, unsigned gsi)
{
	if (mmio_read32(base + MAGIC) != MAGIC_VALUE || mmio_read32(base + DEVICE_ID) != kind)
		return false;
	uint32_t version = mmio_read32(base + VERSION);
	if (version != VERSION_LEGACY && version != VERSION_MODERN)
		return false;
	*virtio = (struct virtio){
		.transport = &mmio_transport,
		.modern = version == VERSION_MODERN,
		.base = base,
		.config = base + CONFIG,
	};
	apic_enable_interrupt(gsi);
	return true;
}

bool virtio_mmio_probe(struct virtio *virtio, uint32_t kind, const struct virtio_mmio_slots *slots)
{
	for (unsigned i = slots->count; i-- > 0;)
		if (try_registers(virtio, kind, slots->base + i * slots->step, slots->gsi + i))
			return true;
	return false;
}

struct search {
	struct virtio *virtio;
	uint32_t kind;
	bool found;
};

/* SIZE@ADDRESS:GSI, as Linux reads it; QEMU writes the size as "512". */
static bool parse_device(const char *text, uintptr_t *base, unsigned *gsi)
{
	const char *at = strchr(text, '@');
	char *end;
	if (!at)
		return false;
	*base = strtoul(at + 1, &end, 0);
	if (*end != ':' || *base % 4 || *base >= 1ull << 32)
		return false;
	*gsi = (unsigned)strtoul(end + 1, NULL, 0);
	return *gsi < 48;
}

static bool try_device(void *context, const char *value, size_t size)
{
	struct search *search = context;
	char text[64];
	uintptr_t base;
	unsigned gsi;
	if (size >= sizeof(text))
		return true;
	memcpy(text, value, size);
	text[size] = '\0';
	search->found = parse_device(text, &base, &gsi) &&
			try_registers(search->virtio, search->kind, base, gsi);
	return !search->found;
}

bool virtio_mmio_find(struct virtio *virtio, uint32_t kind, const char *command_line)
{
	struct search search = {virtio, kind, false};
	word_each(command_line, "virtio_mmio.device", try_device, &search);
	return search.found;
}
