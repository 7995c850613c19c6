/* SPDX-License-Identifier: ISC */
#include "daemon/marks.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define PATH_SIZE 4200

static void make_path(const struct marks *marks, const char *name, char path[PATH_SIZE])
{
	snprintf(path, PATH_SIZE, "%.4000s/%.40s/%.60s", marks->parent, marks->folder, name);
}

static void make_folder(const struct marks *marks)
{
	char path[PATH_SIZE];
	snprintf(path, PATH_SIZE, "%.4000s/%.40s", marks->parent, marks->folder);
	mkdir(path, 0755);
}

static int replace(const struct marks *marks, const char *name, const char *path, const char *fact)
{
	char fresh_name[MARKS_NAME_SIZE + 4], fresh[PATH_SIZE];
	snprintf(fresh_name, sizeof(fresh_name), "%s.new", name);
	make_path(marks, fresh_name, fresh);
	int rc = symlink(fact, fresh);
	if (rc < 0 && errno == EEXIST && unlink(fresh) == 0) /* of a daemon that was killed here */
		rc = symlink(fact, fresh);
	if (rc == 0)
		rc = rename(fresh, path);
	return rc < 0 ? -errno : 0;
}

int marks_put(const struct marks *marks, const char *name, const char *fact)
{
	char path[PATH_SIZE];
	make_path(marks, name, path);
	int rc = symlink(fact, path);
	if (rc < 0 && errno == ENOENT) {
		make_folder(marks);
		rc = symlink(fact, path);
	}
	if (rc < 0 && errno == EEXIST)
		return replace(marks, name, path, fact);
	return rc < 0 ? -errno : 0;
}

bool marks_get(const struct marks *marks, const char *name, char *fact, size_t size)
{
	char path[PATH_SIZE];
	make_path(marks, name, path);
	ssize_t length = readlink(path, fact, size - 1);
	if (length >= 0)
		fact[length] = '\0';
	return length >= 0;
}

void marks_remove(const struct marks *marks, const char *name)
{
	char path[PATH_SIZE];
	make_path(marks, name, path);
	unlink(path);
}

void marks_sweep(const struct marks *marks, const struct daemon *daemon,
	bool (*is_known)(const struct daemon *daemon, const char *name))
{
	char path[PATH_SIZE];
	snprintf(path, PATH_SIZE, "%.4000s/%.40s", marks->parent, marks->folder);
	CLEANUP(closedir) DIR *folder = opendir(path);
	for (struct dirent *entry; folder && (entry = readdir(folder));)
		if (entry->d_name[0] != '.' && !is_known(daemon, entry->d_name))
			unlinkat(dirfd(folder), entry->d_name, 0);
}
