/* SPDX-License-Identifier: ISC */
#include "guest-kernel/platform/platform.h"

#include <string.h>

#include "guest-kernel/drivers/netfront.h"
#include "guest-kernel/drivers/xen.h"
#include "guest-kernel/drivers/xen_console.h"
#include "guest-kernel/drivers/xenstore.h"
#include "guest-kernel/kernel/panic.h"

/* A PVH domain of Xen's. */

#define SHUTDOWN "control/shutdown"
#define SUSPENDS "control/feature-suspend"
#define READY    "data/summond-ready"

static bool is_ready;

static void find_dom0(void)
{
	xen_console_init();
	xenstore_init();
	xenstore_watch(SHUTDOWN);
}

static void init(const char *command_line)
{
	(void)command_line;
	xen_init();
	find_dom0();
}

static struct net_device *find_network(const char *command_line, const char **why)
{
	(void)command_line;
	return netfront_start(why);
}

static void report_ready(void)
{
	is_ready = true;
	xenstore_write(READY, "1");
	xenstore_write(SUSPENDS, "1");
	xenstore_flush();
}

static void suspend(void)
{
	if (!xen_suspend())
		return;
	find_dom0();
	const char *why = netfront_restart();
	if (why)
		panic("network: %s", why);
	if (is_ready)
		report_ready();
}

static void wait(uint64_t ns)
{
	const uint32_t ports[] = {xenstore_port(), netfront_port()};
	xen_wait(ports, netfront_port() ? 2 : 1, ns);
}

/* Whoever asked wants to see that it was heard: the key is emptied. The first look is for a change
 * that was seen while something else was waited for. What asks to suspend is done at once. */
static bool stop_requested(void)
{
	static bool looked;
	char word[16];
	bool look = xenstore_changed() || !looked;
	looked = true;
	if (!look)
		return false;
	xenstore_read(&(struct xenstore_value){SHUTDOWN, word, sizeof(word)}, 1);
	if (!word[0])
		return false;
	xenstore_write(SHUTDOWN, "");
	xenstore_flush();
	if (strcmp(word, "suspend") != 0)
		return true;
	suspend();
	return false;
}

static __attribute__((__noreturn__)) void power_off(enum power_off how)
{
	xen_shutdown(how == POWER_OFF_FAILED ? XEN_SHUTDOWN_CRASH : XEN_SHUTDOWN_OFF);
}

const struct platform platform_xen = {
	.name = "xen",
	.detect = xen_detect,
	.init = init,
	.console_write = xen_console_write,
	.tsc_hz = xen_tsc_hz,
	.find_network = find_network,
	.report_ready = report_ready,
	.wait = wait,
	.stop_requested = stop_requested,
	.power_off = power_off,
};
