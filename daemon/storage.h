/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_STORAGE_H
#define DAEMON_STORAGE_H

#include <uv.h>

#include "base/error.h"
#include "db/store.h"

/* The one thread that talks to the store once the loop runs: SQLite waits for disks, the loop does
 * not. Jobs run in the order in which they were given. */
struct storage;

/* Runs on the storage thread. Returns 0 or a negative error with *err filled. */
typedef int (*storage_work_fn)(struct store *store, void *ctx, struct error *err);
/* Runs on the loop thread afterwards, in a later turn; `rc` is what the work returned. */
typedef void (*storage_done_fn)(void *ctx, int rc, const struct error *err);

/* Takes over the store, where it succeeds. */
int storage_create(uv_loop_t *loop, struct store *store, struct storage **out, struct error *err);
/* Finishes all jobs (blocking), calls their `done`, closes the store. Its handle is closed in a
 * later turn of the loop, which frees it. */
void storage_destroy(struct storage *storage);

/* -ENOMEM, or -EBUSY where too many jobs wait. */
int storage_run(struct storage *storage, storage_work_fn work, storage_done_fn done, void *ctx,
	struct error *err);

#endif
