/* SPDX-License-Identifier: ISC */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libxl_utils.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "summon-xl/found.h"
#include "summon-xl/guest_config.h"
#include "summon-xl/job.h"
#include "summon-xl/saved_file.h"

/* Xen, docs/misc/xenstore-paths.pandoc: guests write "1" */
#define SUSPENDS "control/feature-suspend"

#define STEP_US      1000
#define SETTLE_STEPS 5000
#define PATH_SIZE    4400

/* ---- files ---- */

static void saved_path(
	const struct worker *worker, struct guest_id id, const char *suffix, char path[PATH_SIZE])
{
	char name[SAVED_NAME];
	saved_file_name(worker->identity, id, name);
	snprintf(path, PATH_SIZE, "%s/%s%s", worker->saved, name, suffix);
}

bool saved_exists(const struct worker *worker, struct guest_id id)
{
	char path[PATH_SIZE];
	saved_path(worker, id, "", path);
	return access(path, F_OK) == 0;
}

int saved_remove(const struct worker *worker, struct guest_id id, struct error *err)
{
	char path[PATH_SIZE];
	saved_path(worker, id, "", path);
	return unlink(path) == 0 || errno == ENOENT
		       ? 0
		       : error_set(err, -errno, "%s: %s", path, strerror(errno));
}

/* Its configuration, for libxl_domain_config_dispose() in any case; the file is then at the stream. */
static int read_config(struct worker *worker, int fd, uint64_t *started_at,
	libxl_domain_config *config, struct error *err)
{
	CLEANUP(free) char *json = NULL;
	libxl_domain_config_init(config);
	int r = saved_file_read(fd, started_at, &json, err);
	if (r == 0 && libxl_domain_config_from_json(worker->ctx, config, json) != 0)
		r = error_set(err, -EINVAL, "its configuration is none of libxl's");
	return r < 0 ? error_prefix(err, r, "what was kept of the guest cannot be read") : 0;
}

/* A mark of the domain's in its configuration (guest_config.h); "" for none. */
static const char *mark_of(const libxl_domain_config *config, const char *mark)
{
	for (char **pair = config->c_info.xsdata; pair && pair[0] && pair[1]; pair += 2)
		if (strcmp(pair[0], mark) == 0)
			return pair[1];
	return "";
}

/* ---- save ---- */

static uint64_t started_at(struct worker *worker, uint32_t domid)
{
	char text[24];
	return job_domain_read(worker, domid, MARK_MADE, text, sizeof(text))
		       ? strtoull(text, NULL, 10)
		       : 0;
}

static int write_head(struct worker *worker, struct job *job, int fd)
{
	libxl_domain_config config;
	libxl_domain_config_init(&config);
	int rc = libxl_retrieve_domain_configuration(worker->ctx, job->domid, &config, NULL);
	CLEANUP(free)
	char *json = rc ? NULL : libxl_domain_config_to_json(worker->ctx, &config);
	libxl_domain_config_dispose(&config);
	if (!json)
		return xl_log_error(&worker->log, &job->error, -EIO, "its configuration", rc);
	int r = saved_file_write(fd, started_at(worker, job->domid), json, &job->error);
	return r < 0 ? error_prefix(&job->error, r, "its file") : 0;
}

/* Only Xen's way is there: the guest is asked to suspend itself. One that was not told of, or does
 * not listen, would keep libxl waiting for a minute. */
static int check_able(struct worker *worker, struct job *job)
{
	char word[8];
	if (job_domain_read(worker, job->domid, SUSPENDS, word, sizeof(word)) &&
		strcmp(word, "1") == 0)
		return 0;
	return error_set(&job->error, -ENOTSUP,
		"the guest has not said that it can be saved (" SUSPENDS ")");
}

static bool is_paused(struct worker *worker, uint32_t domid)
{
	libxl_dominfo info;
	libxl_dominfo_init(&info);
	bool paused = libxl_domain_info(worker->ctx, &info, domid) == 0 && info.paused;
	libxl_dominfo_dispose(&info);
	return paused;
}

/* One that rests in memory has to run for the moment in which it suspends itself. */
static int write_stream(struct worker *worker, struct job *job, int fd)
{
	bool paused = is_paused(worker, job->domid);
	job_domain_write(worker, job->domid, MARK_SAVING, "1", NULL);
	if (paused)
		libxl_domain_unpause(worker->ctx, job->domid, NULL);
	int rc = libxl_domain_suspend(worker->ctx, job->domid, fd, 0, NULL);
	if (rc == 0 && fdatasync(fd) == 0)
		return 0;
	if (rc)
		xl_log_error(&worker->log, &job->error, -EIO, "save", rc);
	else
		error_set(&job->error, -errno, "its file: %s", strerror(errno));
	saved_recover(worker, job->domid);
	if (paused)
		libxl_domain_pause(worker->ctx, job->domid, NULL);
	return -EIO;
}

void job_save(struct worker *worker, struct job *job)
{
	char path[PATH_SIZE], final[PATH_SIZE];
	if (check_able(worker, job) < 0)
		return;
	saved_path(worker, job->id, SAVED_NEW, path);
	saved_path(worker, job->id, "", final);
	CLEANUP(close) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0) {
		error_set(&job->error, -errno, "%s: %s", path, strerror(errno));
		return;
	}
	int r = write_head(worker, job, fd);
	if (r == 0)
		r = write_stream(worker, job, fd);
	if (r == 0 && rename(path, final) < 0) {
		r = error_set(&job->error, -errno, "%s: %s", path, strerror(errno));
		saved_recover(worker, job->domid);
	}
	if (r < 0)
		unlink(path);
	else
		libxl_domain_destroy(worker->ctx, job->domid, NULL);
}

