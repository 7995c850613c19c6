/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "daemon/control_internal.h"

/* Sites: files of ours that definitions use, and leave behind. */

#define FOLDER_MAX 4000

static const char *folder_of(const struct daemon *daemon, char folder[FOLDER_MAX])
{
	snprintf(folder, FOLDER_MAX, "%s/sites", daemon->config->state_dir);
	return folder;
}

/* A new file each time: the present one may be open in a guest's monitor. */
int control_name_site(
	const struct daemon *daemon, const char *name, char *site, size_t size, struct error *err)
{
	char folder[FOLDER_MAX];
	if ((size_t)snprintf(site, size, "%s/%s.%llx.tar", folder_of(daemon, folder), name,
		    (unsigned long long)clock_real()) >= size)
		return error_set(err, -ENAMETOOLONG, "state_dir is too long a path");
	return 0;
}

static int sync_path(const char *path, struct error *err)
{
	CLEANUP(close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return error_set(err, -errno, "cannot keep %s: %s", path, strerror(errno));
	return 0;
}

/* As durable as the row that is to name it. */
int control_keep_site(const char *upload, const char *site, struct error *err)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s", site);
	const char *folder = dirname(path);
	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		return error_set(err, -errno, "cannot make %s: %s", folder, strerror(errno));
	int rc = sync_path(upload, err);
	if (rc >= 0 && rename(upload, site) < 0)
		rc = error_set(
			err, -errno, "cannot keep the site as %s: %s", site, strerror(errno));
	return rc < 0 ? rc : sync_path(folder, err);
}

/* --- removing them --- */

static int discard_work(struct store *store, void *ctx, struct error *err)
{
	(void)store;
	(void)err;
	unlink(ctx);
	return 0;
}

static void discard_done(void *ctx, int rc, const struct error *err)
{
	(void)rc;
	(void)err;
	free(ctx);
}

static bool is_used(const struct registry *registry, const char *path, const struct service *but)
{
	for (const struct service *s = registry->by_name; s; s = s->hh.next)
		if (s->first != but && s->def.initrd && strcmp(s->def.initrd, path) == 0)
			return true;
	return false;
}

void control_discard_site(struct daemon *daemon, const char *path, const struct service *owner)
{
	char folder[FOLDER_MAX];
	size_t length = strlen(folder_of(daemon, folder));
	if (!path || strncmp(path, folder, length) != 0 || path[length] != '/' ||
		strchr(path + length + 1, '/') || is_used(&daemon->registry, path, owner))
		return;
	char *copy = strdup(path);
	if (copy && storage_run(daemon->storage, discard_work, discard_done, copy, NULL) < 0)
		free(copy);
}
