/* SPDX-License-Identifier: ISC */
#include "launcher/libvirt/connection.h"

#include <errno.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "launcher/libvirt/embed.h"
#include "launcher/libvirt/host.h"
#include "launcher/libvirt/reaper.h"
#include "launcher/libvirt/unfinished.h"

#define RETRY_FIRST          (100 * NS_PER_MS)
#define RETRY_MAX            (30 * NS_PER_S)
/* A remote side that says nothing for 4 s is gone. */
#define KEEPALIVE_INTERVAL_S 1
#define KEEPALIVE_COUNT      3

/* Between two tries to get memory, on a thread that can wait. */
#define MEMORY_RETRY_US 10000

struct queue {
	struct job *first, **end;
};

struct connection {
	struct connection_config config;
	pthread_t manager, events, *workers;
	unsigned worker_count;
	bool events_run;
	atomic_bool events_stop;
	struct stream_set *streams;

	pthread_mutex_t lock;  /* of all that follows */
	pthread_cond_t work;   /* for the workers */
	pthread_cond_t change; /* for the manager: lost, stopping */
	/* Ending a process takes 200 ms of waiting: at most half of the workers do that at a time. */
	struct queue urgent, patient;
	unsigned patient_running;
	bool stopping, lost;
	virConnectPtr open;
	struct message *messages, **messages_end;
};

/* ---- messages ---- */

static void post(struct connection *connection, const struct message *message)
{
	struct message *copy;
	while (!(copy = malloc(sizeof(*copy)))) /* a lost message would break a promise */
		usleep(MEMORY_RETRY_US);
	*copy = *message;
	copy->next = NULL;
	pthread_mutex_lock(&connection->lock);
	*connection->messages_end = copy;
	connection->messages_end = &copy->next;
	pthread_mutex_unlock(&connection->lock);
	connection->config.wake(connection->config.ctx);
}

void message_destroy(struct message *message)
{
	size_t length;
	bool ended;
	if (message->stream)
		free(stream_take(message->stream, &length, &ended));
	job_destroy(message->job);
	free(message);
}

struct message *connection_take(struct connection *connection)
{
	pthread_mutex_lock(&connection->lock);
	struct message *messages = connection->messages;
	connection->messages = NULL;
	connection->messages_end = &connection->messages;
	pthread_mutex_unlock(&connection->lock);
	return messages;
}

/* ---- workers ---- */

static void queue_add(struct queue *queue, struct job *job)
{
	job->next = NULL;
	*queue->end = job;
	queue->end = &job->next;
}

static struct job *queue_take(struct queue *queue)
{
	struct job *job = queue->first;
	if (job && !(queue->first = job->next))
		queue->end = &queue->first;
	return job;
}

static bool is_patient(const struct job *job)
{
	return job->type == JOB_DESTROY || job->type == JOB_MARK || job->type == JOB_SAVE;
}

void connection_submit(struct connection *connection, struct job *job)
{
	pthread_mutex_lock(&connection->lock);
	queue_add(is_patient(job) ? &connection->patient : &connection->urgent, job);
	pthread_cond_signal(&connection->work);
	pthread_mutex_unlock(&connection->lock);
}

/* The next job and the connection to run it on (NULL: none is open); NULL when it is time to
 * end. */
static struct job *job_take(struct connection *connection, virConnectPtr *open)
{
	struct job *job = NULL;
	unsigned patient_max = (connection->worker_count + 1) / 2;
	pthread_mutex_lock(&connection->lock);
	while (!connection->stopping) {
		job = queue_take(&connection->urgent);
		if (!job && connection->patient_running < patient_max &&
			(job = queue_take(&connection->patient)))
			connection->patient_running++;
		if (job)
			break;
		pthread_cond_wait(&connection->work, &connection->lock);
	}
	*open = job ? connection->open : NULL;
	if (*open)
		virConnectRef(*open);
	pthread_mutex_unlock(&connection->lock);
	return job;
}

static void connection_lost(struct connection *connection, virConnectPtr which)
{
	pthread_mutex_lock(&connection->lock);
	if (connection->open == which) {
		connection->lost = true;
		pthread_cond_signal(&connection->change);
	}
	pthread_mutex_unlock(&connection->lock);
}

