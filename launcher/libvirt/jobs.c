/* SPDX-License-Identifier: ISC */
/* What the workers do: each a few blocking calls of libvirt. */
#include "launcher/libvirt/connection.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/libvirt/monitor.h"
#include "launcher/libvirt/saved.h"

#define SETTLE_TRIES   250
#define SETTLE_STEP_US 20000
#define BUSY_TRIES     100
#define BUSY_STEP_US   10000

CLEANUP_DEFINE(domain, virDomainPtr, virDomainFree)

void job_destroy(struct job *job)
{
	if (!job)
		return;
	free(job->xml);
	free(job->saved_path);
	free(job->list);
	free(job);
}

/* libvirt puts QEMU's whole command line before what QEMU said: cut it out. */
static const char *essence(const char *message)
{
	const char *status = strstr(message, ") unexpected exit status");
	return status ? status + 2 : message;
}

static void job_fail(virConnectPtr connection, struct job *job)
{
	const virError *last = virGetLastError();
	job->gone = last && last->code == VIR_ERR_NO_DOMAIN;
	error_set(&job->error, job->gone ? -ESRCH : -EIO, "libvirt: %s",
		last && last->message ? essence(last->message) : "unknown error");
	job->lost = virConnectIsAlive(connection) != 1;
}

static bool is_paused(virDomainPtr domain)
{
	int state = VIR_DOMAIN_NOSTATE, reason;
	return virDomainGetState(domain, &state, &reason, 0) == 0 && state == VIR_DOMAIN_PAUSED;
}

static bool is_busy(virDomainPtr domain)
{
	virDomainJobInfo info;
	return virDomainGetJobInfo(domain, &info) == 0 && info.type != VIR_DOMAIN_JOB_NONE;
}

/* A domain that libvirt still works on, for a client that is gone or after its own restart, may be
 * going to disk; what it will be is known when that is over. */
static bool settles(virDomainPtr domain)
{
	for (unsigned i = 0; is_busy(domain); i++) {
		if (i == SETTLE_TRIES)
			return false;
		usleep(SETTLE_STEP_US);
	}
	return true;
}

static bool is_active(virDomainPtr domain)
{
	return virDomainIsActive(domain) == 1;
}

/* false where the domain is none of ours, or went meanwhile. */
static bool domain_inspect(virDomainPtr domain, const char *prefix, struct listed_domain *out)
{
	const char *name = virDomainGetName(domain);
	if (!name || strncmp(name, prefix, strlen(prefix)) != 0)
		return false;
	CLEANUP(free)
	char *xml =
		virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, DOMAIN_METADATA_URI, 0);
	if (!xml || !domain_metadata_parse(xml, &out->facts))
		return false;
	out->busy = !settles(domain);
	out->paused = is_paused(domain);
	/* Its daemon was killed between making it and letting it go on. */
	if (out->paused && !out->busy && out->facts.booted && monitor_never_ran(domain))
		out->facts.booted = false;
	return is_active(domain);
}

