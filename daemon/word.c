/* SPDX-License-Identifier: ISC */
#include "daemon/word.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/daemon.h"
#include "daemon/instance.h"

#define PATH_SIZE 4200

static void make_folder_path(const struct daemon *daemon, char path[PATH_SIZE])
{
	snprintf(path, PATH_SIZE, "%.4000s/busy", daemon->config->run_dir);
}

static void make_path(const struct service *service, char path[PATH_SIZE])
{
	const struct instance_id id = service->instance->id;
	snprintf(path, PATH_SIZE, "%.4000s/busy/%u-%u", service->daemon->config->run_dir, id.slot,
		id.generation);
}

void word_keep(const struct service *service, bool busy)
{
	char path[PATH_SIZE];
	make_path(service, path);
	if (!busy) {
		unlink(path);
		return;
	}
	if (symlink("busy", path) == 0 || errno != ENOENT)
		return;
	make_folder_path(service->daemon, path);
	mkdir(path, 0755);
	make_path(service, path);
	if (symlink("busy", path) < 0)
		log_line(&service->daemon->log, LOG_DEBUG,
			(struct log_about){.service = service->def.name},
			"that it is busy cannot be kept: %s: %s", path, strerror(errno));
}

bool word_is_busy(const struct service *service)
{
	char path[PATH_SIZE];
	struct stat about;
	make_path(service, path);
	return lstat(path, &about) == 0;
}

static bool is_known(const struct daemon *daemon, const char *name)
{
	struct instance_id id;
	if (sscanf(name, "%u-%u", &id.slot, &id.generation) != 2)
		return false;
	const struct service *service = service_by_id(&daemon->registry, id.slot);
	return service && service->instance && instance_id_equal(service->instance->id, id);
}

void word_sweep(const struct daemon *daemon)
{
	char path[PATH_SIZE];
	make_folder_path(daemon, path);
	CLEANUP(closedir) DIR *folder = opendir(path);
	for (struct dirent *entry; folder && (entry = readdir(folder));)
		if (entry->d_name[0] != '.' && !is_known(daemon, entry->d_name))
			unlinkat(dirfd(folder), entry->d_name, 0);
}
