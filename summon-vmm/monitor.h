/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_MONITOR_H
#define SUMMON_VMM_MONITOR_H

#include <net/if.h>

#include "summon-vmm/control.h"
#include "summon-vmm/cpu.h"
#include "summon-vmm/rings.h"
#include "summon-vmm/ticks.h"

#define SERVICE_SIZE 256

/* One guest and its one thread: either the guest runs, or the monitor does what it asked for. */
struct monitor {
	struct control control; /* open before the rest, to say what went wrong */
	struct memory memory;
	struct image image;
	struct cpu cpu;
	struct rings rings;
	struct ticks ticks;
	struct summon_boot *boot;
	struct summon_shared *shared;
	uint32_t printed; /* bytes of its console */
	uint64_t started_at;
	uint64_t entered_at; /* monotonic: when the guest first ran */
	char service[SERVICE_SIZE], tap[IFNAMSIZ];
	bool has_guest; /* else a shell */
	bool paused, has_run, ready, over;
	bool has_network, has_excepted;
	struct error crash; /* what the CPU said */
};

/* create.c: opens everything. Requires the control socket. */
int monitor_create(
	struct monitor *monitor, const struct cpu_ops *cpu, uint64_t memory, struct error *err);

/* boot.c: makes a guest of what a BOOT request brings, ready to run; takes its descriptors as far as
 * it keeps them. Within the sandbox. */
int monitor_boot(struct monitor *monitor, struct control_request *request, struct error *err);

/* Waits for a guest, runs it to its end, and tells. Nothing is opened, no memory is allocated. */
void monitor_run(struct monitor *monitor);

/* requests.c: does what the other side of the control socket has asked for. */
void monitor_obey(struct monitor *monitor);
/* Tells of one thing without a text. */
void monitor_tell(struct monitor *monitor, enum control_type type);
/* There is no guest, and will be none: tells why. */
void monitor_fail(struct monitor *monitor, const struct error *err);
/* The guest's life is over: tells why, once. */
void monitor_end(struct monitor *monitor, enum control_exit how, const char *why);

/* report.c: what the CPU knew, as lines for the console; and in one line as *err. */
#define REPORT_TEXT 1024
void report_print(const struct summon_exception *exception, char text[REPORT_TEXT]);
void report_summarise(const struct summon_exception *exception, struct error *err);

#endif
