/* SPDX-License-Identifier: ISC */
#include "launcher/vmm/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

/*
 * Shells that have loaded what the next start is likely to begin with: its image, or its template. A
 * policy that wants shells has as many of them for its services, what started last first; the others
 * have what is likely by the last starts of all. A shell that has loaded something else serves as well,
 * but takes longer than one that has loaded nothing: so something has to be likely enough.
 */

/* Of the last 8 starts, so many began with it for each shell that has it. */
#define LIKELY     2
/* As many as there can be shells. */
#define REMEMBERED 64
/* A file that was changed so lately could change again, and its times would not tell. */
#define CALM_S     2

static bool is_same(const struct vmm_ahead *a, const struct vmm_ahead *b)
{
	return a->is_template == b->is_template && a->memory == b->memory &&
	       strcmp(a->recipe.key, b->recipe.key) == 0 && strcmp(a->path, b->path) == 0 &&
	       strcmp(a->recipe.words, b->recipe.words) == 0;
}

bool vmm_ahead_of(const struct vmm *vmm, const struct guest_spec *spec,
	const struct vmm_recipe *recipe, struct vmm_ahead *out)
{
	struct stat about;
	out->memory = spec->memory;
	out->expected = spec->expected;
	out->kin = spec->kin;
	snprintf(out->service, sizeof(out->service), "%s", spec->service);
	out->is_template = recipe && vmm_template_path(vmm, recipe, out->path);
	if (out->is_template) {
		out->recipe = *recipe;
		return true;
	}
	size_t length = strlen(spec->kernel);
	out->recipe.key[0] = out->recipe.words[0] = '\0';
	if (length >= sizeof(out->path) || stat(spec->kernel, &about) < 0)
		return false;
	memcpy(out->path, spec->kernel, length + 1);
	return vmm_key_add(out->recipe.key, &about) == 0;
}

bool vmm_ahead_any(const struct vmm *vmm)
{
	const struct vmm_guest *shell = vmm->shells;
	while (shell && !shell->is_loaded)
		shell = shell->next;
	return shell;
}

struct vmm_guest *vmm_ahead_find(const struct vmm *vmm, const struct vmm_ahead *ahead)
{
	struct vmm_guest *shell = vmm->shells;
	while (shell && (!shell->is_loaded || shell->is_unfit || !is_same(shell->ahead, ahead)))
		shell = shell->next;
	return shell;
}

/* ---- what starts began with ---- */

static struct vmm_begun **find_begun(struct vmm *vmm, const struct vmm_ahead *ahead)
{
	struct vmm_begun **place = &vmm->begun;
	while (*place && !is_same(&(*place)->with, ahead))
		place = &(*place)->next;
	return place;
}

/* What its service began with the last time. */
static struct vmm_begun **find_last(struct vmm *vmm, const struct vmm_ahead *ahead)
{
	struct vmm_begun **place = &vmm->begun;
	while (*place && strcmp((*place)->with.service, ahead->service) != 0)
		place = &(*place)->next;
	return place;
}

static struct vmm_begun *take_out(struct vmm_begun **place)
{
	struct vmm_begun *begun = *place;
	if (begun)
		*place = begun->next;
	return begun;
}

static void forget_beyond(struct vmm *vmm, unsigned most)
{
	struct vmm_begun **place = &vmm->begun;
	for (; *place && most > 0; most--)
		place = &(*place)->next;
	while (*place)
		free(take_out(place));
}

/* What is wanted for one service stays so when another begins with the same, for which nothing is. */
static bool is_of_another(const struct vmm_begun *begun, const struct vmm_ahead *ahead)
{
	return begun->with.expected > 0 && ahead->expected == 0 &&
	       strcmp(begun->with.service, ahead->service) != 0;
}

void vmm_ahead_note(struct vmm *vmm, const struct vmm_ahead *ahead)
{
	struct vmm_begun *begun = take_out(find_begun(vmm, ahead));
	free(take_out(find_last(vmm, ahead)));
	if (!begun)
		begun = calloc(1, sizeof(*begun));
	for (struct vmm_begun *each = vmm->begun; each; each = each->next)
		each->lately = (uint8_t)(each->lately << 1);
	if (!begun)
		return;
	if (!is_of_another(begun, ahead))
		begun->with = *ahead;
	begun->lately = (uint8_t)(begun->lately << 1 | 1);
	begun->next = vmm->begun;
	vmm->begun = begun;
	forget_beyond(vmm, REMEMBERED);
}