/* ---- restore ---- */

static int create(struct worker *worker, struct job *job, libxl_domain_config *config, int fd)
{
	libxl_domain_restore_params params;
	libxl_domain_restore_params_init(&params);
	params.stream_version = 2;
	int rc = libxl_domain_create_restore(
		worker->ctx, config, &job->domid, fd, -1, &params, NULL, NULL);
	libxl_domain_restore_params_dispose(&params);
	return rc ? xl_log_error(&worker->log, &job->error, -EIO, "restore", rc) : 0;
}

/* It is paused, and the file there still: RESUME removes it. */
void job_restore(struct worker *worker, struct job *job)
{
	char path[PATH_SIZE];
	uint64_t started_at;
	libxl_domain_config config;
	saved_path(worker, job->id, "", path);
	CLEANUP(close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		error_set(&job->error, -errno, "%s: %s", path, strerror(errno));
		return;
	}
	int r = read_config(worker, fd, &started_at, &config, &job->error);
	if (r == 0 && (r = create(worker, job, &config, fd)) == 0) {
		/* It has said so, and Linux does not say it again. */
		r = job_domain_write(worker, job->domid, SUSPENDS, "1", &job->error);
		if (r == 0)
			r = job_domain_write(worker, job->domid, MARK_RAN, "1", &job->error);
		if (r == 0)
			r = job_furnish(
				worker, job, &config, mark_of(&config, MARK_DEVICE), started_at);
		if (r < 0)
			libxl_domain_destroy(worker->ctx, job->domid, NULL);
	}
	libxl_domain_config_dispose(&config);
	job->answer.code = (int32_t)job->domid;
}

/* ---- after a life of ours ---- */

static int found(struct worker *worker, struct job *job, const char *path, struct error *err)
{
	uint64_t started_at;
	libxl_domain_config config;
	CLEANUP(close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, -errno, "%s", strerror(errno));
	int r = read_config(worker, fd, &started_at, &config, err);
	if (r == 0) {
		const struct found_words words = {.service = mark_of(&config, MARK_SERVICE),
			.device = mark_of(&config, MARK_DEVICE),
			.console = "",
			.key = mark_of(&config, MARK_READY_KEY)};
		r = found_text(&words, job->answer.text, err);
	}
	libxl_domain_config_dispose(&config);
	if (r < 0)
		return r;
	job->answer_size = (size_t)r;
	job->answer.flags = XL_PAUSED | XL_HAS_RUN | XL_ON_DISK;
	job->answer.code = 0;
	job->answer.started_at = started_at;
	job_answer(worker, job, XL_FOUND);
	return 0;
}

/* What is wrong in it stays wrong, and nobody would ask for it again: its guest begins anew. What only
 * could not be read now is left where it is. */
static void list_one(
	struct worker *worker, struct job *job, struct guest_id id, struct error *trouble)
{
	char path[PATH_SIZE];
	struct error why = ERROR_INIT;
	saved_path(worker, id, "", path);
	job->answer.slot = id.slot;
	job->answer.generation = id.generation;
	int r = found(worker, job, path, &why);
	if (r == 0)
		return;
	bool removed = r == -EINVAL && unlink(path) == 0;
	error_set(trouble, r, "%s: %s%s", path, why.message, removed ? " (removed)" : "");
}

void saved_list(struct worker *worker, struct job *job, struct error *trouble)
{
	char path[PATH_SIZE];
	struct guest_id id;
	struct dirent *entry;
	CLEANUP(closedir) DIR *folder = opendir(worker->saved);
	while (folder && (entry = readdir(folder))) {
		enum saved_name which = saved_file_which(entry->d_name, worker->identity, &id);
		if (which == SAVED_WHOLE) {
			list_one(worker, job, id, trouble);
		} else if (which == SAVED_UNFINISHED) {
			saved_path(worker, id, SAVED_NEW, path);
			unlink(path);
		}
	}
	job->answer.slot = job->answer.generation = 0;
	job->answer.flags = job->answer.started_at = 0;
}

enum stand { RUNS, SUSPENDED, ELSE };

static enum stand stands(struct worker *worker, uint32_t domid)
{
	libxl_dominfo info;
	libxl_dominfo_init(&info);
	enum stand stand = ELSE;
	if (libxl_domain_info(worker->ctx, &info, domid) == 0) {
		if (!info.shutdown)
			stand = info.paused ? ELSE : RUNS;
		else if (info.shutdown_reason == LIBXL_SHUTDOWN_REASON_SUSPEND)
			stand = SUSPENDED;
	}
	libxl_dominfo_dispose(&info);
	return stand;
}

/* It may have been asked and not have heard it; or have heard, and be on its way. */
void saved_recover(struct worker *worker, uint32_t domid)
{
	char word[16];
	if (!job_domain_read(worker, domid, MARK_SAVING, word, sizeof(word)) || !word[0])
		return;
	bool unheard =
		job_domain_read(worker, domid, "control/shutdown", word, sizeof(word)) && word[0];
	if (unheard)
		job_domain_write(worker, domid, "control/shutdown", "", NULL);
	enum stand stand = stands(worker, domid);
	for (unsigned i = 0; i < SETTLE_STEPS && stand == RUNS && !unheard; i++) {
		usleep(STEP_US);
		stand = stands(worker, domid);
	}
	if (stand == SUSPENDED)
		libxl_domain_resume(worker->ctx, domid, 1, NULL);
	job_domain_write(worker, domid, MARK_SAVING, "", NULL);
}
