/* SPDX-License-Identifier: ISC */
#include "launcher/libvirt/monitor.h"

#include <libvirt/libvirt-qemu.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

/* It connects at once, unless the machine has no time for it; a guest that is never heard serves all
 * the same. */
#define CONSOLE_TRIES   1000
#define CONSOLE_STEP_US 5000

/* The answer, for free(); NULL where there is none. */
static char *ask(virDomainPtr domain, const char *question)
{
	char *answer = NULL;
	return virDomainQemuMonitorCommand(domain, question, &answer, 0) < 0 ? NULL : answer;
}

/*
 * QEMU connects a socket that it is to connect again (reconnect) by a thread, and does not wait for it:
 * what a guest says until then is lost. Until then it calls the device "disconnected:unix:PATH"
 * (chardev/char-socket.c). Our path ends as the domain's name does, behind its first word. Where a
 * domain_xml has QEMU listen there, ",server=on" follows, and nothing is to be waited for.
 */
static bool is_disconnected(const char *devices, const char *name)
{
	static const char mark[] = "disconnected:unix:";
	char end[80];
	size_t size = (size_t)snprintf(end, sizeof(end), "/console/%s\"", strchr(name, '-') + 1);
	for (const char *at = devices; (at = strstr(at, mark)); at += sizeof(mark) - 1) {
		size_t length = strcspn(at, "\"") + 1;
		if (length > size && memcmp(at + length - size, end, size) == 0)
			return true;
	}
	return false;
}

void monitor_console_await(virDomainPtr domain, const char *name)
{
	for (int tries = 0; tries < CONSOLE_TRIES; tries++) {
		CLEANUP(free) char *devices = ask(domain, "{\"execute\":\"query-chardev\"}");
		if (!devices || !is_disconnected(devices, name))
			return;
		usleep(CONSOLE_STEP_US);
	}
}

bool monitor_never_ran(virDomainPtr domain)
{
	CLEANUP(free) char *status = ask(domain, "{\"execute\":\"query-status\"}");
	return status && strstr(status, "\"prelaunch\"");
}
