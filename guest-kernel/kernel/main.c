/* SPDX-License-Identifier: ISC */
#include <inttypes.h>
#include <stdint.h>
#include <stdnoreturn.h>

#include "guest-kernel/kernel/app_kernel.h"
#include "guest-kernel/kernel/clock.h"
#include "guest-kernel/kernel/console.h"
#include "guest-kernel/kernel/cpu.h"
#include "guest-kernel/kernel/heap.h"
#include "guest-kernel/kernel/interrupts.h"
#include "guest-kernel/kernel/paging.h"
#include "guest-kernel/kernel/panic.h"
#include "guest-kernel/kernel/random.h"
#include "guest-kernel/kernel/words.h"
#include "guest-kernel/net/net.h"
#include "guest-kernel/platform/platform.h"
#include "guest-kernel/platform/pvh.h"
#include "guest-kernel/platform/vmm.h"

#define MSR_FS_BASE    0xc0000100
#define NS_PER_US      1000
#define TURNS_PER_LOOK 256 /* of a busy loop, between two looks at the power button */

noreturn void kernel_main_pvh(uintptr_t start_info);
noreturn void kernel_main_vmm(const struct summon_boot *boot);
noreturn void kernel_resume_vmm(const struct summon_boot *boot);

/* musl's functions find errno and the locale through a thread descriptor, whose first word points
 * to itself. The FS base points to it; summon-vmm has set it as the note of kernel/start.S says. */
extern uintptr_t thread[];
uintptr_t thread[64] = {(uintptr_t)thread};

static struct app application;

static void seed_random(const char *command_line)
{
	char seed[129];
	size_t size;
	if (platform()->random_seed) {
		const uint8_t *bytes = platform()->random_seed(&size);
		random_add(bytes, size);
	}
	bool given = word_value(command_line, "seed", seed, sizeof(seed));
	random_init(given ? seed : NULL);
}

static void start_network(
	const char *command_line, const char *(*begin)(struct net_device *, const char *))
{
	const char *why = NULL;
	struct net_device *device = platform()->find_network(command_line, &why);
	if (device)
		why = begin(device, command_line);
	if (why)
		panic("network: %s", why);
}

static void report_ready(struct app *app)
{
	if (app->reported || !app->ready || !net_is_up())
		return;
	app->reported = true;
	console_line("ready after %" PRIu64 " us", (clock_now() - app->began) / NS_PER_US);
	if (platform()->report_ready)
		platform()->report_ready();
}

static void idle(void)
{
	if (platform()->stop_requested()) {
		console_line("powering off as asked");
		platform()->power_off(POWER_OFF_DONE);
	}
	uint64_t ns = net_next_timer();
	if (ns > 0 && net_sleep())
		platform()->wait(ns);
	net_wake();
}

static noreturn void run(struct app *app)
{
	for (unsigned turn = 1; !app->exiting; turn++) {
		bool busy = net_poll();
		report_ready(app);
		if (!app->exiting && (!busy || turn % TURNS_PER_LOOK == 0))
			idle();
	}
	platform()->power_off(app->status ? POWER_OFF_FAILED : POWER_OFF_DONE);
}

/* From here on the machine does not matter. `wrong` is what the boot information lacks, said as soon
 * as there is a console. */
static noreturn void start(const char *wrong)
{
	platform()->init(application.boot.command_line);
	if (wrong)
		panic("boot: %s", wrong);
	heap_init(application.boot.heap.start, application.boot.heap.end);
	clock_init();
	seed_random(application.boot.command_line);
	start_network(application.boot.command_line, net_init);
	int result = app_main(&application);
	if (result < 0) {
		console_line("the application does not start: error %d", -result);
		platform()->power_off(POWER_OFF_FAILED);
	}
	run(&application);
}

/* The machine is another one; memory is as it was in idle(). */
static noreturn void resume(const char *wrong)
{
	struct app *app = &application;
	if (wrong)
		panic("boot: %s", wrong);
	clock_resume();
	app->began = clock_now();
	app->reported = false;
	seed_random(app->boot.command_line);
	start_network(app->boot.command_line, net_resume);
	if (app->resumed)
		app->resumed(app->resumed_context);
	run(app);
}

/* Called by kernel/start.S with the PVH loader's start info. */
void kernel_main_pvh(uintptr_t start_info)
{
	wrmsr(MSR_FS_BASE, (uintptr_t)thread);
	interrupts_init();
	/* Some firmware leaves it in page zero, which is unmapped next. */
	const char *wrong = pvh_boot_info(start_info, &application.boot);
	paging_protect();
	start(wrong);
}

/* Called by kernel/start.S with summon-vmm's boot page. */
void kernel_main_vmm(const struct summon_boot *boot)
{
	start(vmm_boot_info(boot, &application.boot));
}

/* Likewise, in a guest that was kept. */
void kernel_resume_vmm(const struct summon_boot *boot)
{
	resume(vmm_boot_info(boot, &application.boot));
}
