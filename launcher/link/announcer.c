/* SPDX-License-Identifier: ISC */
#include "launcher/link/announcer.h"

#include <stdlib.h>
#include <sys/queue.h>
#include <time.h>
#include <uthash.h>
#include <uv.h>

#include "base/units.h"

/* After a guest's announcement, the thread rests for so many times the CPU time of that. */
#define REST 9

struct announcement {
	struct ip_address address;
	struct mac_address mac;
	bool is_guest;
	TAILQ_ENTRY(announcement) link;
	UT_hash_handle hh;
};

TAILQ_HEAD(announcements, announcement);

struct announcer {
	announcer_fn say;
	void *ctx;
	uv_thread_t thread;
	uv_mutex_t mutex; /* guards the rest */
	uv_cond_t wanted;
	struct announcement *by_address;
	struct announcements hosts, guests;
	const struct announcement *said; /* by the thread, now */
	uint64_t rested_at;              /* monotonic: when a guest's may be said again */
	bool stopping;
};

static void say_it(struct announcer *announcer, const struct announcement *announcement)
{
	announcer->say(announcer->ctx, &announcement->address,
		announcement->is_guest ? &announcement->mac : NULL);
}

/* --- what waits --- */

static struct announcements *list_of(
	struct announcer *announcer, const struct announcement *announcement)
{
	return announcement->is_guest ? &announcer->guests : &announcer->hosts;
}

static struct announcement *find(struct announcer *announcer, const struct ip_address *address)
{
	struct announcement *found;
	HASH_FIND(hh, announcer->by_address, address, sizeof(*address), found);
	return found;
}

static void take(struct announcer *announcer, struct announcement *announcement)
{
	TAILQ_REMOVE(list_of(announcer, announcement), announcement, link);
	HASH_DEL(announcer->by_address, announcement);
}

static void drop(struct announcer *announcer, const struct ip_address *address)
{
	struct announcement *old = find(announcer, address);
	if (!old)
		return;
	take(announcer, old);
	free(old);
}

/* There are no more than addresses. One that is said anew keeps its turn. */
static bool add(struct announcer *announcer, const struct ip_address *address,
	const struct mac_address *mac)
{
	struct announcement *entry = find(announcer, address);
	if (entry && entry->is_guest == (mac != NULL)) {
		entry->mac = mac ? *mac : entry->mac;
		return true;
	}
	drop(announcer, address);
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return false;
	entry->address = *address;
	entry->is_guest = mac;
	entry->mac = mac ? *mac : (struct mac_address){{0}};
	HASH_ADD(hh, announcer->by_address, address, sizeof(entry->address), entry);
	TAILQ_INSERT_TAIL(list_of(announcer, entry), entry, link);
	uv_cond_signal(&announcer->wanted);
	return true;
}

/* --- the thread --- */

static struct announcement *next(struct announcer *announcer, uint64_t now)
{
	struct announcement *first = TAILQ_FIRST(&announcer->hosts);
	if (!first && now >= announcer->rested_at)
		first = TAILQ_FIRST(&announcer->guests);
	if (first)
		take(announcer, first);
	return first;
}

static void wait_for_more(struct announcer *announcer, uint64_t now)
{
	if (TAILQ_EMPTY(&announcer->guests))
		uv_cond_wait(&announcer->wanted, &announcer->mutex);
	else
		uv_cond_timedwait(
			&announcer->wanted, &announcer->mutex, announcer->rested_at - now);
}

static uint64_t own_cpu_time(void)
{
	struct timespec time;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

/* With the mutex held, which it lets go meanwhile. */
static void say_one(struct announcer *announcer, struct announcement *announcement)
{
	announcer->said = announcement;
	uv_mutex_unlock(&announcer->mutex);
	uint64_t begin = own_cpu_time();
	say_it(announcer, announcement);
	uint64_t took = own_cpu_time() - begin;
	uv_mutex_lock(&announcer->mutex);
	announcer->said = NULL;
	if (announcement->is_guest)
		announcer->rested_at = clock_monotonic() + REST * took;
	free(announcement);
}

static void run(void *arg)
{
	struct announcer *announcer = arg;
	uv_mutex_lock(&announcer->mutex);
	while (!announcer->stopping) {
		uint64_t now = clock_monotonic();
		struct announcement *announcement = next(announcer, now);
		if (announcement)
			say_one(announcer, announcement);
		else
			wait_for_more(announcer, now);
	}
	uv_mutex_unlock(&announcer->mutex);
}

/* --- the loop's side --- */

/* What the thread is saying of the address meanwhile may be heard after it: then it is said again. */
void announcer_say(struct announcer *announcer, const struct ip_address *address,
	const struct mac_address *mac)
{
	uv_mutex_lock(&announcer->mutex);
	drop(announcer, address);
	if (announcer->said && ip_address_equal(&announcer->said->address, address))
		add(announcer, address, mac);
	uv_mutex_unlock(&announcer->mutex);
	announcer->say(announcer->ctx, address, mac);
}

void announcer_put(struct announcer *announcer, const struct ip_address *address,
	const struct mac_address *mac)
{
	uv_mutex_lock(&announcer->mutex);
	bool added = add(announcer, address, mac);
	uv_mutex_unlock(&announcer->mutex);
	if (!added)
		announcer_say(announcer, address, mac);
}

/* --- its life --- */

static void release(struct announcer *announcer)
{
	uv_mutex_destroy(&announcer->mutex);
	uv_cond_destroy(&announcer->wanted);
	free(announcer);
}

int announcer_create(announcer_fn say, void *ctx, struct announcer **out, struct error *err)
{
	struct announcer *announcer = calloc(1, sizeof(*announcer));
	if (!announcer)
		return error_set(err, -ENOMEM, "no memory for the doorbell");
	announcer->say = say;
	announcer->ctx = ctx;
	TAILQ_INIT(&announcer->hosts);
	TAILQ_INIT(&announcer->guests);
	uv_mutex_init(&announcer->mutex);
	uv_cond_init(&announcer->wanted);
	int rc = uv_thread_create(&announcer->thread, run, announcer);
	if (rc < 0) {
		release(announcer);
		return error_set(err, rc, "no thread for the doorbell: %s", uv_strerror(rc));
	}
	*out = announcer;
	return 0;
}

void announcer_destroy(struct announcer *announcer)
{
	struct announcement *announcement, *following;
	if (!announcer)
		return;
	uv_mutex_lock(&announcer->mutex);
	announcer->stopping = true;
	uv_cond_signal(&announcer->wanted);
	uv_mutex_unlock(&announcer->mutex);
	uv_thread_join(&announcer->thread);
	HASH_ITER(hh, announcer->by_address, announcement, following)
	{
		if (!announcement->is_guest)
			say_it(announcer, announcement);
		take(announcer, announcement);
		free(announcement);
	}
	release(announcer);
}
