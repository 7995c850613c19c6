/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/units.h"
#include "summon-vmm/file.h"
#include "summon-vmm/monitor.h"
#include "summon-vmm/sandbox.h"
#include "summon-vmm/snapshot.h"

/* A BOOT request, taken apart. */
struct order {
	struct control_boot head;
	const char *service, *tap, *command_line, *key;
	int *image, *initrd, *tap_fd, *keep; /* of the request; NULL: none */
	bool is_kept;
};

/* The next text of the request, or NULL where it does not end. */
static const char *next_text(const char **at, const char *end)
{
	const char *text = *at, *stop = memchr(text, '\0', (size_t)(end - text));
	if (!stop)
		return NULL;
	*at = stop + 1;
	return text;
}

static int read_order(struct order *order, struct control_request *request, struct error *err)
{
	const char *at = request->message.text, *end = at + request->text_size;
	unsigned used = 0;
	if (request->text_size < sizeof(order->head))
		return error_set(err, -EPROTO, "a request to boot that is cut short");
	memcpy(&order->head, at, sizeof(order->head));
	at += sizeof(order->head);
	order->service = next_text(&at, end);
	order->tap = order->service ? next_text(&at, end) : NULL;
	order->command_line = order->tap ? next_text(&at, end) : NULL;
	order->key = order->command_line ? next_text(&at, end) : NULL;
	order->is_kept = order->head.flags & CONTROL_BOOT_KEPT;
	order->image = order->head.flags & CONTROL_BOOT_LOADED ? NULL : &request->fds[used++];
	order->initrd = order->head.flags & CONTROL_BOOT_INITRD ? &request->fds[used++] : NULL;
	order->tap_fd = order->head.flags & CONTROL_BOOT_TAP ? &request->fds[used++] : NULL;
	order->keep = order->head.flags & CONTROL_BOOT_KEEP ? &request->fds[used++] : NULL;
	if (!order->key || used != request->fd_count)
		return error_set(err, -EPROTO, "a request to boot that lacks texts or files");
	return 0;
}

static int copy_name(char *out, size_t size, const char *name, struct error *err)
{
	size_t length = strlen(name);
	if (length >= size)
		return error_set(err, -EINVAL, "%s: longer than %zu bytes", name, size - 1);
	memcpy(out, name, length + 1);
	return 0;
}

/* Right behind the image: what is free is in one piece, and what a start touches lies together. */
static int load_initrd(struct monitor *m, int file, struct error *err)
{
	off_t length = lseek(file, 0, SEEK_END);
	if (length < 0)
		return error_set(err, -errno, "the initrd: %s", strerror(errno));
	uint64_t size = (uint64_t)length, start = m->image.end;
	if (size > m->memory.size - start)
		return error_set(err, -EINVAL, "the initrd is larger than the guest's memory");
	int result = file_read(file, memory_at(&m->memory, start, size), size, 0);
	if (result < 0)
		return error_set(err, result, "the initrd: %s", strerror(-result));
	m->boot->initrd = start;
	m->boot->initrd_size = size;
	m->boot->free_start = (start + size + PAGE - 1) & ~(PAGE - 1);
	return 0;
}

static int fill_boot_page(struct monitor *m, const struct order *order, struct error *err)
{
	struct summon_boot *boot = m->boot;
	if (copy_name(boot->command_line, sizeof(boot->command_line), order->command_line, NULL) <
		0)
		return error_set(err, -EINVAL, "the command line is longer than %zu bytes",
			sizeof(boot->command_line) - 1);
	m->started_at = clock_real();
	boot->magic = SUMMON_BOOT_MAGIC;
	boot->version = SUMMON_ABI_VERSION;
	boot->calls = LAYOUT_CALLS;
	boot->shared = LAYOUT_SHARED;
	boot->receive = m->has_network ? LAYOUT_RECEIVE : 0;
	boot->transmit = m->has_network ? LAYOUT_TRANSMIT : 0;
	boot->tsc_hz = m->cpu.tsc_hz ? m->cpu.tsc_hz : ticks_hz(&m->ticks);
	boot->real_ns = m->started_at;
	boot->features = m->rings.has_header ? SUMMON_FEATURE_OFFLOAD : 0;
	memcpy(boot->mac, order->head.mac, sizeof(boot->mac));
	if (getrandom(boot->seed, sizeof(boot->seed), 0) != sizeof(boot->seed))
		return error_set(err, -EIO, "no random seed for the guest: %s", strerror(errno));
	return 0;
}

