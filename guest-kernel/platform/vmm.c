/* SPDX-License-Identifier: ISC */
#include "guest-kernel/platform/vmm.h"

#include <string.h>

#include "guest-kernel/drivers/ring_net.h"
#include "guest-kernel/platform/platform.h"

/* summon-vmm: a machine without devices or privileges. What leaves it are calls. */

static const struct summon_boot *page;

static struct summon_shared *shared(void)
{
	return (struct summon_shared *)page->shared;
}

const char *vmm_boot_info(const struct summon_boot *boot, struct boot_info *out)
{
	page = boot;
	if (boot->magic != SUMMON_BOOT_MAGIC || boot->version != SUMMON_ABI_VERSION)
		return "the boot page is of a version that this kernel does not know";
	memcpy(out->command_line, boot->command_line, sizeof(out->command_line));
	out->heap = (struct memory_range){boot->free_start, boot->free_end};
	out->initrd = (const void *)boot->initrd;
	out->initrd_size = boot->initrd_size;
	return NULL;
}

static bool detect(void)
{
	return page != NULL;
}

static void init(const char *command_line)
{
	(void)command_line;
}

/* Printed at the next call, which a guest that has something to say makes soon. */
static void console_write(const char *text, size_t size)
{
	struct summon_counters *printed = &shared()->printed;
	for (; size > 0; text++, size--) {
		uint32_t produced = printed->produced;
		if (produced - __atomic_load_n(&printed->consumed, __ATOMIC_ACQUIRE) ==
			SUMMON_CONSOLE)
			ring_call(page, SUMMON_CALL_KICK, 0);
		shared()->console[produced % SUMMON_CONSOLE] = *text;
		__atomic_store_n(&printed->produced, produced + 1, __ATOMIC_RELEASE);
	}
}

static uint64_t tsc_hz(void)
{
	return page->tsc_hz;
}

static const uint8_t *random_seed(size_t *size)
{
	*size = sizeof(page->seed);
	return page->seed;
}

static struct net_device *find_network(const char *command_line, const char **why)
{
	(void)command_line;
	struct net_device *device = ring_net_start(page);
	if (!device)
		*why = "the monitor has no network for this guest";
	return device;
}

static void report_ready(void)
{
	__atomic_store_n(&shared()->ready, 1, __ATOMIC_RELAXED);
}

static void wait(uint64_t ns)
{
	ring_call(page, SUMMON_CALL_WAIT, ns);
}

static bool stop_requested(void)
{
	return __atomic_load_n(&shared()->stop_requested, __ATOMIC_RELAXED);
}

static __attribute__((__noreturn__)) void power_off(enum power_off how)
{
	ring_call(page, SUMMON_CALL_EXIT, how == POWER_OFF_FAILED);
	__builtin_unreachable();
}

const struct platform platform_vmm = {
	.name = "vmm",
	.detect = detect,
	.init = init,
	.console_write = console_write,
	.tsc_hz = tsc_hz,
	.random_seed = random_seed,
	.find_network = find_network,
	.report_ready = report_ready,
	.wait = wait,
	.stop_requested = stop_requested,
	.power_off = power_off,
};
