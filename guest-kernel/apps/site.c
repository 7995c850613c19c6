/* SPDX-License-Identifier: ISC */
#include "guest-kernel/apps/site.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest-kernel/apps/tar.h"

#define INDEX "index.html"

static bool make_room(struct site *site)
{
	if (site->count < site->room)
		return true;
	size_t room = site->room ? site->room * 2 : 16;
	struct site_file *files = realloc(site->files, room * sizeof(*files));
	if (!files)
		return false;
	site->files = files;
	site->room = room;
	return true;
}

static bool add_file(struct site *site, const struct tar_entry *entry)
{
	size_t size = strlen(entry->name) + 1;
	char *name = make_room(site) ? malloc(size) : NULL;
	if (!name)
		return false;
	memcpy(name, entry->name, size);
	site->files[site->count++] =
		(struct site_file){name, entry->data, entry->size, entry->mtime};
	return true;
}

/* By name; of one name, the one that comes later in the archive first. */
static int compare(const void *a, const void *b)
{
	const struct site_file *x = a, *y = b;
	int order = strcmp(x->name, y->name);
	return order ? order : (x->data < y->data) - (x->data > y->data);
}

int site_init(struct site *site, const void *archive, size_t size, const char **why)
{
	struct tar tar = {archive, size, 0};
	struct tar_entry entry;
	int result;
	*site = (struct site){0};
	while ((result = tar_next(&tar, &entry, why)) > 0) {
		if (!add_file(site, &entry)) {
			*why = "out of memory";
			result = -ENOMEM;
			break;
		}
	}
	if (result < 0)
		site_finish(site);
	else if (site->count)
		qsort(site->files, site->count, sizeof(site->files[0]), compare);
	return result;
}

void site_finish(struct site *site)
{
	for (size_t i = 0; i < site->count; i++)
		free((char *)(uintptr_t)site->files[i].name);
	free(site->files);
	*site = (struct site){0};
}

/* The first of the files with this name. */
static const struct site_file *find(const struct site *site, const char *name)
{
	size_t low = 0, high = site->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(site->files[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	bool found = low < site->count && strcmp(site->files[low].name, name) == 0;
	return found ? &site->files[low] : NULL;
}

enum site_found site_find(const struct site *site, const char *path, const struct site_file **file)
{
	char name[TAR_NAME_MAX];
	size_t size = strlen(++path);
	if (size + sizeof("/" INDEX) > sizeof(name)) {
		*file = find(site, path);
		return *file ? SITE_FILE : SITE_NOTHING;
	}
	bool is_directory = size == 0 || path[size - 1] == '/';
	memcpy(name, path, size + 1);
	if (is_directory)
		memcpy(name + size, INDEX, sizeof(INDEX));
	*file = find(site, name);
	if (*file || is_directory)
		return *file ? SITE_FILE : SITE_NOTHING;
	memcpy(name + size, "/" INDEX, sizeof("/" INDEX));
	return find(site, name) ? SITE_DIRECTORY : SITE_NOTHING;
}
