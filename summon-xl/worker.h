/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_XL_WORKER_H
#define SUMMON_XL_WORKER_H

#include <libxl.h>
#include <stddef.h>
#include <xenstore.h>

#include "summon-xl/include/protocol.h"
#include "summon-xl/log.h"

/* What a worker's process is made of. */
struct worker {
	uint64_t identity;
	const char *saved; /* the folder of guests on disk */
	int socket;
	libxl_ctx *ctx;
	struct xs_handle *store;
	struct xl_log log;
};

/* A worker's process from its first instruction: the status that it ends with. */
int worker_main(uint64_t identity, const char *saved, int socket);

/* jobs.c: does the job, and answers. */
void job_run(struct worker *worker, const struct xl_message *job, size_t text_size);

#endif
