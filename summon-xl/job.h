/* SPDX-License-Identifier: ISC */
#ifndef SUMMON_XL_JOB_H
#define SUMMON_XL_JOB_H

#include <libxl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "summon-xl/identity.h"
#include "summon-xl/include/protocol.h"
#include "summon-xl/worker.h"

/* One job of a worker's: what was asked, and what is to be answered; work.h has which. */
struct job {
	const struct xl_message *request;
	size_t text_size;
	struct guest_id id;
	uint32_t domid;
	struct error error;
	struct xl_message answer;
	size_t answer_size; /* of its text */
};

/* jobs.c: sends an answer. */
void job_answer(const struct worker *worker, struct job *job, enum xl_type type);
/* A new domain's interfaces, the console that is the answer's text, and the mark that it is made.
 * `device` is the first interface's name. */
int job_furnish(struct worker *worker, struct job *job, const libxl_domain_config *config,
	const char *device, uint64_t started_at);
/* In the domain's folder of xenstore. Reading is false where there is no such key, or it is too long
 * to be ours. */
int job_domain_write(struct worker *worker, uint32_t domid, const char *key, const char *value,
	struct error *err);
bool job_domain_read(
	struct worker *worker, uint32_t domid, const char *key, char *out, size_t size);

/* saved.c: what is kept on disk. A guest has a file from the moment that it is whole until just
 * before it runs again; while the file is there it is what counts, and a domain of the guest's is of
 * no use. */
void job_save(struct worker *worker, struct job *job);
void job_restore(struct worker *worker, struct job *job);
bool saved_exists(const struct worker *worker, struct guest_id id);
/* 0 too where there was none. */
int saved_remove(const struct worker *worker, struct guest_id id, struct error *err);
/* Answers FOUND for each, and clears away what was not finished. `trouble` is of one that cannot be read. */
void saved_list(struct worker *worker, struct job *job, struct error *trouble);
/* What became of a domain while its summon-xl was killed at saving it: it runs on. */
void saved_recover(struct worker *worker, uint32_t domid);

#endif