static void job_done(struct connection *connection, struct job *job, virConnectPtr open)
{
	bool patient = is_patient(job);
	if (job->lost && open)
		connection_lost(connection, open);
	post(connection, &(struct message){.type = MESSAGE_JOB, .job = job});
	pthread_mutex_lock(&connection->lock);
	if (patient) {
		connection->patient_running--;
		pthread_cond_signal(&connection->work);
	}
	pthread_mutex_unlock(&connection->lock);
	if (open)
		virConnectClose(open); /* the reference of job_take */
}

static void *worker_main(void *ctx)
{
	struct connection *connection = ctx;
	const struct job_context context = {
		.identity = connection->config.identity,
		.prefix = connection->config.prefix,
		.saved_folder = connection->config.saved_folder,
		.streams = connection->streams,
	};
	virConnectPtr open;
	for (struct job *job; (job = job_take(connection, &open));) {
		if (open) {
			job_run(open, &context, job);
			if (connection->config.settings->root) /* where a SIGCHLD was not seen */
				reaper_run();
		} else {
			job->lost = true;
			error_set(&job->error, -ENOTCONN, "libvirt: not connected");
		}
		job_done(connection, job, open);
	}
	return NULL;
}

/* ---- libvirt's events ---- */

static bool is_ours(const struct connection *connection, const char *name)
{
	const char *prefix = connection->config.prefix;
	return name && strncmp(name, prefix, strlen(prefix)) == 0;
}

static int on_lifecycle(virConnectPtr open, virDomainPtr domain, int event, int detail, void *ctx)
{
	(void)open;
	struct connection *connection = ctx;
	const char *name = virDomainGetName(domain);
	struct message message = {.type = MESSAGE_LIFECYCLE, .event = event, .detail = detail};
	if (!is_ours(connection, name))
		return 0;
	snprintf(message.name, sizeof(message.name), "%s", name);
	post(connection, &message);
	return 0;
}

/* QEMU's own SHUTDOWN event alone tells a power-off from a triple fault. */
static void on_qemu_shutdown(virConnectPtr open, virDomainPtr domain, const char *event,
	long long seconds, unsigned int microseconds, const char *details, void *ctx)
{
	(void)open, (void)event, (void)seconds, (void)microseconds;
	struct connection *connection = ctx;
	const char *name = virDomainGetName(domain);
	struct message message = {.type = MESSAGE_RESET};
	if (!is_ours(connection, name) || !details || !strstr(details, "\"guest-reset\""))
		return;
	snprintf(message.name, sizeof(message.name), "%s", name);
	post(connection, &message);
}

static void on_output(void *ctx, struct stream *stream)
{
	post(ctx, &(struct message){.type = MESSAGE_OUTPUT, .stream = stream});
}

static void on_close(virConnectPtr open, int reason, void *ctx)
{
	(void)reason;
	connection_lost(ctx, open);
}

static void on_wake(int timer, void *ctx)
{
	(void)ctx;
	virEventRemoveTimeout(timer);
}

static void *events_main(void *ctx)
{
	struct connection *connection = ctx;
	while (!atomic_load(&connection->events_stop))
		virEventRunDefaultImpl();
	return NULL;
}

static void errors_are_returned(void *ctx, virErrorPtr error)
{
	(void)ctx, (void)error; /* libvirt would print them */
}

static void libvirt_prepare(void)
{
	virInitialize();
	virSetErrorFunc(NULL, errors_are_returned);
	virEventRegisterDefaultImpl();
}

/* ---- the manager ---- */

struct callbacks {
	int lifecycle, qemu;
};

