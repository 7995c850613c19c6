/* SPDX-License-Identifier: ISC */
/* What the workers do: each a few blocking calls of libxl. */
#include <errno.h>
#include <inttypes.h>
#include <libxl_utils.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <xen/io/xenbus.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "summon-xl/console.h"
#include "summon-xl/found.h"
#include "summon-xl/guest_config.h"
#include "summon-xl/job.h"
#include "summon-xl/vif.h"
#include "summon-xl/work.h"

#define HEAD_SIZE offsetof(struct xl_message, text)

/* xenstore takes 4096 bytes with their path. */
#define RUMPRUN_CONFIG_MAX 3072

/* Until a guest that is back has its interfaces connected. */
#define STEP_US       1000
#define CONNECT_STEPS 5000

void job_answer(const struct worker *worker, struct job *job, enum xl_type type)
{
	job->answer.type = type;
	send(worker->socket, &job->answer, HEAD_SIZE + job->answer_size, MSG_NOSIGNAL);
}

/* ---- xenstore ---- */

static void domain_path(char path[96], uint32_t domid, const char *key)
{
	snprintf(path, 96, "/local/domain/%" PRIu32 "/%s", domid, key);
}

int job_domain_write(struct worker *worker, uint32_t domid, const char *key, const char *value,
	struct error *err)
{
	char path[96];
	domain_path(path, domid, key);
	return xs_write(worker->store, XBT_NULL, path, value, (unsigned)strlen(value))
		       ? 0
		       : error_set(err, -errno, "xenstore %s: %s", path, strerror(errno));
}

bool job_domain_read(struct worker *worker, uint32_t domid, const char *key, char *out, size_t size)
{
	char path[96];
	unsigned length = 0;
	domain_path(path, domid, key);
	CLEANUP(free) char *text = xs_read(worker->store, XBT_NULL, path, &length);
	if (!text || length >= size)
		return false;
	memcpy(out, text, length);
	out[length] = '\0';
	return true;
}

/* ---- start ---- */

/* Those interfaces that no script of the user's has set up. */
static int attach_nics(struct worker *worker, struct job *job, const libxl_domain_config *config,
	const char *device)
{
	int r = 0;
	for (int i = 0; r >= 0 && i < config->num_nics; i++) {
		const libxl_device_nic *nic = &config->nics[i];
		if (strcmp(nic->script, NIC_SCRIPT) == 0)
			r = vif_attach(worker->store, job->domid, (unsigned)i, i == 0 ? device : "",
				nic->bridge, &job->error);
	}
	return r;
}

/* rumprun (platform/xen/xen/_rumprun_config.c of its source) reads its configuration there. */
static int write_rumprun_config(
	struct worker *worker, const struct start_request *request, struct job *job)
{
	char text[RUMPRUN_CONFIG_MAX + 1];
	const char *path = request->rumprun_config;
	if (!path[0])
		return 0;
	CLEANUP(fclose) FILE *file = fopen(path, "re");
	size_t size = file ? fread(text, 1, sizeof(text), file) : 0;
	if (!file || ferror(file))
		return error_set(
			&job->error, -EINVAL, "rumprun_config %s: %s", path, strerror(errno));
	if (size > RUMPRUN_CONFIG_MAX || memchr(text, '\0', size))
		return error_set(&job->error, -EINVAL,
			"rumprun_config %s: is no text of at most %d bytes", path,
			RUMPRUN_CONFIG_MAX);
	text[size] = '\0';
	return job_domain_write(worker, job->domid, "rumprun/cfg", text, &job->error);
}

int job_furnish(struct worker *worker, struct job *job, const libxl_domain_config *config,
	const char *device, uint64_t started_at)
{
	char when[24];
	int r = attach_nics(worker, job, config, device);
	if (r == 0)
		r = console_find(worker->ctx, job->domid, job->answer.text,
			sizeof(job->answer.text), &job->error);
	if (r < 0)
		return r;
	job->answer_size = strlen(job->answer.text);
	snprintf(when, sizeof(when), "%" PRIu64, started_at);
	return job_domain_write(worker, job->domid, MARK_MADE, when, &job->error);
}

