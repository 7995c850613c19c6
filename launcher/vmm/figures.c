/* SPDX-License-Identifier: ISC */
#include "launcher/vmm/vmm.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/units.h"

/*
 * How a guest does: what its monitor counts, and what the kernel knows of the monitor's process, which
 * is the better witness.
 */

/* The first line of a file of /proc that begins with `key`, behind that. */
static bool read_line(const char *path, const char *key, char *text, size_t size)
{
	CLEANUP(fclose) FILE *file = fopen(path, "re");
	size_t length = strlen(key);
	while (file && fgets(text, (int)size, file))
		if (strncmp(text, key, length) == 0) {
			memmove(text, text + length, strlen(text + length) + 1);
			return true;
		}
	return false;
}

/*
 * Linux, Documentation/filesystems/proc.rst: statm. The time is asked of the process's clock, for
 * /proc/PID/schedstat says 0 of one that has run since it began and never waited.
 */
static void ask_kernel(int process, struct launcher_figures *out)
{
	char path[64], text[128];
	uint64_t pages;
	struct timespec ran;
	clockid_t clock;
	int pid;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", process);
	if (!read_line(path, "Pid:", text, sizeof(text)) || sscanf(text, "%d", &pid) != 1)
		return;
	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	if (read_line(path, "", text, sizeof(text)) && sscanf(text, "%*u %" SCNu64, &pages) == 1)
		out->resident = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &ran) == 0)
		out->cpu_ns = (uint64_t)ran.tv_sec * NS_PER_S + (uint64_t)ran.tv_nsec;
	/* The number may be somebody else's already. */
	if (pidfd_send_signal(process, 0, NULL, 0) < 0)
		out->resident = out->cpu_ns = 0;
}

void vmm_guest_measured(struct vmm_guest *guest, const void *text, size_t size)
{
	struct control_figures said = {0};
	if (guest->measures == 0)
		return; /* nobody has asked */
	guest->measures--;
	memcpy(&said, text, size < sizeof(said) ? size : sizeof(said));
	guest->figures = (struct launcher_figures){
		.mode = vmm_record_exists(guest->vmm, guest->id) ? "process" : "kvm",
		.frames_in = said.frames_in,
		.bytes_in = said.bytes_in,
		.frames_out = said.frames_out,
		.bytes_out = said.bytes_out,
		.frames_lost = said.frames_lost,
		.exits = said.exits,
	};
	guest->untold++;
	if (guest->process >= 0)
		vmm_guest_tell_figures(guest);
}

void vmm_guest_tell_figures(struct vmm_guest *guest)
{
	struct launcher_event event = {.type = LAUNCHER_MEASURED, .id = guest->id};
	if (guest->untold == 0)
		return;
	event.figures = guest->figures;
	ask_kernel(guest->process, &event.figures);
	for (; guest->untold > 0; guest->untold--)
		vmm_emit(guest->vmm, &event);
}

int vmm_measure(struct launcher *launcher, struct instance_id id, struct error *err)
{
	struct vmm *vmm = (struct vmm *)launcher;
	struct vmm_guest *guest = vmm_guest_find(vmm, id);
	if (!guest && vmm_rest_find(vmm, id))
		return error_set(err, -EAGAIN, "the guest rests on disk");
	if (!guest || guest->asked)
		return error_set(err, -ESRCH, "there is no instance %u.%u", id.slot, id.generation);
	int r = vmm_guest_request(guest, CONTROL_MEASURE, 0, err);
	if (r == 0)
		guest->measures++;
	return r;
}
