/* SPDX-License-Identifier: ISC */
#include "launcher/vmm/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/units.h"

/*
 * What guests were when they became ready, for others to begin from: <state_dir>/templates/<identity>-
 * <hash of what it is made of>. A service that makes another one gives up the last that it used,
 * unless somebody else has used it since; and when they take more room than they may, the one that
 * was used the longest ago goes first.
 */

struct vmm_template {
	struct vmm_template *next;
	uint64_t hash;
	uint64_t bytes, used; /* on the disk; the last time, as vmm->template_uses counts */
	uint32_t slot;        /* of who used it then; 0: in another life */
};

static void make_path(const struct vmm *vmm, uint64_t hash, char path[VMM_PATH])
{
	snprintf(
		path, VMM_PATH, "%s/templates/%s-%016" PRIx64, vmm->state_dir, vmm->identity, hash);
}

/* ---- the table of those that there are ---- */

static struct vmm_template *find(const struct vmm *vmm, uint64_t hash)
{
	struct vmm_template *template = vmm->templates;
	while (template && template->hash != hash)
		template = template->next;
	return template;
}

static void delete (struct vmm *vmm, struct vmm_template *template)
{
	char path[VMM_PATH];
	struct vmm_template **place = &vmm->templates;
	make_path(vmm, template->hash, path);
	unlink(path);
	while (*place != template)
		place = &(*place)->next;
	*place = template->next;
	free(template);
}

static struct vmm_template *add(struct vmm *vmm, uint64_t hash, uint64_t bytes, uint32_t slot)
{
	struct vmm_template *template = find(vmm, hash);
	if (!template) {
		template = calloc(1, sizeof(*template));
		if (!template)
			return NULL;
		template->hash = hash;
		template->next = vmm->templates;
		vmm->templates = template;
	}
	template->bytes = bytes;
	template->slot = slot;
	template->used = ++vmm->template_uses;
	return template;
}

static struct vmm_template *find_oldest(const struct vmm *vmm, uint64_t *bytes)
{
	struct vmm_template *oldest = vmm->templates;
	*bytes = 0;
	for (struct vmm_template *t = vmm->templates; t; t = t->next) {
		*bytes += t->bytes;
		if (t->used < oldest->used)
			oldest = t;
	}
	return oldest;
}

static void make_room(struct vmm *vmm)
{
	uint64_t bytes;
	struct vmm_template *oldest;
	while ((oldest = find_oldest(vmm, &bytes)) && bytes > vmm->templates_max)
		delete (vmm, oldest);
}

static void use(struct vmm *vmm, struct vmm_template *template, uint32_t slot)
{
	struct vmm_template *next;
	template->used = ++vmm->template_uses;
	template->slot = slot;
	for (struct vmm_template *t = vmm->templates; t; t = next) {
		next = t->next;
		if (t != template && t->slot == slot)
			delete (vmm, t);
	}
}

/* Those of earlier lives, in the order in which they were made. */
void vmm_templates_find(struct vmm *vmm)
{
	char folder[VMM_PATH];
	size_t length = strlen(vmm->identity);
	snprintf(folder, sizeof(folder), "%s/templates", vmm->state_dir);
	vmm_save_sweep(vmm, folder);
	CLEANUP(closedir) DIR *dir = opendir(folder);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		struct stat about;
		uint64_t hash;
		if (strncmp(entry->d_name, vmm->identity, length) != 0 ||
			sscanf(entry->d_name + length, "-%16" SCNx64, &hash) != 1 ||
			fstatat(dirfd(dir), entry->d_name, &about, 0) < 0)
			continue;
		struct vmm_template *t = add(vmm, hash, (uint64_t)about.st_blocks * 512, 0);
		if (t)
			t->used = 0;
	}
	make_room(vmm);
}

void vmm_templates_forget(struct vmm *vmm)
{
	while (vmm->templates) {
		struct vmm_template *next = vmm->templates->next;
		free(vmm->templates);
		vmm->templates = next;
	}
}

/* ---- to begin from one ---- */

bool vmm_template_path(const struct vmm *vmm, const struct vmm_recipe *recipe, char path[VMM_PATH])
{
	make_path(vmm, recipe->hash, path);
	return find(vmm, recipe->hash);
}

