/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_MONITOR_H
#define SUMMON_VMM_MONITOR_H

#include "summon-vmm/control.h"
#include "summon-vmm/kvm.h"
#include "summon-vmm/options.h"
#include "summon-vmm/rings.h"

/* One guest and its one thread: either the guest runs, or the monitor does what it asked for. */
struct monitor {
	const struct options *options;
	struct control control; /* open before the rest, to say what went wrong */
	struct memory memory;
	struct image image;
	struct kvm kvm;
	struct rings rings;
	struct summon_boot *boot;
	struct summon_shared *shared;
	uint64_t started_at;
	bool paused, has_run, ready, over;
	bool has_network, has_excepted;
	struct error crash; /* what the CPU said */
};

/* create.c: opens everything and builds the machine, ready to run. Requires the control socket. */
int monitor_create(struct monitor *monitor, const struct options *options, struct error *err);
void monitor_finish(struct monitor *monitor);

/* Runs the guest to its end, and tells. Nothing is opened, and no memory is allocated. */
void monitor_run(struct monitor *monitor);

/* requests.c: does what the other side of the control socket has asked for. */
void monitor_obey(struct monitor *monitor);
/* Tells of one thing without a text. */
void monitor_tell(struct monitor *monitor, enum control_type type);
/* The guest's life is over: tells why, once. */
void monitor_end(struct monitor *monitor, enum control_exit how, const char *why);

/* report.c: what the CPU knew, as lines for the console; and in one line as *err. */
#define REPORT_TEXT 1024
void report_print(const struct summon_exception *exception, char text[REPORT_TEXT]);
void report_summarise(const struct summon_exception *exception, struct error *err);

#endif
