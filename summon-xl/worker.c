/* SPDX-License-Identifier: ISC */
#include "summon-xl/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define HEAD_SIZE offsetof(struct xl_message, text)

static int open_all(struct worker *worker, struct error *err)
{
	xl_log_init(&worker->log);
	int rc = libxl_ctx_alloc(&worker->ctx, LIBXL_VERSION, 0, &worker->log.logger);
	if (rc)
		return xl_log_error(
			&worker->log, err, -ENODEV, "Xen cannot be reached (is this dom0?)", rc);
	worker->store = xs_open(0);
	if (!worker->store)
		return error_set(err, -errno, "xenstore cannot be reached: %s", strerror(errno));
	return 0;
}

/* Without Xen, that is the answer to each job. */
static void refuse(
	const struct worker *worker, const struct xl_message *job, const struct error *why)
{
	struct xl_message answer = {.type = job->type == XL_LIST ? XL_LISTED : XL_FAILED,
		.code = why->code,
		.slot = job->slot,
		.generation = job->generation};
	int size = snprintf(answer.text, sizeof(answer.text), "%s", why->message);
	send(worker->socket, &answer, HEAD_SIZE + (size_t)size, MSG_NOSIGNAL);
}

int worker_main(uint64_t identity, const char *saved, int socket)
{
	struct worker worker = {.identity = identity, .saved = saved, .socket = socket};
	struct error why = ERROR_INIT;
	struct xl_message job;
	ssize_t size;
	while ((size = recv(socket, &job, sizeof(job), 0)) >= (ssize_t)HEAD_SIZE) {
		if (!worker.store) /* with the first job: some workers never get one */
			open_all(&worker, &why);
		xl_log_clear(&worker.log);
		if (why.code)
			refuse(&worker, &job, &why);
		else
			job_run(&worker, &job, (size_t)size - HEAD_SIZE);
	}
	return 0;
}
