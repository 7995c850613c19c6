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

#define KEY_SIZE   256
#define WORDS_SIZE 4096

struct vmm_template {
	struct vmm_template *next;
	uint64_t hash;
	uint64_t bytes, used; /* on the disk; the last time, as vmm->template_uses counts */
	uint32_t slot;        /* of who used it then; 0: in another life */
};

/* What a guest is made of. The words of the command line that are its own, and no other's, are left
 * out: it finds the new ones when it goes on (guest-kernel/include/summon_abi.h). */
struct recipe {
	char key[KEY_SIZE];
	char words[WORDS_SIZE];
	uint64_t hash;
};

static bool is_own_word(const char *word)
{
	static const char *const names[] = {"ip=", "gw=", "ip6=", "gw6=", "name="};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(word, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

static int copy_words(const char *line, char words[WORDS_SIZE])
{
	size_t used = 0;
	while (*(line += strspn(line, " "))) {
		size_t length = strcspn(line, " ");
		if (!is_own_word(line)) {
			if (used + length + 1 >= WORDS_SIZE)
				return -E2BIG;
			memcpy(words + used, line, length);
			used += length;
			words[used++] = ' ';
		}
		line += length;
	}
	words[used] = '\0';
	return 0;
}

static uint64_t add_text(uint64_t hash, const char *text)
{
	while (*text)
		hash = (hash ^ (uint8_t)*text++) * 0x100000001b3u; /* FNV-1a */
	return hash;
}

/* A file that was replaced or written to since is another one. */
static int add_file(char key[KEY_SIZE], const char *path)
{
	struct stat about = {0};
	size_t used = strlen(key);
	if (path && stat(path, &about) < 0)
		return -errno;
	int length = snprintf(key + used, KEY_SIZE - used, "%ju.%ju %jd %jd.%09ld %jd.%09ld, ",
		(uintmax_t)about.st_dev, (uintmax_t)about.st_ino, (intmax_t)about.st_size,
		(intmax_t)about.st_mtim.tv_sec, about.st_mtim.tv_nsec,
		(intmax_t)about.st_ctim.tv_sec, about.st_ctim.tv_nsec);
	return length > 0 && (size_t)length < KEY_SIZE - used ? 0 : -E2BIG;
}

static int read_recipe(const struct guest_spec *spec, struct recipe *out)
{
	char memory[32];
	out->key[0] = '\0';
	int r = add_file(out->key, spec->kernel);
	if (r == 0)
		r = add_file(out->key, spec->initrd);
	if (r == 0)
		r = copy_words(spec->cmdline ? spec->cmdline : "", out->words);
	snprintf(memory, sizeof(memory), "%" PRIu64, spec->memory);
	out->hash = add_text(add_text(add_text(0xcbf29ce484222325u, out->key), memory), out->words);
	return r;
}

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

/* An open file, or -1 where there is none that is right; a wrong one is deleted. */
static int open_template(struct vmm *vmm, const struct recipe *recipe)
{
	char path[VMM_PATH], words[WORDS_SIZE];
	struct snapshot_head head;
	int file;
	struct vmm_template *template = find(vmm, recipe->hash);
	if (!template)
		return -1;
	make_path(vmm, recipe->hash, path);
	if (vmm_save_read(path, &head, &file, NULL) == 0) {
		if (strcmp(snapshot_text(&head, 3), recipe->key) == 0 &&
			copy_words(snapshot_text(&head, 2), words) == 0 &&
			strcmp(words, recipe->words) == 0)
			return file;
		close(file);
	}
	delete (vmm, template);
	return -1;
}

bool vmm_has_template(struct launcher *launcher, const struct guest_spec *spec)
{
	struct recipe recipe;
	CLEANUP(close) int file = -1;
	if (read_recipe(spec, &recipe) == 0)
		file = open_template((struct vmm *)launcher, &recipe);
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
	enum launcher_start how, const struct recipe *recipe, struct error *err)
{
	char path[VMM_PATH];
	int r = vmm_order_new(order, spec, how, recipe->key, err);
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
	const struct guest_spec *spec, enum launcher_start how, struct error *err)
{
	struct recipe recipe;
	if (read_recipe(spec, &recipe) < 0)
		return vmm_order_new(order, spec, how, "", err);
	int file = open_template(vmm, &recipe);
	if (file < 0)
		return make_order(vmm, order, spec, how, &recipe, err);
	use(vmm, find(vmm, recipe.hash), slot);
	return vmm_order_kept(order, spec, how, recipe.key, file, err);
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
