/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_SIM_SIM_H
#define LAUNCHER_SIM_SIM_H

#include <stdio.h>

#include "launcher/launcher.h"

/*
 * A fake hypervisor: guests are timers. For tests, for rehearsals of a configuration, and for
 * what-if runs ("what would my names feel like if a start took 300 ms and every tenth failed?").
 *
 * How a guest behaves (settings of the backend; the same words with "sim." in front on a guest's
 * command line override them for that guest, e.g. `sim.boot_delay=30ms sim.fail_start=yes`):
 *
 *   create_delay    5ms   from `start` to STARTED
 *   boot_delay      20ms  from the first instruction to the console line
 *                         "summond: ready after <boot_delay in us> us"
 *   resume_delay    2ms   from `resume` to RESUMED
 *   suspend_delay   2ms   from `suspend` to SUSPENDED
 *   save_delay      30ms  the same, to disk
 *   restore_delay   15ms  from `resume` of a guest on disk to RESUMED
 *   stop_delay      5ms   from `stop`, destroy, to EXITED
 *   shutdown_delay  10ms  from `stop`, shutdown, to the guest's powering off
 *   die_after       never the guest crashes after so long a time of running
 *   off_after       never the guest powers off after so long a time of running
 *   jitter          0     percent by which each delay varies, up or down (0 to 100)
 *   never_ready     no    the guest prints nothing
 *   ignore_shutdown no    the guest does not react to shutdown
 *   busy, done      no    what it says when it is ready: that it must not be retired, or may be
 *   fail_start, fail_resume, fail_suspend (of memory and disk alike)
 *                   no    "no", "yes", "3" (every third), "25%" (at random)
 *   fail                  "start", "resume", "suspend" or "ready": short for the one of these with
 *                         "yes" (for "ready": never_ready)
 *
 * And of the backend alone:
 *
 *   seed            1     of the random numbers: the same seed, the same run
 *   check_images    yes   refuse a kernel or initrd that is not there
 *   capabilities    all   e.g. "prepare,suspend,shutdown,console,outlive,snapshot", or
 *                         "none"
 *   persist         no    guests outlive the daemon: they are kept in <state_dir>/guests, and time
 *                         goes on for them while it is away
 */

/* When something fails: each time, every n-th time, or with a probability. */
struct sim_chance {
	unsigned every, percent; /* both 0: never */
};

struct sim_behaviour {
	uint64_t create_delay, boot_delay, resume_delay, suspend_delay, stop_delay, shutdown_delay;
	uint64_t save_delay, restore_delay;
	uint64_t die_after, off_after; /* UINT64_MAX: never */
	uint64_t jitter;               /* percent */
	bool never_ready, ignore_shutdown, busy, done;
	struct sim_chance fail_start, fail_resume, fail_suspend;
};

struct sim_settings {
	struct sim_behaviour behaviour;
	uint64_t seed;
	unsigned capabilities; /* outlive is not among them where persist is off */
	bool check_images, persist;
};

void sim_settings_init(struct sim_settings *settings);
/* One setting of the backend. -EINVAL names the key and what would be right. */
int sim_settings_set(
	struct sim_settings *settings, const char *key, const char *value, struct error *err);
/* The "sim." words of a command line, over what *behaviour holds. */
int sim_behaviour_from_cmdline(
	struct sim_behaviour *behaviour, const char *cmdline, struct error *err);

/* A guest as the file of <state_dir>/guests keeps it. All strings are owned. */
struct sim_record {
	struct instance_id id;
	char *identity, *service, *tap, *cmdline; /* tap: "" for none */
	bool paused, booted;
	bool saved;          /* on disk; paused too */
	uint64_t started_at; /* real time */
	uint64_t ran;        /* nanoseconds of running until `since` */
	uint64_t since;      /* real time from which it runs, where it is not paused */
};

void sim_record_finish(struct sim_record *record);

/* Calls `each` for every record of the file; it takes over the strings. A missing file has none.
 * -EINVAL names the line that is no record. */
int sim_records_load(const char *state_dir, void (*each)(void *ctx, struct sim_record *record),
	void *ctx, struct error *err);
/* Writes the file anew, whole or not at all: begin, put each, commit (which closes `file`). */
int sim_records_begin(const char *state_dir, FILE **file, struct error *err);
void sim_records_put(FILE *file, const struct sim_record *record);
int sim_records_commit(const char *state_dir, FILE *file, struct error *err);

#endif
