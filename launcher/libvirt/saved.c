/* SPDX-License-Identifier: ISC */
#include "launcher/libvirt/saved.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/libvirt/monitor.h"

CLEANUP_DEFINE(domain, virDomainPtr, virDomainFree)

char *saved_path(const char *folder, const char *identity, struct instance_id id)
{
	char *path;
	if (asprintf(&path, "%s/%s-%u-%u", folder, identity, id.slot, id.generation) < 0)
		return NULL;
	return path;
}

int saved_make(virDomainPtr domain, const struct job *job)
{
	return virDomainSaveFlags(domain, job->saved_path, NULL, VIR_DOMAIN_SAVE_RUNNING);
}

static int restore(virConnectPtr connection, struct stream_set *streams, const struct job *job)
{
	bool first = job->stream || job->unheard; /* its console, then itself */
	unsigned how = first ? VIR_DOMAIN_SAVE_PAUSED : VIR_DOMAIN_SAVE_RUNNING;
	if (virDomainRestoreFlags(connection, job->saved_path, NULL, how) < 0)
		return -1;
	if (first) {
		CLEANUP(domain)
		virDomainPtr domain = virDomainLookupByName(connection, job->name);
		if (domain && job->stream)
			stream_open(streams, domain);
		else if (domain)
			monitor_console_await(domain, job->name);
		if (!domain || virDomainResume(domain) < 0)
			return -1;
	}
	unlink(job->saved_path);
	return 0;
}

int saved_job(virConnectPtr connection, struct stream_set *streams, struct job *job)
{
	switch (job->type) {
	case JOB_RESUME:
		return restore(connection, streams, job);
	case JOB_DESTROY:
		if (unlink(job->saved_path) < 0 && errno != ENOENT)
			return error_set(
				&job->error, -errno, "%s: %s", job->saved_path, strerror(errno));
		return 0;
	case JOB_CONSOLE:
		return 0;
	case JOB_SAVE:
		if (job->again)
			return 0;
		__attribute__((fallthrough));
	default:
		return error_set(&job->error, -EALREADY, "libvirt: the guest is on disk already");
	}
}

static const struct listed_domain *active_find(
	const struct job *job, const char *path, const struct job_context *context)
{
	for (size_t i = 0; i < job->count; i++) {
		CLEANUP(free)
		char *own =
			saved_path(context->saved_folder, context->identity, job->list[i].facts.id);
		if (!job->list[i].saved && own && strcmp(own, path) == 0)
			return &job->list[i];
	}
	return NULL;
}

/* false where the file means nothing. */
static bool file_inspect(virConnectPtr connection, const struct job_context *context,
	const char *path, struct listed_domain *out)
{
	CLEANUP(free) char *xml = virDomainSaveImageGetXMLDesc(connection, path, 0);
	if (!xml || !domain_xml_facts(xml, &out->facts))
		return false;
	CLEANUP(free)
	char *expected = saved_path(context->saved_folder, context->identity, out->facts.id);
	out->paused = out->saved = true;
	return expected && strcmp(expected, path) == 0;
}

static void file_add(virConnectPtr connection, const struct job_context *context, struct job *job,
	const char *name)
{
	char path[512];
	struct listed_domain found = {0};
	int length = snprintf(path, sizeof(path), "%s/%s", context->saved_folder, name);
	if (length >= (int)sizeof(path))
		return;
	const struct listed_domain *active = active_find(job, path, context);
	if (active || !file_inspect(connection, context, path, &found)) {
		if (virConnectIsAlive(connection) == 1 && !(active && active->busy))
			unlink(path);
		return;
	}
	struct listed_domain *list = realloc(job->list, (job->count + 1) * sizeof(*list));
	if (!list) {
		error_set(&job->error, -ENOMEM, "out of memory");
		return;
	}
	job->list = list;
	job->list[job->count++] = found;
}

void saved_list(virConnectPtr connection, const struct job_context *context, struct job *job)
{
	size_t length = strlen(context->identity);
	CLEANUP(closedir) DIR *dir = opendir(context->saved_folder);
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		if (strncmp(entry->d_name, context->identity, length) == 0 &&
			entry->d_name[length] == '-')
			file_add(connection, context, job, entry->d_name);
}