static int fill_new(struct monitor *m, int file, struct error *err)
{
	int result = image_load(&m->image, &m->memory, file, "the image", err);
	m->boot->free_start = m->image.end;
	m->boot->free_end = m->memory.size;
	return result;
}

static int fill_kept(struct monitor *m, int file, const char *key, struct error *err)
{
	static struct snapshot_head head;
	int result = snapshot_read(&head, &m->memory, file, key, err);
	if (result == 0)
		result = snapshot_load(&head, &m->memory, &m->image, file, err);
	m->boot->initrd = head.initrd;
	m->boot->initrd_size = head.initrd_size;
	m->boot->free_start = head.free_start;
	m->boot->free_end = head.free_end;
	return result;
}

int monitor_fill(struct monitor *m, int file, bool is_kept, const char *key, struct error *err)
{
	m->boot = memory_at(&m->memory, LAYOUT_BOOT, sizeof(*m->boot));
	m->shared = memory_at(&m->memory, LAYOUT_SHARED, sizeof(*m->shared));
	return is_kept ? fill_kept(m, file, key, err) : fill_new(m, file, err);
}

/* Where the guest is to be entered. */
static uint64_t entry(const struct monitor *m, const struct order *order)
{
	const struct summon_note *note = &m->image.note;
	return order->is_kept ? note->resume_entry : note->entry;
}

static int check_loaded(const struct monitor *m, const struct order *order, struct error *err)
{
	if (m->is_loaded && m->is_kept == order->is_kept && m->memory.size == order->head.memory)
		return 0;
	return error_set(err, -EPROTO, "a request to boot what was not loaded");
}

static int load(struct monitor *m, const struct order *order, struct error *err)
{
	int result = 0;
	if (!order->image)
		return check_loaded(m, order, err);
	monitor_unload(m);
	result = memory_limit(&m->memory, order->head.memory, err);
	return result < 0 ? result
			  : monitor_fill(m, *order->image, order->is_kept, order->key, err);
}

/* What every start takes, its stack's end and of the free memory: here a page costs a tenth of what it
 * costs once the guest runs. */
static int load_rest(struct monitor *m, const struct order *order, struct error *err)
{
	int result = order->initrd ? load_initrd(m, *order->initrd, err) : 0;
	if (result == 0 && !order->is_kept) {
		memory_back(&m->memory, m->image.end - STACK_USED, STACK_USED);
		memory_back(&m->memory, m->boot->free_start, FREE_USED);
	}
	return result;
}

/* What comes with the order, and is needed later. */
static void take(struct monitor *m, struct control_request *request, const struct order *order)
{
	memcpy(m->order, request->message.text, request->text_size);
	m->order_size = (uint32_t)request->text_size;
	m->paused = order->head.flags & CONTROL_BOOT_PAUSED;
	if (order->tap_fd) {
		rings_init(&m->rings, &m->memory, *order->tap_fd,
			order->head.flags & CONTROL_BOOT_TAP_HEADER);
		*order->tap_fd = -1;
		m->has_network = true;
	}
	if (order->keep) {
		m->keep_file = *order->keep;
		*order->keep = -1;
		m->keep_when_ready = true;
	}
}

int monitor_boot(struct monitor *m, struct control_request *request, struct error *err)
{
	struct order order = {0};
	int result = read_order(&order, request, err);
	if (result == 0)
		result = copy_name(m->service, sizeof(m->service), order.service, err);
	if (result == 0)
		result = copy_name(m->tap, sizeof(m->tap), order.tap, err);
	if (result == 0)
		result = load(m, &order, err);
	if (result == 0)
		result = load_rest(m, &order, err);
	if (result < 0)
		return result;
	take(m, request, &order);
	result = fill_boot_page(m, &order, err);
	if (result == 0 && !m->is_built)
		result = m->cpu.ops->build(&m->cpu, &m->memory, &m->image, err);
	if (result == 0 && m->cpu.ops->in_process)
		result = sandbox_enter_guest(m->rings.tap, err);
	if (result == 0)
		result = m->cpu.ops->enter(
			&m->cpu, &m->image.note, entry(m, &order), LAYOUT_BOOT, err);
	m->has_guest = result == 0;
	return result;
}
