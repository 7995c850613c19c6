/* SPDX-License-Identifier: ISC */
#include "daemon/leftovers.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/http.h"

/* The last component of a path that a service uses: state_dir may be spelt in another way now. */
struct used {
	UT_hash_handle hh;
	char name[];
};

static int note_used(void *ctx, const struct store_service *service)
{
	struct used **all = ctx, *used;
	const char *slash = service->initrd ? strrchr(service->initrd, '/') : NULL;
	if (!slash)
		return 0;
	HASH_FIND_STR(*all, slash + 1, used);
	if (used)
		return 0;
	used = calloc(1, sizeof(*used) + strlen(slash));
	if (!used)
		return -ENOMEM;
	strcpy(used->name, slash + 1);
	HASH_ADD_STR(*all, name, used);
	return 0;
}

static bool is_upload(const char *name, const struct used *all)
{
	(void)all;
	return strncmp(name, HTTP_UPLOAD_PREFIX, strlen(HTTP_UPLOAD_PREFIX)) == 0;
}

static bool is_unused_site(const char *name, const struct used *all)
{
	const struct used *used;
	size_t length = strlen(name);
	HASH_FIND_STR(all, name, used);
	return !used && length > 4 && strcmp(name + length - 4, ".tar") == 0;
}

static void sweep(struct daemon *daemon, const char *path, const struct used *all,
	bool (*is_left)(const char *name, const struct used *all))
{
	DIR *folder = opendir(path);
	const struct dirent *entry;
	while (folder && (entry = readdir(folder))) {
		if (!is_left(entry->d_name, all))
			continue;
		if (unlinkat(dirfd(folder), entry->d_name, 0) < 0)
			log_line(&daemon->log, LOG_WARNING, LOG_ABOUT_NOTHING,
				"%s/%s was left behind and cannot be removed: %s", path,
				entry->d_name, strerror(errno));
		else
			log_line(&daemon->log, LOG_INFO, LOG_ABOUT_NOTHING,
				"removed %s/%s, which was left behind", path, entry->d_name);
	}
	if (folder)
		closedir(folder);
}

void leftovers_remove(struct daemon *daemon, struct store *store)
{
	struct used *all = NULL, *used, *next;
	char sites[4096];
	sweep(daemon, daemon->config->state_dir, all, is_upload);
	snprintf(sites, sizeof(sites), "%s/sites", daemon->config->state_dir);
	/* Where not every service could be read, each site may be somebody's. */
	if (store_each_service(store, note_used, &all, NULL) >= 0)
		sweep(daemon, sites, all, is_unused_site);
	HASH_ITER(hh, all, used, next)
	{
		HASH_DEL(all, used);
		free(used);
	}
}