static virConnectPtr connect_once(struct connection *connection, struct callbacks *callbacks)
{
	const struct libvirt_settings *settings = connection->config.settings;
	virConnectPtr open = virConnectOpen(settings->uri);
	if (!open)
		return NULL;
	callbacks->lifecycle =
		virConnectDomainEventRegisterAny(open, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
			VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), connection, NULL);
	if (callbacks->lifecycle < 0) {
		virConnectClose(open);
		return NULL;
	}
	callbacks->qemu = -1;
	if (settings->qemu)
		callbacks->qemu = virConnectDomainQemuMonitorEventRegister(
			open, NULL, "SHUTDOWN", on_qemu_shutdown, connection, NULL, 0);
	/* Drivers within our process have neither of these, and cannot go away either. */
	virConnectRegisterCloseCallback(open, on_close, connection, NULL);
	virConnectSetKeepAlive(open, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT);
	return open;
}

static void disconnect(
	struct connection *connection, virConnectPtr open, const struct callbacks *callbacks)
{
	stream_set_close(connection->streams);
	virConnectUnregisterCloseCallback(open, on_close);
	virConnectDomainEventDeregisterAny(open, callbacks->lifecycle);
	if (callbacks->qemu >= 0)
		virConnectDomainQemuMonitorEventDeregister(open, callbacks->qemu);
	virConnectClose(open);
}

static void post_connected(struct connection *connection, virConnectPtr open)
{
	struct message message = {.type = MESSAGE_CONNECTED};
	unsigned long library = 0, hypervisor = 0;
	virConnectGetLibVersion(open, &library);
	virConnectGetVersion(open, &hypervisor);
	const char *type = virConnectGetType(open);
	snprintf(message.text, sizeof(message.text), "libvirt %lu.%lu.%lu, %s %lu.%lu.%lu",
		library / 1000000, library / 1000 % 1000, library % 1000, type ? type : "?",
		hypervisor / 1000000, hypervisor / 1000 % 1000, hypervisor % 1000);
	post(connection, &message);
}

static void post_lost(struct connection *connection)
{
	struct message message = {.type = MESSAGE_LOST};
	error_set(&message.error, -ENOTCONN, "%s: the connection has ended; it is tried again",
		connection->config.settings->uri);
	post(connection, &message);
}

static void post_connect_failed(struct connection *connection)
{
	struct message message = {.type = MESSAGE_CONNECT_FAILED};
	const char *why = virGetLastErrorMessage();
	/* The embedded driver wants the user that it was built for, though it will not use it. */
	bool user = strstr(why, "Failed to parse user") || strstr(why, "Failed to parse group");
	error_set(&message.error, -ENOTCONN, "%s: %s%s", connection->config.settings->uri, why,
		user ? " (that system user and its group must exist)" : "");
	post(connection, &message);
}

/* Waits until `time` has gone by (0: for ever) or there is something to do; true when it is time
 * to end. */
static bool manager_wait(struct connection *connection, uint64_t time)
{
	uint64_t until = clock_real() + time;
	struct timespec limit = {(time_t)(until / NS_PER_S), (long)(until % NS_PER_S)};
	pthread_mutex_lock(&connection->lock);
	int r = 0;
	while (!connection->stopping && !connection->lost && r == 0)
		r = time ? pthread_cond_timedwait(&connection->change, &connection->lock, &limit)
			 : pthread_cond_wait(&connection->change, &connection->lock);
	bool stopping = connection->stopping;
	pthread_mutex_unlock(&connection->lock);
	return stopping;
}

static void connection_set(struct connection *connection, virConnectPtr open)
{
	pthread_mutex_lock(&connection->lock);
	connection->open = open;
	connection->lost = false;
	pthread_mutex_unlock(&connection->lock);
}

static void manager_connects(struct connection *connection)
{
	uint64_t retry = RETRY_FIRST;
	struct callbacks callbacks;
	for (bool stopping = false; !stopping;) {
		virConnectPtr open = connect_once(connection, &callbacks);
		if (!open) {
			post_connect_failed(connection);
			/* An embedded driver that failed to start stays failed in this process. */
			stopping = manager_wait(
				connection, connection->config.settings->root ? 0 : retry);
			retry = retry * 2 < RETRY_MAX ? retry * 2 : RETRY_MAX;
			continue;
		}
		retry = RETRY_FIRST;
		connection_set(connection, open);
		post_connected(connection, open);
		stopping = manager_wait(connection, 0);
		connection_set(connection, NULL);
		if (!stopping)
			post_lost(connection);
		disconnect(connection, open, &callbacks);
	}
}

