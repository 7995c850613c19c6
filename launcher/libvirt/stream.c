/* SPDX-License-Identifier: ISC */
#include "launcher/libvirt/stream.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAITING_MAX ((size_t)1 << 20)
#define READ_SIZE   16384
/* Others have their turn in the event thread too. */
#define READS_MAX   16

struct stream {
	struct stream_set *set;
	virStreamPtr handle;
	char name[64]; /* of the domain */
	/* the rest: under the set's lock */
	struct stream *next;
	unsigned references;
	bool open, told, ended;
	char *data;
	size_t length, size;
};

struct stream_set {
	void (*changed)(void *ctx, struct stream *stream);
	void *ctx;
	pthread_mutex_t lock;
	struct stream *first; /* those that are open */
};

struct stream_set *stream_set_create(void (*changed)(void *ctx, struct stream *stream), void *ctx)
{
	struct stream_set *set = calloc(1, sizeof(*set));
	if (!set)
		return NULL;
	set->changed = changed;
	set->ctx = ctx;
	pthread_mutex_init(&set->lock, NULL);
	return set;
}

void stream_set_destroy(struct stream_set *set)
{
	if (!set)
		return;
	pthread_mutex_destroy(&set->lock);
	free(set);
}

static void stream_release(void *ctx)
{
	struct stream *stream = ctx;
	pthread_mutex_lock(&stream->set->lock);
	bool last = --stream->references == 0;
	pthread_mutex_unlock(&stream->set->lock);
	if (!last)
		return;
	free(stream->data);
	free(stream);
}

/* Under the lock; makes room for `length` bytes. What does not fit costs the older half. */
static bool room_make(struct stream *stream, size_t length)
{
	if (stream->length + length > WAITING_MAX) {
		size_t kept = WAITING_MAX / 2 - length;
		memmove(stream->data, stream->data + stream->length - kept, kept);
		stream->length = kept;
	}
	size_t size = stream->size ? stream->size : READ_SIZE;
	while (size < stream->length + length)
		size *= 2;
	char *data = size == stream->size ? stream->data : realloc(stream->data, size);
	if (!data)
		return false;
	stream->data = data;
	stream->size = size;
	return true;
}

/* Adds bytes, or the end; and tells of it, where that is not known yet. */
static void stream_add(struct stream *stream, const char *data, size_t length, bool end)
{
	struct stream_set *set = stream->set;
	pthread_mutex_lock(&set->lock);
	if (length && room_make(stream, length)) {
		memcpy(stream->data + stream->length, data, length);
		stream->length += length;
	}
	stream->ended |= end;
	bool tell = !stream->told;
	stream->told = true;
	stream->references += tell;
	pthread_mutex_unlock(&set->lock);
	if (tell)
		set->changed(set->ctx, stream);
}

/* Takes it from the list; false where somebody else has done that, who then closes it. */
static bool stream_remove(struct stream *stream)
{
	struct stream_set *set = stream->set;
	pthread_mutex_lock(&set->lock);
	bool open = stream->open;
	struct stream **link = &set->first;
	while (open && *link != stream)
		link = &(*link)->next;
	if (open)
		*link = stream->next;
	stream->open = false;
	pthread_mutex_unlock(&set->lock);
	return open;
}

/* The caller has removed it from the list. */
static void stream_close(struct stream *stream)
{
	virStreamPtr handle = stream->handle;
	stream_add(stream, NULL, 0, true);
	virStreamEventRemoveCallback(handle); /* releases it, once the callback has returned */
	virStreamAbort(handle);
	virStreamFree(handle);
}

static void on_event(virStreamPtr handle, int events, void *ctx)
{
	struct stream *stream = ctx;
	char buffer[READ_SIZE];
	int length = 0;
	for (unsigned i = 0; i < READS_MAX; i++) {
		length = virStreamRecv(handle, buffer, sizeof(buffer));
		if (length <= 0)
			break;
		stream_add(stream, buffer, (size_t)length, false);
	}
	bool over = length == 0 || length == -1 ||
		    (length < 0 && events & (VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP));
	if (over && stream_remove(stream))
		stream_close(stream);
}

static int stream_watch(struct stream *stream)
{
	struct stream_set *set = stream->set;
	pthread_mutex_lock(&set->lock);
	stream->references = 2; /* the callback's, and ours until it is watched */
	stream->open = true;
	stream->next = set->first;
	set->first = stream;
	pthread_mutex_unlock(&set->lock);
	int events = VIR_STREAM_EVENT_READABLE | VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP;
	int r = virStreamEventAddCallback(stream->handle, events, on_event, stream, stream_release);
	if (r < 0 && stream_remove(stream)) {
		virStreamAbort(stream->handle);
		virStreamFree(stream->handle);
		stream_release(stream); /* the callback's */
	}
	stream_release(stream);
	return r;
}

int stream_open(struct stream_set *set, virDomainPtr domain)
{
	struct stream *stream = calloc(1, sizeof(*stream));
	if (!stream)
		return -1;
	stream->set = set;
	snprintf(stream->name, sizeof(stream->name), "%s", virDomainGetName(domain));
	stream->handle = virStreamNew(virDomainGetConnect(domain), VIR_STREAM_NONBLOCK);
	if (!stream->handle ||
		virDomainOpenConsole(domain, NULL, stream->handle, VIR_DOMAIN_CONSOLE_FORCE) < 0) {
		if (stream->handle)
			virStreamFree(stream->handle);
		free(stream);
		return -1;
	}
	return stream_watch(stream);
}

void stream_set_close(struct stream_set *set)
{
	for (;;) {
		pthread_mutex_lock(&set->lock);
		struct stream *stream = set->first;
		if (stream) {
			set->first = stream->next;
			stream->open = false;
		}
		pthread_mutex_unlock(&set->lock);
		if (!stream)
			return;
		stream_close(stream);
	}
}

char *stream_take(struct stream *stream, size_t *length, bool *ended)
{
	pthread_mutex_lock(&stream->set->lock);
	char *data = stream->data;
	*length = stream->length;
	*ended = stream->ended;
	stream->data = NULL;
	stream->length = stream->size = 0;
	stream->told = false;
	pthread_mutex_unlock(&stream->set->lock);
	stream_release(stream);
	return data;
}

const char *stream_domain(const struct stream *stream)
{
	return stream->name;
}
