/* SPDX-License-Identifier: ISC */
#include "daemon/storage.h"

#include <errno.h>
#include <stdlib.h>

#include "db/history.h"

/* In the place of the storage thread: jobs run in a later turn of the loop, so that what happens, and
 * in which order, is the same each time. And nothing is written into a journal that nobody reads. */

struct job {
	struct job *next;
	storage_work_fn work;
	storage_done_fn done;
	void *ctx;
};

struct storage {
	struct store *store;
	struct job *first, **last;
	uv_idle_t idle; /* runs while there are jobs */
};

static void run_jobs(struct storage *storage)
{
	for (struct job *job; (job = storage->first);) {
		struct error err = ERROR_INIT;
		if (!(storage->first = job->next))
			storage->last = &storage->first;
		int rc = job->work(storage->store, job->ctx, &err);
		if (job->done)
			job->done(job->ctx, rc, &err);
		free(job);
	}
}

static void on_idle(uv_idle_t *idle)
{
	uv_idle_stop(idle);
	run_jobs(idle->data);
}

int storage_create(uv_loop_t *loop, struct store *store, struct storage **out, struct error *err)
{
	struct storage *storage = calloc(1, sizeof(*storage));
	if (!storage)
		return error_set(err, -ENOMEM, "out of memory");
	storage->store = store;
	storage->last = &storage->first;
	uv_idle_init(loop, &storage->idle);
	storage->idle.data = storage;
	*out = storage;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void storage_destroy(struct storage *storage)
{
	if (!storage)
		return;
	run_jobs(storage);
	store_close(storage->store);
	uv_close((uv_handle_t *)&storage->idle, on_closed);
}

int storage_run(struct storage *storage, storage_work_fn work, storage_done_fn done, void *ctx,
	struct error *err)
{
	struct job *job = malloc(sizeof(*job));
	if (!job)
		return error_set(err, -ENOMEM, "out of memory");
	*job = (struct job){NULL, work, done, ctx};
	*storage->last = job;
	storage->last = &job->next;
	uv_idle_start(&storage->idle, on_idle);
	return 0;
}

/* --- the journal --- */

int history_write(
	struct store *store, const struct history_entry *entries, size_t count, struct error *err)
{
	(void)store;
	(void)entries;
	(void)count;
	(void)err;
	return 0;
}

int history_trim(struct store *store, uint64_t summons, uint64_t transitions, struct error *err)
{
	(void)store;
	(void)summons;
	(void)transitions;
	(void)err;
	return 0;
}
