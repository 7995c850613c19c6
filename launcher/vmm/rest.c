/* SPDX-License-Identifier: ISC */
#include "launcher/vmm/vmm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

/*
 * Guests that rest on disk. One that is asked to (its `resting` goes on by a step each time):
 *
 *   KEEPING  its monitor writes it down, as soon as it waits, and has it pause
 *   COPYING  that is brought to its place, make_path()
 *   ENDING   its process ends, and is then a struct vmm_rest
 *
 * Where a step fails it runs on as it was. What is asked of it meanwhile waits in `queue`. The file is
 * removed once the guest runs again, so that at every moment there is a process, or a file, or both:
 * then the process is the guest.
 */

/* For a guest to come to rest: one that runs anyway, and one that runs for this only. One that does not
 * is left alone for a while, a longer one each time. */
#define KEEP_MS        5000
#define KEEP_PAUSED_MS 1000
#define AGAIN_MS       60000u
#define AGAIN_MOST_MS  3600000u

struct vmm_rest *vmm_rest_find(struct vmm *vmm, struct instance_id id)
{
	struct vmm_rest *rest = vmm->rests;
	while (rest && !instance_id_equal(rest->id, id))
		rest = rest->next;
	return rest;
}

static void make_path(const struct vmm *vmm, struct instance_id id, char path[VMM_PATH])
{
	snprintf(path, VMM_PATH, "%s/saved/%s-%" PRIu32 "-%" PRIu32, vmm->state_dir, vmm->identity,
		id.slot, id.generation);
}

static void remove_file(const struct vmm *vmm, struct instance_id id)
{
	char path[VMM_PATH];
	make_path(vmm, id, path);
	unlink(path);
}

static void emit(struct vmm *vmm, struct instance_id id, struct launcher_event event)
{
	event.id = id;
	vmm_emit(vmm, &event);
}

/* ---- the record of one that rests ---- */

static void handle_closed(uv_handle_t *handle)
{
	struct vmm_rest *rest = handle->data;
	struct vmm *vmm = rest->vmm;
	free(rest);
	vmm_handle_closed(vmm);
}

void vmm_rest_forget(struct vmm_rest *rest)
{
	struct vmm_rest **place = &rest->vmm->rests;
	while (*place != rest)
		place = &(*place)->next;
	*place = rest->next;
	if (rest->tap >= 0)
		close(rest->tap);
	uv_close((uv_handle_t *)&rest->timer, handle_closed);
}

struct vmm_rest *vmm_rest_new(struct vmm *vmm, struct instance_id id)
{
	struct vmm_rest *rest = calloc(1, sizeof(*rest));
	if (!rest)
		return NULL;
	rest->vmm = vmm;
	rest->id = id;
	rest->tap = -1;
	uv_timer_init(vmm->loop, &rest->timer);
	rest->timer.data = rest;
	vmm->open_handles++;
	rest->next = vmm->rests;
	vmm->rests = rest;
	return rest;
}

/* Where it cannot be now, it is tried again when it is needed. */
static void hold_tap(struct vmm_rest *rest, const char *name)
{
	if (name[0] && rest->tap < 0)
		vmm_tap_open(name, true, &rest->tap, NULL);
}

/* ---- to rest ---- */

static void replay(struct vmm *vmm, struct instance_id id, const struct vmm_queue *queue)
{
	for (unsigned i = 0; i < queue->count && !vmm->closing; i++) {
		struct error err = ERROR_INIT;
		if (vmm_do(vmm, id, queue->what[i], &err) < 0)
			emit(vmm, id,
				(struct launcher_event){
					.type = LAUNCHER_OPERATION_FAILED, .error = err});
	}
}

/* It runs on, or is paused as before. */
static void give_up(struct vmm_guest *guest, const struct error *err)
{
	struct vmm *vmm = guest->vmm;
	struct instance_id id = guest->id;
	const struct vmm_queue queue = guest->queue;
	uv_timer_stop(&guest->keep_timer);
	guest->save = NULL;
	guest->resting = VMM_NOT_RESTING;
	guest->queue.count = 0;
	emit(vmm, id, (struct launcher_event){.type = LAUNCHER_OPERATION_FAILED, .error = *err});
	replay(vmm, id, &queue);
}