void vmm_ahead_finish(struct vmm *vmm)
{
	forget_beyond(vmm, 0);
}

/* ---- what is loaded ---- */

static bool is_for_kin(const struct vmm_guest *shell)
{
	return shell->ahead && !shell->is_unfit && shell->ahead->expected > 0;
}

static unsigned count_shells(const struct vmm *vmm, const struct vmm_ahead *ahead)
{
	unsigned count = 0;
	for (const struct vmm_guest *shell = vmm->shells; shell; shell = shell->next)
		count += shell->ahead && !shell->is_unfit && is_same(shell->ahead, ahead);
	return count;
}

static unsigned count_for_kin(const struct vmm *vmm, const void *kin)
{
	unsigned count = 0;
	for (const struct vmm_guest *shell = vmm->shells; shell; shell = shell->next)
		count += is_for_kin(shell) && (!kin || shell->ahead->kin == kin);
	return count;
}

/* What a policy wants: of what its services began with, what no shell has yet, or else what started
 * last. Policies that are gone want nothing: no more is loaded than is wanted now. */
static struct vmm_begun *find_wanted(const struct vmm *vmm, uint64_t memory)
{
	struct vmm_begun *best = NULL;
	if (count_for_kin(vmm, NULL) >= vmm->shells_expected)
		return NULL;
	for (struct vmm_begun *begun = vmm->begun; begun; begun = begun->next) {
		const struct vmm_ahead *with = &begun->with;
		if (with->memory > memory || count_for_kin(vmm, with->kin) >= with->expected)
			continue;
		if (count_shells(vmm, with) == 0)
			return begun;
		if (!best)
			best = begun;
	}
	return best;
}

static struct vmm_begun *find_likely(const struct vmm *vmm, uint64_t memory)
{
	struct vmm_begun *best = NULL;
	unsigned most = LIKELY - 1;
	for (struct vmm_begun *begun = vmm->begun; begun; begun = begun->next) {
		unsigned starts = (unsigned)__builtin_popcount(begun->lately);
		unsigned each = starts / (1 + count_shells(vmm, &begun->with));
		if (each > most && begun->with.memory <= memory) {
			best = begun;
			most = each;
		}
	}
	return best;
}

/* -1 where it is not what it was. */
static int open_image(const struct vmm_ahead *ahead)
{
	struct stat about;
	char key[VMM_KEY] = "";
	CLEANUP(close) int file = open(ahead->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (file < 0 || fstat(file, &about) < 0 || vmm_key_add(key, &about) < 0 ||
		strcmp(key, ahead->recipe.key) != 0 || about.st_ctime > time(NULL) - CALM_S)
		return -1;
	return steal_fd(&file);
}

static int send_load(const struct vmm_guest *shell, const struct vmm_ahead *ahead, int file)
{
	struct control_message message = {.type = CONTROL_LOAD};
	const struct control_boot head = {
		.memory = ahead->memory, .flags = ahead->is_template ? CONTROL_BOOT_KEPT : 0};
	const char *key = ahead->is_template ? ahead->recipe.key : "";
	size_t size = strlen(key) + 1;
	memcpy(message.text, &head, sizeof(head));
	memcpy(message.text + sizeof(head), key, size);
	return vmm_send(shell->socket, &message, sizeof(head) + size, &file, 1);
}

static int open_ahead(struct vmm *vmm, const struct vmm_ahead *ahead)
{
	return ahead->is_template ? vmm_template_open(vmm, &ahead->recipe) : open_image(ahead);
}

void vmm_ahead_load(struct vmm *vmm, struct vmm_guest *shell)
{
	struct vmm_begun *begun = find_wanted(vmm, shell->memory);
	bool is_wanted = begun;
	if (!begun)
		begun = find_likely(vmm, shell->memory);
	if (!begun)
		return;
	CLEANUP(close) int file = open_ahead(vmm, &begun->with);
	if (file < 0) { /* something else may serve the next one; a start brings it back */
		free(take_out(find_begun(vmm, &begun->with)));
		return;
	}
	struct vmm_ahead *copy = malloc(sizeof(*copy));
	if (!copy)
		return;
	*copy = begun->with;
	copy->expected = is_wanted ? copy->expected : 0;
	if (send_load(shell, copy, file) < 0)
		free(copy);
	else
		shell->ahead = copy;
}
