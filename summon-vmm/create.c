/* SPDX-License-Identifier: ISC */
#include "summon-vmm/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <x86intrin.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "summon-vmm/machine.h"

#define MEASURE_NS (2 * NS_PER_MS)

static int open_file(const char *path, struct error *err)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	return file < 0 ? error_set(err, -errno, "%s: %s", path, strerror(errno)) : file;
}

static int load_kernel(struct monitor *m, struct error *err)
{
	CLEANUP(close) int file = open_file(m->options->kernel, err);
	return file < 0 ? file : image_load(&m->image, &m->memory, file, m->options->kernel, err);
}

static int read_whole(int file, uint8_t *out, uint64_t size)
{
	for (uint64_t done = 0; done < size;) {
		ssize_t got = pread(file, out + done, size - done, (off_t)done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		done += (uint64_t)got;
	}
	return 0;
}

/* To the end of memory, so that what is free is in one piece. */
static int load_initrd(struct monitor *m, struct error *err)
{
	const char *path = m->options->initrd;
	struct stat info;
	m->boot->free_start = m->image.end;
	m->boot->free_end = m->memory.size;
	if (!path)
		return 0;
	CLEANUP(close) int file = open_file(path, err);
	if (file < 0)
		return file;
	if (fstat(file, &info) < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	uint64_t size = (uint64_t)info.st_size;
	if (info.st_size < 0 || size > m->memory.size - m->image.end)
		return error_set(err, -EINVAL, "%s: larger than the guest's memory", path);
	uint64_t start = (m->memory.size - size) & ~(PAGE - 1);
	if (start < m->image.end)
		return error_set(err, -EINVAL, "%s: larger than the guest's memory", path);
	int result = read_whole(file, memory_at(&m->memory, start, size), size);
	if (result < 0)
		return error_set(err, result, "%s: %s", path, strerror(-result));
	m->boot->initrd = start;
	m->boot->initrd_size = size;
	m->boot->free_end = start;
	return 0;
}

static int open_tap(struct monitor *m, struct error *err)
{
	const char *name = m->options->tap;
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	if (!name)
		return 0;
	if (strlen(name) >= sizeof(request.ifr_name))
		return error_set(err, -EINVAL, "tap %s: a name has at most 15 bytes", name);
	strcpy(request.ifr_name, name);
	CLEANUP(close) int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap < 0)
		return error_set(err, -errno, "/dev/net/tun: %s", strerror(errno));
	if (ioctl(tap, TUNSETIFF, &request) < 0)
		return error_set(err, -errno, "tap %s: %s", name, strerror(errno));
	/* A device may still have the settings of its last user: whole checksums, nothing larger
	 * than a frame. */
	if (ioctl(tap, TUNSETOFFLOAD, 0) < 0)
		return error_set(err, -errno, "tap %s: no offloads: %s", name, strerror(errno));
	rings_init(&m->rings, &m->memory, steal_fd(&tap));
	m->has_network = true;
	return 0;
}

/* Where KVM does not know the frequency, it is measured: the guest's is the host's. */
static uint64_t measure_tsc(void)
{
	uint64_t begin = clock_monotonic(), first = __rdtsc(), now;
	while ((now = clock_monotonic()) - begin < MEASURE_NS)
		;
	return (uint64_t)((unsigned __int128)(__rdtsc() - first) * NS_PER_S / (now - begin));
}

static int fill_boot_page(struct monitor *m, uint64_t tsc_hz, struct error *err)
{
	struct summon_boot *boot = m->boot;
	size_t length = strlen(m->options->command_line);
	if (length >= sizeof(boot->command_line))
		return error_set(err, -EINVAL, "the command line is longer than %zu bytes",
			sizeof(boot->command_line) - 1);
	memcpy(boot->command_line, m->options->command_line, length);
	boot->magic = SUMMON_BOOT_MAGIC;
	boot->version = SUMMON_ABI_VERSION;
	boot->calls = LAYOUT_CALLS;
	boot->shared = LAYOUT_SHARED;
	boot->receive = m->has_network ? LAYOUT_RECEIVE : 0;
	boot->transmit = m->has_network ? LAYOUT_TRANSMIT : 0;
	boot->tsc_hz = tsc_hz ? tsc_hz : measure_tsc();
	boot->real_ns = m->started_at;
	memcpy(boot->mac, m->options->mac.bytes, sizeof(boot->mac));
	if (getrandom(boot->seed, sizeof(boot->seed), 0) != sizeof(boot->seed))
		return error_set(err, -EIO, "no random seed for the guest");
	return 0;
}

static int block_signal(struct error *err)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	return sigprocmask(SIG_BLOCK, &set, NULL) < 0
		       ? error_set(err, -errno, "SIGIO: %s", strerror(errno))
		       : 0;
}

int monitor_create(struct monitor *m, const struct options *options, struct error *err)
{
	uint64_t tsc_hz = 0;
	m->options = options;
	m->paused = options->paused;
	m->started_at = clock_real();
	m->rings.tap = -1;
	kvm_init(&m->kvm);
	int result = block_signal(err);
	if (result == 0)
		result = memory_init(&m->memory, options->memory, err);
	if (result < 0)
		return result;
	m->boot = memory_at(&m->memory, LAYOUT_BOOT, sizeof(*m->boot));
	m->shared = memory_at(&m->memory, LAYOUT_SHARED, sizeof(*m->shared));
	result = load_kernel(m, err);
	if (result == 0)
		result = load_initrd(m, err);
	if (result == 0)
		result = open_tap(m, err);
	if (result == 0)
		result = machine_build(&m->memory, &m->image, err);
	if (result == 0)
		result = kvm_open(&m->kvm, &m->memory, SIGIO, &tsc_hz, err);
	if (result == 0)
		result = fill_boot_page(m, tsc_hz, err);
	if (result == 0)
		result = kvm_enter(&m->kvm, &m->image.note, m->image.note.entry, LAYOUT_BOOT, err);
	return result;
}

void monitor_finish(struct monitor *m)
{
	kvm_finish(&m->kvm);
	if (m->rings.tap >= 0)
		close(m->rings.tap);
	memory_finish(&m->memory);
}