static void go_back(struct vmm_guest *guest)
{
	vmm_guest_request(
		guest, guest->is_paused ? CONTROL_PAUSE : CONTROL_RESUME, VMM_UNASKED, NULL);
}

static unsigned keep_ms(const struct vmm_guest *guest)
{
	return guest->is_paused ? KEEP_PAUSED_MS : KEEP_MS;
}

static void leave_alone(struct vmm_guest *guest)
{
	unsigned wait = AGAIN_MS << guest->restless;
	guest->restless += wait < AGAIN_MOST_MS;
	guest->keep_again =
		uv_now(guest->vmm->loop) + (wait < AGAIN_MOST_MS ? wait : AGAIN_MOST_MS);
}

static void on_keep_timer(uv_timer_t *timer)
{
	struct vmm_guest *guest = timer->data;
	struct error err;
	error_set(
		&err, -EBUSY, "the guest did not come to rest within %u s", keep_ms(guest) / 1000);
	if (guest->is_paused)
		leave_alone(guest);
	vmm_save_drop(guest->save);
	go_back(guest);
	give_up(guest, &err);
}

/* Where the guest is a part of its monitor, it may have written the file itself: nothing of it counts
 * that we do not know to be true. */
static int check(const struct vmm_guest *guest, const char *path, struct error *err)
{
	struct snapshot_head head;
	struct control_boot booted;
	CLEANUP(close) int file = -1;
	int r = vmm_save_read(path, &head, &file, err);
	if (r < 0)
		return r;
	memcpy(&booted, head.boot, sizeof(booted));
	if (strcmp(snapshot_text(&head, 1), guest->tap) == 0 &&
		vmm_is_printable(snapshot_text(&head, 0)) &&
		(guest->memory == 0 || booted.memory <= guest->memory))
		return 0;
	return error_set(err, -EPROTO, "the guest cannot be kept: it says what is not true");
}

static void on_saved(struct vmm_save *save)
{
	struct error err;
	struct vmm_guest *guest = vmm_guest_find(save->vmm, save->id);
	if (!guest || guest->save != save)
		return;
	int r = save->result;
	if (r < 0)
		error_set(&err, r, "the guest cannot be kept: %s", strerror(-r));
	else
		r = check(guest, save->path, &err);
	if (r < 0) {
		unlink(save->path);
		go_back(guest);
		give_up(guest, &err);
		return;
	}
	guest->save = NULL;
	guest->resting = VMM_ENDING;
	vmm_guest_kill(guest);
}

void vmm_rest_kept(struct vmm_guest *guest, uint64_t flags, const struct error *err)
{
	if (guest->resting != VMM_KEEPING || flags != guest->keep_flags)
		return; /* it was called off */
	if (err->code < 0) {
		vmm_save_drop(guest->save);
		give_up(guest, err);
		return;
	}
	uv_timer_stop(&guest->keep_timer);
	guest->resting = VMM_COPYING;
	vmm_save_finish(guest->save);
}

int vmm_rest_begin(struct vmm_guest *guest, struct error *err)
{
	char path[VMM_PATH];
	uint64_t now = uv_now(guest->vmm->loop);
	if (guest->is_paused && now < guest->keep_again)
		return error_set(err, -EBUSY,
			"the guest did not come to rest the last time: it is left alone for %u s",
			(unsigned)((guest->keep_again - now) / 1000 + 1));
	make_path(guest->vmm, guest->id, path);
	struct vmm_save *save = vmm_save_new(guest->vmm, path, on_saved, err);
	if (!save)
		return err ? err->code : -EIO;
	save->id = guest->id;
	/* The upper half tells it from those that were called off. */
	guest->keep_flags = (uint64_t)++guest->keeps << 32 | CONTROL_KEEP_PAUSE;
	const struct control_message message = {.type = CONTROL_KEEP, .flags = guest->keep_flags};
	int r = vmm_send(guest->socket, &message, 0, &save->file, 1);
	if (r < 0 && r != -EPIPE && r != -ECONNRESET) {
		vmm_save_drop(save);
		return error_set(err, r, "the guest's monitor does not listen: %s", strerror(-r));
	}
	guest->save = save;
	guest->resting = VMM_KEEPING;
	uv_timer_start(&guest->keep_timer, on_keep_timer, keep_ms(guest), 0);
	return 0;
}

