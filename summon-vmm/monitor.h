/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_VMM_MONITOR_H
#define SUMMON_VMM_MONITOR_H

#include <net/if.h>

#include "summon-vmm/control.h"
#include "summon-vmm/cpu.h"
#include "summon-vmm/rings.h"
#include "summon-vmm/ticks.h"

#define SERVICE_SIZE 256

/* What a start takes at its stack's end, which is the image's, and of the free memory. */
#define STACK_USED (2 * PAGE)
#define FREE_USED  (8 * PAGE)

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
	uint64_t exits;      /* so often it has left */
	char service[SERVICE_SIZE], tap[IFNAMSIZ];
	bool has_guest; /* else a shell */
	bool paused, has_run, ready, over;
	bool has_network, has_excepted;
	bool is_waiting; /* in the call of that name */
	int keep_file;   /* where the guest is to be kept; -1: nowhere */
	uint64_t keep_flags;
	bool keep_when_ready, keep_pauses_again;
	char order[CONTROL_TEXT_MAX]; /* the text of BOOT */
	uint32_t order_size;
	struct error crash; /* what the CPU said */
	/* Of a shell: what it may become is there (ahead.c), with its address space. */
	bool was_loaded, is_loaded, is_kept, is_built;
};

/* create.c: opens everything. Requires the control socket. */
int monitor_create(
	struct monitor *monitor, const struct cpu_ops *cpu, uint64_t memory, struct error *err);

/* boot.c: makes a guest of what a BOOT request brings, ready to run; takes its descriptors as far as
 * it keeps them. Within the sandbox. */
int monitor_boot(struct monitor *monitor, struct control_request *request, struct error *err);

/* Fills the memory with an image, or a kept guest that is made of what `key` says. */
int monitor_fill(
	struct monitor *monitor, int file, bool is_kept, const char *key, struct error *err);

/* ahead.c: does what a LOAD request asks for. Where it fails, the shell is as it was. */
int monitor_load(struct monitor *monitor, struct control_request *request, struct error *err);
/* The guest is another one. */
void monitor_unload(struct monitor *monitor);

/* Waits for a guest, runs it to its end, and tells. Nothing is opened, no memory is allocated. */
void monitor_run(struct monitor *monitor);

/* requests.c: does what the other side of the control socket has asked for. */
void monitor_obey(struct monitor *monitor);
/* There is no guest, and will be none: tells why. */
void monitor_fail(struct monitor *monitor, const struct error *err);
/* The guest's life is over: tells why, once. */
void monitor_end(struct monitor *monitor, enum control_exit how, const char *why);

/* keep.c: keeps the guest in `file`, which it takes, once it waits. A guest that waits already is kept
 * at once. Tells how that went. `flags` are those of CONTROL_KEEP. */
void monitor_keep_ask(struct monitor *monitor, int file, uint64_t flags);
/* What was asked for before is not wanted any more: the guest is paused again, if it was. */
void monitor_keep_cancel(struct monitor *monitor);
/* The guest waits: keeps it where that was asked for. */
void monitor_keep(struct monitor *monitor);

/* trim.c: gives back what memory a paused guest does not need. */
void monitor_trim(struct monitor *monitor);

/* report.c: what the CPU knew, as lines for the console; and in one line as *err. */
#define REPORT_TEXT 1024
void report_print(const struct summon_exception *exception, char text[REPORT_TEXT]);
void report_summarise(const struct summon_exception *exception, struct error *err);

#endif