static void job_list(virConnectPtr connection, const struct job_context *context, struct job *job)
{
	virDomainPtr *domains = NULL;
	int count = virConnectListAllDomains(connection, &domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
	if (count < 0) {
		job_fail(connection, job);
		return;
	}
	job->list = calloc((size_t)count + 1, sizeof(*job->list));
	if (!job->list)
		error_set(&job->error, -ENOMEM, "out of memory");
	for (int i = 0; i < count; i++) {
		if (job->list &&
			domain_inspect(domains[i], context->prefix, &job->list[job->count]))
			job->count++;
		virDomainFree(domains[i]);
	}
	free(domains);
	if (job->list && context->saved_folder)
		saved_list(connection, context, job);
}

/* Every child that is forked holds all descriptors until it runs its program: a tap that was just made
 * can be busy for that long. */
static virDomainPtr create(virConnectPtr connection, const char *xml, unsigned flags)
{
	virDomainPtr domain = virDomainCreateXML(connection, xml, flags);
	for (int tries = 1; tries < BUSY_TRIES && !domain; tries++) {
		const virError *last = virGetLastError();
		if (!last || last->code != VIR_ERR_SYSTEM_ERROR || last->int1 != EBUSY)
			break;
		usleep(BUSY_STEP_US);
		domain = virDomainCreateXML(connection, xml, flags);
	}
	return domain;
}

static virDomainPtr domain_create(virConnectPtr connection, const struct job *job, bool *paused)
{
	/* So that its console is there before it speaks. */
	*paused = job->paused || job->stream || job->unheard;
	virDomainPtr domain =
		create(connection, job->xml, *paused ? VIR_DOMAIN_START_PAUSED : VIR_DOMAIN_NONE);
	const virError *last = domain ? NULL : virGetLastError();
	if (!last || last->code != VIR_ERR_INVALID_ARG || job->paused || !*paused)
		return domain;
	*paused = false; /* this driver cannot */
	return create(connection, job->xml, VIR_DOMAIN_NONE);
}

/* A guest whose console cannot be had serves all the same. */
static void job_start(virConnectPtr connection, struct stream_set *streams, struct job *job)
{
	CLEANUP(domain) virDomainPtr domain = NULL;
	bool paused = false;
	if (job->again && (domain = virDomainLookupByName(connection, job->name)))
		paused = is_paused(domain);
	if (!domain)
		domain = domain_create(connection, job, &paused);
	if (!domain) {
		job_fail(connection, job);
		return;
	}
	if (job->stream)
		stream_open(streams, domain);
	if (job->unheard)
		monitor_console_await(domain, job->name);
	if (paused && !job->paused && virDomainResume(domain) < 0) {
		job_fail(connection, job);
		if (!job->lost)
			virDomainDestroy(domain);
	}
}

static int resume(virDomainPtr domain, const struct job *job)
{
	if (job->again && is_active(domain) && !is_paused(domain))
		return 0;
	if (job->unheard)
		monitor_console_await(domain, job->name);
	int r = virDomainResume(domain);
	/* libvirt itself lets a guest go on whose way to disk it found broken off. */
	if (r < 0 && virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID && is_active(domain) &&
		!is_paused(domain))
		r = 0;
	return r;
}

static int suspend(virDomainPtr domain, const struct job *job)
{
	return job->again && is_paused(domain) ? 0 : virDomainSuspend(domain);
}

static int shut_down(virDomainPtr domain, const struct job *job)
{
	(void)job;
	return virDomainShutdown(domain);
}

static int destroy(virDomainPtr domain, const struct job *job)
{
	(void)job;
	return virDomainDestroyFlags(domain, 0);
}

/* Writes down that the guest has run, for a daemon that finds it paused. */
static int mark(virDomainPtr domain, const struct job *job)
{
	(void)job;
	struct domain_facts facts;
	CLEANUP(free)
	char *xml =
		virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, DOMAIN_METADATA_URI, 0);
	if (!xml || !domain_metadata_parse(xml, &facts))
		return -1;
	facts.booted = true;
	CLEANUP(free) char *fresh = domain_metadata_print(&facts);
	return virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, fresh,
		DOMAIN_METADATA_PREFIX, DOMAIN_METADATA_URI, VIR_DOMAIN_AFFECT_LIVE);
}

void job_run(virConnectPtr connection, const struct job_context *context, struct job *job)
{
	static int (*const run[])(virDomainPtr domain, const struct job *job) = {
		[JOB_RESUME] = resume,
		[JOB_SUSPEND] = suspend,
		[JOB_SHUTDOWN] = shut_down,
		[JOB_DESTROY] = destroy,
		[JOB_MARK] = mark,
		[JOB_SAVE] = saved_make,
	};
	virResetLastError();
	if (job->type == JOB_LIST) {
		job_list(connection, context, job);
		return;
	}
	if (job->type == JOB_START) {
		job_start(connection, context->streams, job);
		return;
	}
	if (job->saved) {
		if (saved_job(connection, context->streams, job) < 0 && !job->error.code)
			job_fail(connection, job);
		return;
	}
	CLEANUP(domain) virDomainPtr domain = virDomainLookupByName(connection, job->name);
	if (domain && job->type == JOB_CONSOLE)
		stream_open(context->streams, domain);
	else if (!domain || run[job->type](domain, job) < 0)
		job_fail(connection, job);
}