void vmm_rest_settle(struct vmm_guest *guest)
{
	struct vmm *vmm = guest->vmm;
	struct instance_id id = guest->id;
	const struct vmm_queue queue = guest->queue;
	struct vmm_rest *rest = vmm_rest_new(vmm, id);
	vmm_guest_forget(guest);
	if (rest)
		hold_tap(rest, guest->tap);
	else {
		remove_file(vmm, id);
		emit(vmm, id,
			(struct launcher_event){
				.type = LAUNCHER_EXITED, .exit = LAUNCHER_EXIT_CRASHED});
		return;
	}
	emit(vmm, id, (struct launcher_event){.type = LAUNCHER_SUSPENDED});
	replay(vmm, id, &queue);
}

/* ---- and back ---- */

int vmm_rest_resume(struct vmm_rest *rest, struct error *err)
{
	char path[VMM_PATH];
	struct snapshot_head head;
	struct vmm_order order;
	int file;
	make_path(rest->vmm, rest->id, path);
	int r = vmm_save_read(path, &head, &file, err);
	if (r < 0)
		return r;
	hold_tap(rest, snapshot_text(&head, 1));
	vmm_tap_open_up(rest->tap);
	vmm_order_again(&order, &head, file, steal_fd(&rest->tap));
	struct vmm_guest *guest = vmm_boot(rest->vmm, rest->id, &order, err);
	vmm_order_finish(&order);
	if (!guest)
		return err ? err->code : -EIO;
	guest->started = guest->is_restored = true;
	return 0;
}

void vmm_rest_resumed(struct vmm_guest *guest)
{
	struct vmm_rest *rest = vmm_rest_find(guest->vmm, guest->id);
	guest->is_restored = false;
	remove_file(guest->vmm, guest->id);
	if (rest)
		vmm_rest_forget(rest);
	emit(guest->vmm, guest->id, (struct launcher_event){.type = LAUNCHER_RESUMED});
}

void vmm_rest_remove(struct vmm *vmm, struct instance_id id)
{
	struct vmm_rest *rest = vmm_rest_find(vmm, id);
	remove_file(vmm, id);
	if (rest)
		vmm_rest_forget(rest);
}

static void on_stop(uv_timer_t *timer)
{
	struct vmm_rest *rest = timer->data;
	struct vmm *vmm = rest->vmm;
	struct instance_id id = rest->id;
	vmm_rest_forget(rest);
	emit(vmm, id,
		(struct launcher_event){.type = LAUNCHER_EXITED, .exit = LAUNCHER_EXIT_DESTROYED});
}

void vmm_rest_stop(struct vmm_rest *rest)
{
	remove_file(rest->vmm, rest->id);
	rest->is_stopping = true;
	uv_timer_start(&rest->timer, on_stop, 0, 0);
}

/* ---- those of an earlier life ---- */

void vmm_rest_announce(struct vmm *vmm)
{
	struct vmm_rest *next;
	for (struct vmm_rest *rest = vmm->rests; rest && !vmm->closing; rest = next) {
		char path[VMM_PATH];
		struct snapshot_head head;
		CLEANUP(close) int file = -1;
		next = rest->next;
		if (rest->is_stopping)
			continue;
		make_path(vmm, rest->id, path);
		if (vmm_guest_find(vmm, rest->id) || vmm_save_read(path, &head, &file, NULL) < 0) {
			vmm_rest_remove(vmm, rest->id);
			continue;
		}
		hold_tap(rest, snapshot_text(&head, 1));
		emit(vmm, rest->id,
			(struct launcher_event){.type = LAUNCHER_FOUND,
				.found = {
					.service = snapshot_text(&head, 0),
					.tap = snapshot_text(&head, 1),
					.paused = true,
					.booted = true,
					.on_disk = true,
					.started_at = head.started_at,
				}});
	}
}
