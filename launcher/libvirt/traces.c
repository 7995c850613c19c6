/* SPDX-License-Identifier: ISC */
#include "launcher/libvirt/traces.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/libvirt/saved.h"

static void log_remove(const struct virt *virt, const char *name)
{
	char path[512];
	if (virt->settings.root && (size_t)snprintf(path, sizeof(path), "%s/log/qemu/%s.log",
					   virt->settings.root, name) < sizeof(path))
		unlink(path);
}

void traces_remove(const struct instance *instance)
{
	const struct virt *virt = instance->virt;
	CLEANUP(free) char *console = instance_console_path(virt, instance->id);
	CLEANUP(free)
	char *saved = virt->saved_folder
			      ? saved_path(virt->saved_folder, virt->identity, instance->id)
			      : NULL;
	log_remove(virt, instance->name);
	if (console)
		unlink(console);
	if (saved)
		unlink(saved);
}

/* "<before><slot>-<generation><after>", of no guest that there is. */
static bool is_left(
	const struct virt *virt, const char *name, const char *before, const char *after)
{
	struct instance_id id;
	char again[64];
	size_t length = strlen(before);
	if (strncmp(name, before, length) != 0 ||
		sscanf(name + length, "%u-%u", &id.slot, &id.generation) != 2)
		return false;
	snprintf(again, sizeof(again), "%u-%u%s", id.slot, id.generation, after);
	return strcmp(name + length, again) == 0 && !instance_find(virt, id);
}

static void sweep(
	const struct virt *virt, const char *folder, const char *before, const char *after)
{
	CLEANUP(closedir) DIR *dir = opendir(folder);
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		if (is_left(virt, entry->d_name, before, after))
			unlinkat(dirfd(dir), entry->d_name, 0);
}

void traces_sweep(const struct virt *virt)
{
	/* Of the embedded driver: a daemon that is killed while a domain is removed leaves its pid file. */
	static const struct {
		const char *folder, *suffix;
	} driver[] = {{"log/qemu", ".log"}, {"run/qemu", ".pid"}};
	char folder[512], before[16];
	snprintf(before, sizeof(before), "%.8s-", virt->identity);
	if ((size_t)snprintf(folder, sizeof(folder), "%s/console", virt->state_dir) <
		sizeof(folder))
		sweep(virt, folder, before, "");
	for (size_t i = 0; virt->settings.root && i < sizeof(driver) / sizeof(driver[0]); i++)
		if ((size_t)snprintf(folder, sizeof(folder), "%s/%s", virt->settings.root,
			    driver[i].folder) < sizeof(folder))
			sweep(virt, folder, virt->prefix, driver[i].suffix);
}