static void start(struct worker *worker, struct job *job)
{
	struct start_request request;
	libxl_domain_config config;
	if (start_request_read(job->request->text, job->text_size, &request, &job->error) < 0)
		return;
	int r = guest_config_make(
		worker->ctx, &request, worker->identity, job->id, &config, &job->error);
	if (r == 0) {
		int rc = libxl_domain_create_new(worker->ctx, &config, &job->domid, NULL, NULL);
		if (rc)
			xl_log_error(&worker->log, &job->error, -EIO, request.kernel, rc);
		else if (write_rumprun_config(worker, &request, job) < 0 ||
			 job_furnish(worker, job, &config, request.device, clock_real()) < 0)
			libxl_domain_destroy(worker->ctx, job->domid, NULL);
	}
	libxl_domain_config_dispose(&config);
	job->answer.code = (int32_t)job->domid;
}

/* ---- what is done to a domain that is there ---- */

static void resume(struct worker *worker, struct job *job)
{
	int rc = libxl_domain_unpause(worker->ctx, job->domid, NULL);
	if (rc)
		xl_log_error(&worker->log, &job->error, -EIO, "unpause", rc);
}

/* A guest whose memory came back connects its interfaces again, and is reached then. */
static void wait_connected(struct worker *worker, uint32_t domid)
{
	for (unsigned index = 0, steps = 0;; index++) {
		char path[96];
		snprintf(path, sizeof(path), "/local/domain/0/backend/vif/%" PRIu32 "/%u/state",
			domid, index);
		for (bool connected = false; !connected; usleep(STEP_US)) {
			unsigned length;
			CLEANUP(free) char *state = xs_read(worker->store, XBT_NULL, path, &length);
			if (!state || ++steps > CONNECT_STEPS)
				return;
			connected = atoi(state) == XenbusStateConnected;
		}
	}
}

static void revive(struct worker *worker, struct job *job)
{
	if (saved_remove(worker, job->id, &job->error) < 0)
		return;
	resume(worker, job);
	if (!job->error.code)
		wait_connected(worker, job->domid);
}

static void suspend(struct worker *worker, struct job *job)
{
	int rc = libxl_domain_pause(worker->ctx, job->domid, NULL);
	if (rc)
		xl_log_error(&worker->log, &job->error, -EIO, "pause", rc);
}

/* As libxl_domain_shutdown() does; but that waits a minute for the guest to acknowledge. */
static void shut_down(struct worker *worker, struct job *job)
{
	job_domain_write(worker, job->domid, "control/shutdown", "poweroff", &job->error);
}

static void destroy(struct worker *worker, struct job *job)
{
	libxl_dominfo info;
	if (job->request->flags & JOB_SETTLE)
		console_settle(worker->store, job->domid);
	if (saved_remove(worker, job->id, &job->error) < 0)
		return;
	int rc = libxl_domain_destroy(worker->ctx, job->domid, NULL);
	if (!rc)
		return;
	/* What counts is whether it is gone. */
	libxl_dominfo_init(&info);
	if (libxl_domain_info(worker->ctx, &info, job->domid) != ERROR_DOMAIN_NOTFOUND)
		xl_log_error(&worker->log, &job->error, -EIO, "destroy", rc);
	libxl_dominfo_dispose(&info);
}

static void forget(struct worker *worker, struct job *job)
{
	saved_remove(worker, job->id, &job->error);
}

/* ---- list ---- */

static bool owns(struct worker *worker, const libxl_dominfo *info, struct guest_id *id)
{
	char owner[LIBXL_UUID_FMTLEN + 1];
	libxl_uuid uuid;
	if (identity_owns(worker->identity, &info->uuid, id))
		return true;
	return job_domain_read(worker, info->domid, MARK_OWNER, owner, sizeof(owner)) &&
	       libxl_uuid_from_string(&uuid, owner) == 0 &&
	       identity_owns(worker->identity, &uuid, id);
}

