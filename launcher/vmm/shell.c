/* SPDX-License-Identifier: ISC */
#include "launcher/vmm/vmm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

#define AGAIN_MS 5000 /* after one could not be started */
#define NEXT_MS  2

void vmm_shell_remove_name(const struct vmm *vmm, uint32_t number)
{
	struct sockaddr_un address;
	if (vmm_shell_address(vmm, number, &address, NULL) == 0)
		unlink(address.sun_path);
}

static struct vmm_guest *prepare(struct vmm *vmm, struct error *err)
{
	struct vmm_guest *shell = vmm_guest_new(vmm);
	if (!shell) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	shell->is_shell = true;
	shell->number = vmm->shell_number++;
	if (vmm_spawn_prepare(shell, err) < 0) {
		vmm_guest_discard(shell);
		return NULL;
	}
	return shell;
}

static struct vmm_guest *create(struct vmm *vmm, uint64_t memory, struct error *err)
{
	struct vmm_guest *shell = vmm->spare ? STEAL_POINTER(vmm->spare) : prepare(vmm, err);
	if (!shell)
		return NULL;
	uint32_t number = shell->number;
	shell->memory = memory;
	if (vmm_guest_watch(shell, err) < 0) {
		vmm_shell_remove_name(vmm, number);
		return NULL;
	}
	vmm_spawn_queue(shell);
	return shell;
}

/* One that has to forget what it loaded takes longer, and somebody waits for what a policy wanted. */
static unsigned price(const struct vmm_guest *shell)
{
	return !shell->ahead ? 0 : shell->ahead->expected == 0 ? 1 : 2;
}

struct vmm_guest *vmm_shell_take(struct vmm *vmm, uint64_t memory, bool *ready, struct error *err)
{
	struct vmm_guest *best = NULL; /* of the cheapest the oldest, which is the furthest on */
	for (struct vmm_guest *shell = vmm->shells; shell; shell = shell->next)
		if (!shell->is_unfit && shell->memory >= memory &&
			(!best || price(shell) <= price(best)))
			best = shell;
	*ready = best;
	return best ? best : create(vmm, memory, err);
}

static uint64_t wanted(const struct vmm *vmm)
{
	return vmm->shells_expected > vmm->shells_least ? vmm->shells_expected : vmm->shells_least;
}

/* Those that are too small for what is asked for now make room for others; those that nobody wants
 * any more go. */
static unsigned count_fit(const struct vmm *vmm)
{
	unsigned count = 0;
	for (struct vmm_guest *shell = vmm->shells; shell; shell = shell->next) {
		bool too_small = shell->memory < vmm->shell_memory;
		if (!shell->is_unfit && (too_small || count >= wanted(vmm))) {
			shell->is_unfit = shell->is_surplus = true;
			vmm_guest_kill(shell);
		}
		count += !shell->is_unfit;
	}
	return count;
}

static void on_timer(uv_timer_t *timer)
{
	struct vmm *vmm = timer->data;
	unsigned count = count_fit(vmm);
	if (vmm->spare && count >= wanted(vmm))
		return;
	if (vmm->in_flight > 0) { /* those who wait come first */
		vmm_shells_fill(vmm, NEXT_MS);
		return;
	}
	if (!vmm->spare)
		vmm->spare = prepare(vmm, NULL);
	if (count >= wanted(vmm)) {
		if (!vmm->spare)
			vmm_shells_fill(vmm, AGAIN_MS);
		return;
	}
	struct vmm_guest *done = create(vmm, vmm->shell_memory, NULL);
	if (done)
		vmm_ahead_load(vmm, done);
	vmm_shells_fill(vmm, done ? NEXT_MS : AGAIN_MS);
}

void vmm_shells_fill(struct vmm *vmm, uint64_t after_ms)
{
	if (!vmm->closing && !uv_is_active((uv_handle_t *)&vmm->shell_timer))
		uv_timer_start(&vmm->shell_timer, on_timer, after_ms, 0);
}

/* Mostly they have ended with their daemon; not one that had just become a guest. */
static void end_shell(struct vmm *vmm, const struct sockaddr_un *address)
{
	struct vmm_guest *shell = vmm_guest_new(vmm);
	if (shell && vmm_connect(shell, address) == 0)
		vmm_guest_kill(shell);
	vmm_guest_discard(shell);
}

void vmm_shells_sweep(struct vmm *vmm, bool end)
{
	CLEANUP(closedir) DIR *dir = opendir(vmm->run_dir);
	char prefix[128];
	size_t length = (size_t)snprintf(prefix, sizeof(prefix), "%s-shell-", vmm->identity);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		struct sockaddr_un address = {.sun_family = AF_UNIX};
		if (length >= sizeof(prefix) || strncmp(entry->d_name, prefix, length) != 0)
			continue;
		if (end && (size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s",
				   vmm->run_dir, entry->d_name) < sizeof(address.sun_path))
			end_shell(vmm, &address);
		unlinkat(dirfd(dir), entry->d_name, 0);
	}
}
