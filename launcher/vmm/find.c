/* SPDX-License-Identifier: ISC */
#include "launcher/vmm/vmm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define ANSWER_MS 5000

void vmm_list_answered(struct vmm *vmm)
{
	if (vmm->asked > 0)
		vmm->asked--;
	if (vmm->asked > 0 || !vmm->listing)
		return;
	vmm->listing = false;
	uv_timer_stop(&vmm->list_timer);
	vmm_rest_announce(vmm);
	struct launcher_event event = {.type = LAUNCHER_LISTED, .error = ERROR_INIT};
	if (vmm->is_unable)
		error_set(&event.error, -ENOTSUP, "no guest can run here: %.400s", vmm->facts);
	else
		vmm_shells_fill(vmm, 0);
	vmm_emit(vmm, &event);
}

/* Those that have not answered are of no use to anybody; their ends count as answers. */
static void on_list_timer(uv_timer_t *timer)
{
	struct vmm *vmm = timer->data;
	if (vmm->asked == 0)
		vmm_list_answered(vmm);
	if (uv_is_active((uv_handle_t *)&vmm->probe))
		uv_process_kill(&vmm->probe, SIGKILL);
	for (struct vmm_guest *guest = vmm->guests; guest; guest = guest->next)
		if (guest->asked)
			vmm_guest_kill(guest);
}

/* "<identity>-<slot>-<generation>" and the ending, and nothing else. */
static bool read_name(
	const struct vmm *vmm, const char *name, const char *ending, struct instance_id *id)
{
	size_t length = strlen(vmm->identity);
	char again[64];
	if (strncmp(name, vmm->identity, length) != 0 ||
		sscanf(name + length, "-%u-%u", &id->slot, &id->generation) != 2)
		return false;
	snprintf(again, sizeof(again), "-%u-%u%s", id->slot, id->generation, ending);
	return strcmp(name + length, again) == 0;
}

static int ask(struct vmm *vmm, struct instance_id id, struct error *err)
{
	struct vmm_guest *guest = vmm_guest_new(vmm);
	if (!guest)
		return error_set(err, -ENOMEM, "out of memory");
	guest->id = id;
	struct sockaddr_un address;
	int r = vmm_socket_address(vmm, id, &address, NULL);
	if (r == 0)
		r = vmm_connect(guest, &address);
	if (r < 0) {
		vmm_guest_discard(guest);
		/* Nobody listens, or its process has just gone: the socket is what is left. */
		if (r == -ECONNREFUSED || r == -ESRCH)
			vmm_names_remove(vmm, id);
		return 0;
	}
	r = vmm_guest_watch(guest, err);
	if (r < 0)
		return r;
	vmm_crowd_found(guest);
	guest->asked = true;
	vmm->asked++;
	return vmm_guest_request(guest, CONTROL_ASK, 0, err);
}

/* "<identity>-<slot>-<generation>" */
static int find_rests(struct vmm *vmm, struct error *err)
{
	char folder[VMM_PATH];
	snprintf(folder, sizeof(folder), "%s/saved", vmm->state_dir);
	vmm_save_sweep(vmm, folder);
	CLEANUP(closedir) DIR *dir = opendir(folder);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		struct instance_id id;
		if (read_name(vmm, entry->d_name, "", &id) && !vmm_rest_new(vmm, id))
			return error_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

int vmm_list(struct launcher *launcher, struct error *err)
{
	struct vmm *vmm = (struct vmm *)launcher;
	CLEANUP(closedir) DIR *dir = opendir(vmm->run_dir);
	if (!dir)
		return error_set(err, -errno, "%s: %s", vmm->run_dir, strerror(errno));
	for (struct dirent *entry; (entry = readdir(dir));) {
		struct instance_id id;
		int r = read_name(vmm, entry->d_name, ".sock", &id) ? ask(vmm, id, err) : 0;
		if (r < 0)
			return r;
	}
	int r = find_rests(vmm, err);
	if (r < 0)
		return r;
	vmm_templates_find(vmm);
	vmm_shells_sweep(vmm, true);
	vmm_probe(vmm);
	vmm->listing = true;
	uv_timer_start(&vmm->list_timer, on_list_timer, vmm->asked ? ANSWER_MS : 0, 0);
	return 0;
}
