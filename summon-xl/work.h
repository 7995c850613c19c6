/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_XL_WORK_H
#define SUMMON_XL_WORK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "summon-xl/include/protocol.h"

/*
 * Processes that call libxl, because its create and destroy block their caller for a good part of a
 * second. They are not threads: libxl forks to destroy a domain, and what it does in that child takes
 * a lock of libxencall's, which another thread may have held at that instant: the child then waits for
 * ever (seen with 4.17).
 *
 * A worker does one job after the other and ends when we have. It holds our lock (main.c) too, so
 * that the next summon-xl waits for what is under way.
 *
 * A job is a message of the protocol, whose `code` is the domain's number; so are its answers:
 *   START   DONE, code: the domain's number, text: the path of its console; it is paused
 *   LIST    FOUND, code: likewise, text: service, device, console and ready key, each with its
 *           NUL; then LISTED
 *   RESTORE likewise as START, of one on disk
 *   others  DONE
 * or FAILED.
 */
enum {
	JOB_RESTORE = XL_SAVE + 1,
	JOB_REVIVE, /* what RESUME is after RESTORE */
	JOB_FORGET, /* DESTROY of one on disk */
};

#define WORKERS_MAX 16

/* DESTROY: of one that has stopped by itself; its last words are wanted. */
#define JOB_SETTLE (1ull << 32)

struct waiting_job;
struct work {
	struct worker_process {
		int socket;
		bool busy;
	} workers[WORKERS_MAX];
	unsigned count;
	unsigned under_way;
	struct waiting_job *queue;
};

/* To be called before this process has anything of libxl's. `keep_out` is a descriptor that is not
 * for workers. */
struct work_options {
	uint64_t identity;
	const char *saved; /* the folder of guests on disk */
	unsigned workers;
	int keep_out;
};
int work_start(struct work *work, const struct work_options *options, struct error *err);
/* False without memory. */
bool work_submit(struct work *work, const struct xl_message *job, size_t text_size);
/* What a worker has to say: the text's size; -EAGAIN, or another negative errno where it is dead. */
int work_take(struct work *work, unsigned worker, struct xl_message *answer);
void work_finish(struct work *work);

#endif
