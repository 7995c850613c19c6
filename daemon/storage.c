/* SPDX-License-Identifier: ISC */
#include "daemon/storage.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define JOBS_MAX 4096

struct job {
	struct job *next;
	storage_work_fn work;
	storage_done_fn done;
	void *ctx;
	int rc;
	struct error err;
};

struct queue {
	struct job *first, **last;
};

struct storage {
	struct store *store;
	uv_thread_t thread;
	uv_async_t async;
	uv_mutex_t mutex; /* guards the rest */
	uv_cond_t wanted;
	struct queue todo, finished;
	unsigned open; /* jobs given and not yet done */
	bool stopping;
};

static void queue_init(struct queue *queue)
{
	queue->first = NULL;
	queue->last = &queue->first;
}

static void queue_push(struct queue *queue, struct job *job)
{
	job->next = NULL;
	*queue->last = job;
	queue->last = &job->next;
}

static struct job *queue_pop(struct queue *queue)
{
	struct job *job = queue->first;
	if (job && !(queue->first = job->next))
		queue->last = &queue->first;
	return job;
}

static void run(void *arg)
{
	struct storage *storage = arg;
	uv_mutex_lock(&storage->mutex);
	for (;;) {
		struct job *job = queue_pop(&storage->todo);
		if (!job && storage->stopping)
			break;
		if (!job) {
			uv_cond_wait(&storage->wanted, &storage->mutex);
			continue;
		}
		uv_mutex_unlock(&storage->mutex);
		job->rc = job->work(storage->store, job->ctx, &job->err);
		uv_mutex_lock(&storage->mutex);
		queue_push(&storage->finished, job);
		uv_async_send(&storage->async);
	}
	uv_mutex_unlock(&storage->mutex);
}

static void finish_jobs(struct storage *storage)
{
	for (;;) {
		uv_mutex_lock(&storage->mutex);
		struct job *job = queue_pop(&storage->finished);
		if (job)
			storage->open--;
		uv_mutex_unlock(&storage->mutex);
		if (!job)
			return;
		if (job->done)
			job->done(job->ctx, job->rc, &job->err);
		free(job);
	}
}

static void on_async(uv_async_t *async)
{
	finish_jobs(async->data);
}

static void on_closed(uv_handle_t *handle)
{
	struct storage *storage = handle->data;
	uv_mutex_destroy(&storage->mutex);
	uv_cond_destroy(&storage->wanted);
	free(storage);
}

int storage_create(uv_loop_t *loop, struct store *store, struct storage **out, struct error *err)
{
	struct storage *storage = calloc(1, sizeof(*storage));
	if (!storage)
		return error_set(err, -ENOMEM, "out of memory");
	storage->store = store;
	queue_init(&storage->todo);
	queue_init(&storage->finished);
	uv_mutex_init(&storage->mutex);
	uv_cond_init(&storage->wanted);
	uv_async_init(loop, &storage->async, on_async);
	storage->async.data = storage;
	int rc = uv_thread_create(&storage->thread, run, storage);
	if (rc < 0) {
		uv_close((uv_handle_t *)&storage->async, on_closed);
		return error_set(err, rc, "no thread for the store: %s", uv_strerror(rc));
	}
	*out = storage;
	return 0;
}

void storage_destroy(struct storage *storage)
{
	if (!storage)
		return;
	uv_mutex_lock(&storage->mutex);
	storage->stopping = true;
	uv_cond_signal(&storage->wanted);
	uv_mutex_unlock(&storage->mutex);
	uv_thread_join(&storage->thread);
	finish_jobs(storage);
	store_close(storage->store);
	uv_close((uv_handle_t *)&storage->async, on_closed);
}

int storage_run(struct storage *storage, storage_work_fn work, storage_done_fn done, void *ctx,
	struct error *err)
{
	struct job *job = calloc(1, sizeof(*job));
	if (!job)
		return error_set(err, -ENOMEM, "out of memory");
	job->work = work;
	job->done = done;
	job->ctx = ctx;
	uv_mutex_lock(&storage->mutex);
	bool full = storage->open >= JOBS_MAX || storage->stopping;
	if (!full) {
		storage->open++;
		queue_push(&storage->todo, job);
		uv_cond_signal(&storage->wanted);
	}
	uv_mutex_unlock(&storage->mutex);
	if (!full)
		return 0;
	free(job);
	return error_set(err, -EBUSY, "the store has too much to write: try again");
}