static void workers_start(struct connection *connection)
{
	unsigned wanted = connection->config.settings->workers;
	connection->workers = calloc(wanted, sizeof(pthread_t));
	for (unsigned i = 0; connection->workers && i < wanted; i++)
		if (pthread_create(&connection->workers[connection->worker_count], NULL,
			    worker_main, connection) == 0)
			connection->worker_count++;
}

static void threads_stop(struct connection *connection)
{
	pthread_mutex_lock(&connection->lock);
	pthread_cond_broadcast(&connection->work);
	pthread_mutex_unlock(&connection->lock);
	for (unsigned i = 0; i < connection->worker_count; i++)
		pthread_join(connection->workers[i], NULL);
	if (!connection->events_run)
		return;
	atomic_store(&connection->events_stop, true);
	virEventAddTimeout(0, on_wake, NULL, NULL);
	pthread_join(connection->events, NULL);
}

static void *manager_main(void *ctx)
{
	struct connection *connection = ctx;
	const struct libvirt_settings *settings = connection->config.settings;
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct message failed = {.type = MESSAGE_CONNECT_FAILED};
	struct message host = {.type = MESSAGE_HOST_KNOWN};
	int r = settings->root ? embed_configure(settings->root, &failed.error) : 0;
	if (settings->root)
		unfinished_remove(settings->root, connection->config.identity);
	host.domain_type = host_inspect(settings, host.text, sizeof(host.text));
	post(connection, &host);
	pthread_once(&once, libvirt_prepare);
	connection->events_run =
		pthread_create(&connection->events, NULL, events_main, connection) == 0;
	workers_start(connection);
	if (r == 0 && (!connection->events_run || connection->worker_count == 0))
		r = error_set(&failed.error, -EAGAIN, "libvirt: no threads can be made");
	if (r < 0) {
		post(connection, &failed);
		manager_wait(connection, 0);
	} else {
		manager_connects(connection);
	}
	threads_stop(connection);
	post(connection, &(struct message){.type = MESSAGE_STOPPED});
	return NULL;
}

/* ---- from the loop thread ---- */

int connection_start(
	const struct connection_config *config, struct connection **out, struct error *err)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	if (!connection)
		return error_set(err, -ENOMEM, "out of memory");
	connection->streams = stream_set_create(on_output, connection);
	if (!connection->streams) {
		free(connection);
		return error_set(err, -ENOMEM, "out of memory");
	}
	connection->config = *config;
	connection->urgent.end = &connection->urgent.first;
	connection->patient.end = &connection->patient.first;
	connection->messages_end = &connection->messages;
	pthread_mutex_init(&connection->lock, NULL);
	pthread_cond_init(&connection->work, NULL);
	pthread_cond_init(&connection->change, NULL);
	*out = connection; /* before the first wake */
	int r = pthread_create(&connection->manager, NULL, manager_main, connection);
	if (r != 0) {
		*out = NULL;
		stream_set_destroy(connection->streams);
		free(connection);
		return error_set(err, -r, "libvirt: no thread can be made: %s", strerror(r));
	}
	return 0;
}

void connection_stop(struct connection *connection)
{
	pthread_mutex_lock(&connection->lock);
	connection->stopping = true;
	pthread_cond_broadcast(&connection->change);
	pthread_cond_broadcast(&connection->work);
	pthread_mutex_unlock(&connection->lock);
}

static void queue_drop(struct queue *queue)
{
	for (struct job *job; (job = queue_take(queue));)
		job_destroy(job);
}

void connection_join(struct connection *connection)
{
	pthread_join(connection->manager, NULL);
	queue_drop(&connection->urgent);
	queue_drop(&connection->patient);
	while (connection->messages) {
		struct message *message = connection->messages;
		connection->messages = message->next;
		message_destroy(message);
	}
	stream_set_destroy(connection->streams);
	pthread_mutex_destroy(&connection->lock);
	pthread_cond_destroy(&connection->work);
	pthread_cond_destroy(&connection->change);
	free(connection->workers);
	free(connection);
}