int vmm_template_open(struct vmm *vmm, const struct vmm_recipe *recipe)
{
	char path[VMM_PATH], words[VMM_WORDS];
	struct snapshot_head head;
	int file;
	struct vmm_template *template = find(vmm, recipe->hash);
	if (!template)
		return -1;
	make_path(vmm, recipe->hash, path);
	int r = vmm_save_read(path, &head, &file, NULL);
	if (r == 0) {
		if (strcmp(snapshot_text(&head, 3), recipe->key) == 0 &&
			vmm_copy_words(snapshot_text(&head, 2), words) == 0 &&
			strcmp(words, recipe->words) == 0)
			return file;
		close(file);
	}
	if (r == 0 || r == -EINVAL || r == -ENOENT) /* not where it cannot be opened for now */
		delete (vmm, template);
	return -1;
}

bool vmm_has_template(struct launcher *launcher, const struct guest_spec *spec)
{
	struct vmm_recipe recipe;
	CLEANUP(close) int file = -1;
	if (vmm_recipe_read(spec, &recipe) == 0)
		file = vmm_template_open((struct vmm *)launcher, &recipe);
	return file >= 0;
}

static void on_made(struct vmm_save *save)
{
	struct vmm *vmm = save->vmm;
	if (save->result < 0)
		snprintf(vmm->template_failure, sizeof(vmm->template_failure), "%s: %s", save->path,
			strerror(-save->result));
	else {
		struct vmm_template *template = add(vmm, save->hash, save->bytes, save->id.slot);
		vmm->template_failure[0] = '\0';
		if (template)
			use(vmm, template, save->id.slot);
		make_room(vmm);
	}
}

/* One at a time is made of the same; the others start without. */
static bool is_being_made(const struct vmm *vmm, uint64_t hash)
{
	for (const struct vmm_guest *guest = vmm->guests; guest; guest = guest->next)
		if (guest->making && guest->making->hash == hash)
			return true;
	return false;
}

static int make_order(struct vmm *vmm, struct vmm_order *order, const struct guest_spec *spec,
	enum launcher_start how, const struct vmm_recipe *recipe, struct error *err)
{
	char path[VMM_PATH];
	int r = vmm_order_new(order, spec, how, recipe->key, false, err);
	if (r < 0 || vmm->templates_max == 0 || is_being_made(vmm, recipe->hash))
		return r;
	make_path(vmm, recipe->hash, path);
	/* Without one, the guest starts all the same. */
	order->save = vmm_save_new(vmm, path, on_made, NULL);
	if (order->save)
		order->save->hash = recipe->hash;
	return 0;
}

int vmm_template_order(struct vmm *vmm, struct vmm_order *order, uint32_t slot,
	const struct guest_spec *spec, enum launcher_start how, const struct vmm_recipe *recipe,
	struct error *err)
{
	int file = vmm_template_open(vmm, recipe);
	if (file < 0)
		return make_order(vmm, order, spec, how, recipe, err);
	use(vmm, find(vmm, recipe->hash), slot);
	return vmm_order_kept(order, spec, how, recipe->key, file, err);
}

int vmm_template_order_loaded(struct vmm *vmm, struct vmm_order *order, uint32_t slot,
	const struct guest_spec *spec, enum launcher_start how, const struct vmm_recipe *recipe,
	struct error *err)
{
	use(vmm, find(vmm, recipe->hash), slot);
	return vmm_order_kept(order, spec, how, recipe->key, -1, err);
}

void vmm_template_kept(struct vmm_guest *guest, const struct error *err)
{
	struct vmm_save *save = STEAL_POINTER(guest->making);
	if (!save)
		return;
	if (err->code == 0) {
		vmm_save_finish(save);
		return;
	}
	snprintf(guest->vmm->template_failure, sizeof(guest->vmm->template_failure), "%s",
		err->message);
	vmm_save_drop(save);
}

void vmm_templates_describe(const struct vmm *vmm, char *text, size_t size)
{
	unsigned count = 0;
	uint64_t bytes;
	char room[SIZE_TEXT];
	find_oldest(vmm, &bytes);
	for (const struct vmm_template *t = vmm->templates; t; t = t->next)
		count++;
	if (count > 0)
		snprintf(text, size, "; %u templates, %s", count,
			size_print(bytes & ~1023ull, room));
	if (vmm->template_failure[0])
		snprintf(text + strlen(text), size - strlen(text), "; no template: %s",
			vmm->template_failure);
}
