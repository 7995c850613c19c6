/* SPDX-License-Identifier: ISC */
#include "launcher/vmm/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

/*
 * Shells that have loaded what the next start is likely to begin with: its image, or its template. What
 * is likely is what the last starts began with. A shell that has loaded something else serves as well,
 * but takes longer than one that has loaded nothing: so something has to be likely enough.
 */

/* Of the last VMM_RECENT starts, so many began with it for each shell that has it. */
#define LIKELY 2
/* A file that was changed so lately could change again, and its times would not tell. */
#define CALM_S 2

static bool is_same(const struct vmm_ahead *a, const struct vmm_ahead *b)
{
	return a->is_template == b->is_template && a->memory == b->memory &&
	       strcmp(a->recipe.key, b->recipe.key) == 0 && strcmp(a->path, b->path) == 0 &&
	       strcmp(a->recipe.words, b->recipe.words) == 0;
}

bool vmm_ahead_of(const struct vmm *vmm, const struct guest_spec *spec, struct vmm_ahead *out)
{
	struct stat about;
	out->memory = spec->memory;
	out->is_template = spec->from_template && vmm_recipe_read(spec, &out->recipe) == 0 &&
			   vmm_template_path(vmm, &out->recipe, out->path);
	if (out->is_template)
		return true;
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

void vmm_ahead_note(struct vmm *vmm, const struct vmm_ahead *ahead)
{
	vmm->recent[vmm->starts++ % VMM_RECENT] = *ahead;
}

/* ---- what is loaded ---- */

static unsigned count_starts(const struct vmm *vmm, const struct vmm_ahead *ahead)
{
	unsigned count = 0;
	for (unsigned i = 0; i < VMM_RECENT && i < vmm->starts; i++)
		count += is_same(&vmm->recent[i], ahead);
	return count;
}

static unsigned count_shells(const struct vmm *vmm, const struct vmm_ahead *ahead)
{
	unsigned count = 0;
	for (const struct vmm_guest *shell = vmm->shells; shell; shell = shell->next)
		count += shell->ahead && !shell->is_unfit && is_same(shell->ahead, ahead);
	return count;
}

static const struct vmm_ahead *choose(const struct vmm *vmm, uint64_t memory)
{
	const struct vmm_ahead *best = NULL;
	unsigned most = LIKELY - 1;
	for (unsigned i = 0; i < VMM_RECENT && i < vmm->starts; i++) {
		const struct vmm_ahead *ahead = &vmm->recent[i];
		unsigned each = count_starts(vmm, ahead) / (1 + count_shells(vmm, ahead));
		if (each > most && ahead->memory <= memory) {
			best = ahead;
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

void vmm_ahead_load(struct vmm *vmm, struct vmm_guest *shell)
{
	const struct vmm_ahead *ahead = choose(vmm, shell->memory);
	if (!ahead)
		return;
	CLEANUP(close)
	int file = ahead->is_template ? vmm_template_open(vmm, &ahead->recipe) : open_image(ahead);
	struct vmm_ahead *copy = file >= 0 ? malloc(sizeof(*copy)) : NULL;
	if (!copy)
		return;
	*copy = *ahead;
	if (send_load(shell, ahead, file) < 0)
		free(copy);
	else
		shell->ahead = copy;
}
