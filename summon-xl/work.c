/* SPDX-License-Identifier: ISC */
#include "summon-xl/work.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "summon-xl/worker.h"

#define HEAD_SIZE offsetof(struct xl_message, text)

struct waiting_job {
	struct waiting_job *next;
	size_t size; /* of the whole */
	struct xl_message message;
};

static int start_worker(struct work *work, const struct work_options *options, struct error *err)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return error_set(err, -errno, "no socket: %s", strerror(errno));
	pid_t child = fork();
	if (child < 0) {
		int failure = -errno;
		close(ends[0]);
		close(ends[1]);
		return error_set(err, failure, "no worker: %s", strerror(-failure));
	}
	if (child == 0) {
		for (unsigned i = 0; i < work->count; i++)
			close(work->workers[i].socket);
		close(options->keep_out);
		close(ends[0]);
		_exit(worker_main(options->identity, options->saved, ends[1]));
	}
	close(ends[1]);
	work->workers[work->count++] = (struct worker_process){.socket = ends[0]};
	return 0;
}

int work_start(struct work *work, const struct work_options *options, struct error *err)
{
	int r = 0;
	*work = (struct work){0};
	for (unsigned i = 0; i < options->workers && i < WORKERS_MAX && r == 0; i++)
		r = start_worker(work, options, err);
	return r;
}

static bool is_quick(const struct xl_message *job)
{
	return job->type == XL_RESUME || job->type == XL_PAUSE || job->type == XL_SHUTDOWN;
}

/* The first worker is for what is quick, so that a prepared guest never waits for a create. */
static bool may_do(const struct work *work, unsigned worker, const struct xl_message *job)
{
	return worker > 0 || work->count == 1 || is_quick(job);
}

/* A worker with a job in the queue that it may do; false where there is none. */
static bool match(struct work *work, unsigned *worker, struct waiting_job ***place)
{
	for (*worker = 0; *worker < work->count; (*worker)++) {
		if (work->workers[*worker].busy)
			continue;
		for (*place = &work->queue; **place; *place = &(**place)->next)
			if (may_do(work, *worker, &(**place)->message))
				return true;
	}
	return false;
}

static void dispatch(struct work *work)
{
	struct waiting_job **place;
	unsigned worker;
	while (match(work, &worker, &place)) {
		struct waiting_job *job = *place;
		/* There is room for one; a worker that is dead is told of by work_take(). */
		send(work->workers[worker].socket, &job->message, job->size, MSG_NOSIGNAL);
		work->workers[worker].busy = true;
		*place = job->next;
		free(job);
	}
}

/* What is quick goes before what is not. */
static void enqueue(struct work *work, struct waiting_job *job)
{
	struct waiting_job **place = &work->queue;
	while (*place && (is_quick(&(*place)->message) || !is_quick(&job->message)))
		place = &(*place)->next;
	job->next = *place;
	*place = job;
}

bool work_submit(struct work *work, const struct xl_message *message, size_t text_size)
{
	size_t size = HEAD_SIZE + text_size;
	struct waiting_job *job = malloc(offsetof(struct waiting_job, message) + size);
	if (!job)
		return false;
	job->size = size;
	memcpy(&job->message, message, size);
	enqueue(work, job);
	work->under_way++;
	dispatch(work);
	return true;
}

int work_take(struct work *work, unsigned worker, struct xl_message *answer)
{
	ssize_t size = recv(work->workers[worker].socket, answer, sizeof(*answer), MSG_DONTWAIT);
	if (size < 0)
		return -errno;
	if (size < (ssize_t)HEAD_SIZE)
		return -EPIPE;
	if (answer->type != XL_FOUND) {
		work->workers[worker].busy = false;
		work->under_way--;
		dispatch(work);
	}
	return (int)(size - (ssize_t)HEAD_SIZE);
}

void work_finish(struct work *work)
{
	for (unsigned i = 0; i < work->count; i++)
		close(work->workers[i].socket);
	while (work->queue) {
		struct waiting_job *job = work->queue;
		work->queue = job->next;
		free(job);
	}
}
