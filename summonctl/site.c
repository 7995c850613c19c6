/* SPDX-License-Identifier: ISC */
#include "summonctl/site.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

#define DEPTH_MAX 32

CLEANUP_DEFINE(archive_entry_free, struct archive_entry *, archive_entry_free)

struct packer {
	struct archive *archive;
	char *root; /* without links */
	size_t files;
	struct error *err;
};

static int copy_content(struct packer *packer, const char *path, int fd, uint64_t size)
{
	char buffer[65536];
	uint64_t left = size;
	while (left > 0) {
		ssize_t got = read(fd, buffer, left < sizeof(buffer) ? left : sizeof(buffer));
		if (got < 0)
			return error_set(packer->err, -errno, "%s: %s", path, strerror(errno));
		if (got == 0)
			return error_set(
				packer->err, -EINVAL, "%s: became shorter while it was read", path);
		if (archive_write_data(packer->archive, buffer, (size_t)got) != got)
			return error_set(packer->err, -EIO, "%s: %s", path,
				archive_error_string(packer->archive));
		left -= (uint64_t)got;
	}
	return 0;
}

static int pack_file(struct packer *packer, const char *path, const char *name)
{
	CLEANUP(close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) < 0)
		return error_set(packer->err, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return error_set(packer->err, -EINVAL, "%s: is no regular file", path);
	CLEANUP(archive_entry_free) struct archive_entry *entry = archive_entry_new();
	if (!entry)
		return error_set(packer->err, -ENOMEM, "no memory");
	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0644);
	archive_entry_set_size(entry, status.st_size);
	archive_entry_set_mtime(entry, status.st_mtime, 0);
	if (archive_write_header(packer->archive, entry) != ARCHIVE_OK)
		return error_set(packer->err, -EINVAL, "%s: does not fit a ustar archive: %s", path,
			archive_error_string(packer->archive));
	packer->files++;
	return copy_content(packer, path, fd, (uint64_t)status.st_size);
}

static int check_link(struct packer *packer, const char *path)
{
	CLEANUP(free) char *target = realpath(path, NULL);
	struct stat status;
	if (!target || stat(target, &status) < 0)
		return error_set(
			packer->err, -EINVAL, "%s: is a link to nothing that is there", path);
	size_t length = strlen(packer->root);
	if (strncmp(target, packer->root, length) != 0 || target[length] != '/')
		return error_set(packer->err, -EINVAL,
			"%s: is a link to %s, outside the site: copy the file into it", path,
			target);
	if (!S_ISREG(status.st_mode))
		return error_set(packer->err, -EINVAL,
			"%s: is a link to a folder; only links to files are followed", path);
	return 0;
}

static int no_dots(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int pack_folder(
	struct packer *packer, const char *folder, const char *prefix, unsigned depth);

static int pack_entry(struct packer *packer, const char *folder, const char *prefix,
	const char *entry, unsigned depth)
{
	CLEANUP(free) char *path = NULL, *name = NULL;
	if (asprintf(&path, "%s/%s", folder, entry) < 0 ||
		asprintf(&name, "%s%s%s", prefix, *prefix ? "/" : "", entry) < 0)
		return error_set(packer->err, -ENOMEM, "no memory");
	struct stat status;
	if (lstat(path, &status) < 0)
		return error_set(packer->err, -errno, "%s: %s", path, strerror(errno));
	if (S_ISDIR(status.st_mode))
		return pack_folder(packer, path, name, depth + 1);
	if (S_ISLNK(status.st_mode)) {
		int rc = check_link(packer, path);
		return rc < 0 ? rc : pack_file(packer, path, name);
	}
	if (!S_ISREG(status.st_mode))
		return error_set(packer->err, -EINVAL, "%s: is neither a file nor a folder", path);
	return pack_file(packer, path, name);
}

static int pack_folder(
	struct packer *packer, const char *folder, const char *prefix, unsigned depth)
{
	if (depth > DEPTH_MAX)
		return error_set(
			packer->err, -ELOOP, "%s: more than %d folders deep", folder, DEPTH_MAX);
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, no_dots, by_bytes);
	if (count < 0)
		return error_set(packer->err, -errno, "%s: %s", folder, strerror(errno));
	int rc = 0;
	for (int i = 0; i < count; i++) {
		if (rc == 0)
			rc = pack_entry(packer, folder, prefix, entries[i]->d_name, depth);
		free(entries[i]);
	}
	free(entries);
	return rc;
}

int site_pack(const char *folder, FILE *out, struct error *err)
{
	struct packer packer = {.err = err};
	CLEANUP(free) char *root = realpath(folder, NULL);
	if (!root)
		return error_set(err, -errno, "%s: %s", folder, strerror(errno));
	packer.root = root;
	packer.archive = archive_write_new();
	if (!packer.archive)
		return error_set(err, -ENOMEM, "no memory");
	archive_write_set_format_ustar(packer.archive);
	/* Names are bytes here, whatever the locale is. */
	archive_write_set_options(packer.archive, "hdrcharset=BINARY");
	int rc = 0;
	if (archive_write_open_FILE(packer.archive, out) != ARCHIVE_OK)
		rc = error_set(err, -EIO, "%s", archive_error_string(packer.archive));
	if (rc == 0)
		rc = pack_folder(&packer, root, "", 0);
	if (rc == 0 && packer.files == 0)
		rc = error_set(err, -ENOENT, "%s: has no files", folder);
	if (rc == 0 && archive_write_close(packer.archive) != ARCHIVE_OK)
		rc = error_set(err, -EIO, "%s", archive_error_string(packer.archive));
	archive_write_free(packer.archive);
	if (rc == 0 && fflush(out) != 0)
		rc = error_set(err, -errno, "cannot write the archive: %s", strerror(errno));
	return rc;
}
