/* SPDX-License-Identifier: ISC */
#include "launcher/vmm/vmm.h"

#include <errno.h>
#include <unistd.h>

/*
 * Monitors are started on libuv's threads: the call takes as long as the child needs to begin, and
 * the loop has others to answer. They begin in the order in which they were asked for, and only as
 * many at a time as the machine can carry on with: a hundred at once would all be late. What one is
 * to boot waits in its socket meanwhile. In flight is one until its guest exists, or until it runs,
 * where it is a shell.
 */
/* One for each CPU keeps all of them busy; one more begins while another waits for the disk. */
#define AT_ONCE_MORE 1

unsigned vmm_spawns_at_once(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	return AT_ONCE_MORE + (unsigned)(cpus > 0 ? cpus : 1);
}

static void spawn(uv_work_t *work)
{
	struct vmm_guest *guest = work->data;
	vmm_crowd_begin(guest);
	guest->spawn.process = vmm_spawn(guest, &guest->spawn.pid, &guest->spawn.error);
}

static void spawned(uv_work_t *work, int status)
{
	(void)status; /* never cancelled */
	struct vmm_guest *guest = work->data;
	struct vmm *vmm = guest->vmm;
	bool was_closing = vmm->closing; /* then the last guest takes it along */
	close(guest->spawn.listener);
	guest->spawn.listener = -1;
	vmm_guest_spawned(guest);
	if (!was_closing && !vmm->closing)
		vmm_spawn_later(vmm);
}

static struct vmm_guest *unqueue(struct vmm_guest **place)
{
	struct vmm_guest *guest = *place;
	*place = guest->spawn.next;
	guest->spawn.is_queued = false;
	return guest;
}

/* Its turn never comes. */
static void give_up(struct vmm_guest *guest)
{
	guest->spawn.process =
		error_set(&guest->spawn.error, -ECANCELED, "stopped before it had started");
	guest->open_handles++;
	spawned(&guest->spawn.work, 0);
}

static void begin(struct vmm_guest *guest)
{
	if (guest->vmm->in_flight > 0 || guest->vmm->spawns)
		vmm_crowd_join(guest);
	guest->spawn.is_in_flight = true;
	guest->vmm->in_flight++;
	guest->open_handles++;
	uv_queue_work(guest->vmm->loop, &guest->spawn.work, spawn, spawned);
}

static void on_timer(uv_timer_t *timer)
{
	struct vmm *vmm = timer->data;
	for (struct vmm_guest **place = &vmm->spawns; *place;) {
		if ((*place)->is_unwanted) {
			give_up(unqueue(place));
			return; /* which has asked for another turn */
		}
		place = &(*place)->spawn.next;
	}
	while (vmm->spawns && vmm->in_flight < vmm->in_flight_most)
		begin(unqueue(&vmm->spawns));
}

void vmm_spawn_later(struct vmm *vmm)
{
	uv_timer_start(&vmm->spawn_timer, on_timer, 0, 0);
}

void vmm_spawn_queue(struct vmm_guest *guest)
{
	struct vmm *vmm = guest->vmm;
	struct vmm_guest **place = &vmm->spawns;
	guest->spawn.work.data = guest;
	if (!vmm->spawns && vmm->in_flight < vmm->in_flight_most) {
		begin(guest);
		return;
	}
	while (*place)
		place = &(*place)->spawn.next;
	*place = guest;
	guest->spawn.is_queued = true;
}

void vmm_spawn_forget(struct vmm_guest *guest)
{
	struct vmm_guest **place = &guest->vmm->spawns;
	vmm_spawn_done(guest);
	if (!guest->spawn.is_queued)
		return;
	while (*place != guest)
		place = &(*place)->spawn.next;
	unqueue(place);
	close(guest->spawn.listener);
	guest->spawn.listener = -1;
}

void vmm_spawn_done(struct vmm_guest *guest)
{
	if (!guest->spawn.is_in_flight)
		return;
	guest->spawn.is_in_flight = false;
	guest->vmm->in_flight--;
	if (!guest->vmm->closing && guest->vmm->spawns)
		vmm_spawn_later(guest->vmm);
}