/* Fills the answer, where the domain is ours and whole. */
static bool inspect(struct worker *worker, const libxl_dominfo *info, struct job *job)
{
	char started_at[24], service[SERVICE_MAX + 1], device[DEVICE_MAX + 1];
	char key[KEY_MAX + 1] = "", console[CONSOLE_MAX + 1] = "", ran[2];
	struct guest_id id;
	if (info->dying || !owns(worker, info, &id))
		return false;
	if (!job_domain_read(worker, info->domid, MARK_MADE, started_at, sizeof(started_at)) ||
		!job_domain_read(worker, info->domid, MARK_SERVICE, service, sizeof(service)) ||
		!job_domain_read(worker, info->domid, MARK_DEVICE, device, sizeof(device)) ||
		saved_exists(worker, id)) {
		/* Its maker was killed before it was finished, or before it was taken away. */
		libxl_domain_destroy(worker->ctx, info->domid, NULL);
		return false;
	}
	saved_recover(worker, info->domid);
	job_domain_read(worker, info->domid, MARK_READY_KEY, key, sizeof(key));
	/* Without its console it serves all the same. */
	console_find(worker->ctx, info->domid, console, sizeof(console), NULL);
	job->answer.code = (int32_t)info->domid;
	job->answer.slot = id.slot;
	job->answer.generation = id.generation;
	bool has_run =
		info->cpu_time || job_domain_read(worker, info->domid, MARK_RAN, ran, sizeof(ran));
	job->answer.flags = (info->paused ? XL_PAUSED : 0u) | (has_run ? XL_HAS_RUN : 0u);
	job->answer.started_at = strtoull(started_at, NULL, 10);
	const struct found_words words = {service, device, console, key};
	job->answer_size = (size_t)found_text(&words, job->answer.text, NULL);
	return true;
}

static void list(struct worker *worker, struct job *job)
{
	struct error trouble = ERROR_INIT;
	int count = 0;
	libxl_dominfo *all = libxl_list_domain(worker->ctx, &count);
	if (!all) {
		xl_log_error(&worker->log, &job->error, -EIO, "the list of domains", ERROR_FAIL);
		return;
	}
	for (int i = 0; i < count; i++)
		if (inspect(worker, &all[i], job))
			job_answer(worker, job, XL_FOUND);
	libxl_dominfo_list_free(all, count);
	saved_list(worker, job, &trouble);
	const libxl_version_info *version = libxl_get_version_info(worker->ctx);
	job->answer.code = 0;
	job->answer_size = !version
				   ? 0
				   : (size_t)snprintf(job->answer.text, sizeof(job->answer.text),
					     "Xen %d.%d%s%s%s", version->xen_version_major,
					     version->xen_version_minor, version->xen_version_extra,
					     trouble.code ? "; " : "", trouble.message);
}

void job_run(struct worker *worker, const struct xl_message *request, size_t text_size)
{
	static void (*const runs[])(struct worker * worker, struct job * job) = {
		[XL_LIST] = list,
		[XL_START] = start,
		[XL_RESUME] = resume,
		[XL_PAUSE] = suspend,
		[XL_SHUTDOWN] = shut_down,
		[XL_DESTROY] = destroy,
		[XL_SAVE] = job_save,
		[JOB_RESTORE] = job_restore,
		[JOB_REVIVE] = revive,
		[JOB_FORGET] = forget,
	};
	struct job job = {.request = request,
		.text_size = text_size,
		.id = {request->slot, request->generation},
		.domid = (uint32_t)request->code,
		.answer = {.slot = request->slot, .generation = request->generation}};
	bool is_list = request->type == XL_LIST;
	runs[request->type](worker, &job);
	if (job.error.code) {
		job.answer.code = job.error.code;
		job.answer_size = strlen(job.error.message);
		memcpy(job.answer.text, job.error.message, job.answer_size);
	}
	job_answer(worker, &job, is_list ? XL_LISTED : job.error.code ? XL_FAILED : XL_DONE);
}
