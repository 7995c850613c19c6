/* SPDX-License-Identifier: ISC */
#include "launcher/vmm/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

/*
 * How a guest that was kept gets to its place. Its monitor writes to a file without a name. That is
 * copied, so that no monitor has the file that others begin from open for writing; and renamed once
 * it is on the disk, so that a file with a name is whole.
 */

/* Where the file system knows no nameless files, memory does for the while. */
static int open_nameless(const char *folder)
{
	int file = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return file >= 0 ? file : memfd_create("summond-save", MFD_CLOEXEC);
}

/* Where it cannot be made, that is told when the file cannot. */
static void make_folder_of(const char *path)
{
	char folder[VMM_PATH];
	snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path), path);
	mkdir(folder, 0700);
}

struct vmm_save *vmm_save_new(
	struct vmm *vmm, const char *path, void (*done)(struct vmm_save *save), struct error *err)
{
	struct vmm_save *save = calloc(1, sizeof(*save));
	if (!save) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	save->vmm = vmm;
	save->done = done;
	save->file = open_nameless(vmm->state_dir);
	if (save->file < 0) {
		error_set(err, -errno, "%s: %s", vmm->state_dir, strerror(errno));
		free(save);
		return NULL;
	}
	snprintf(save->path, sizeof(save->path), "%s", path);
	make_folder_of(path);
	return save;
}

static void destroy(struct vmm_save *save)
{
	close(save->file);
	free(save);
}

void vmm_save_drop(struct vmm_save *save)
{
	if (save && save->is_working)
		save->is_unwanted = true;
	else if (save)
		destroy(save);
}

static int copy_piece(int from, int to, off_t start, off_t end)
{
	if (lseek(to, start, SEEK_SET) < 0)
		return -errno;
	while (start < end) {
		ssize_t copied = sendfile(to, from, &start, (size_t)(end - start));
		if (copied <= 0)
			return copied < 0 ? -errno : -EIO;
	}
	return 0;
}

/* Without the holes. */
static int copy(int from, int to)
{
	off_t end = 0, start;
	int r = 0;
	while (r == 0 && (start = lseek(from, end, SEEK_DATA)) >= 0) {
		end = lseek(from, start, SEEK_HOLE);
		r = end < 0 ? -errno : copy_piece(from, to, start, end);
	}
	return r < 0 || errno == ENXIO ? r : -errno; /* ENXIO: no more data */
}

static int copy_and_sync(int from, int to, uint64_t *bytes)
{
	struct stat about;
	int r = copy(from, to);
	if (r == 0 && (fdatasync(to) < 0 || fstat(to, &about) < 0))
		r = -errno;
	if (r == 0)
		*bytes = (uint64_t)about.st_blocks * 512;
	return r;
}

/* In a thread of its own: the disk may take its time. */
static void work(uv_work_t *request)
{
	struct vmm_save *save = request->data;
	char temporary[sizeof(save->path) + 8];
	const char *name = strrchr(save->path, '/') + 1;
	/* A name that vmm_list() removes where it is left behind. */
	snprintf(temporary, sizeof(temporary), "%.*s.new-%s", (int)(name - save->path), save->path,
		name);
	CLEANUP(close) int to = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	save->result = to < 0 ? -errno : copy_and_sync(save->file, to, &save->bytes);
	if (save->result == 0 && rename(temporary, save->path) < 0)
		save->result = -errno;
	if (save->result < 0)
		unlink(temporary);
}

static void after_work(uv_work_t *request, int status)
{
	struct vmm_save *save = request->data;
	struct vmm *vmm = save->vmm;
	(void)status;
	if (save->is_unwanted)
		unlink(save->path);
	else if (!vmm->closing)
		save->done(save);
	destroy(save);
	vmm_handle_closed(vmm);
}

void vmm_save_finish(struct vmm_save *save)
{
	save->work.data = save;
	save->is_working = true;
	save->vmm->open_handles++;
	uv_queue_work(save->vmm->loop, &save->work, work, after_work);
}

void vmm_save_sweep(const struct vmm *vmm, const char *folder)
{
	char prefix[128];
	CLEANUP(closedir) DIR *dir = opendir(folder);
	size_t length = (size_t)snprintf(prefix, sizeof(prefix), ".new-%s-", vmm->identity);
	for (struct dirent *entry; dir && (entry = readdir(dir));)
		if (length < sizeof(prefix) && strncmp(entry->d_name, prefix, length) == 0)
			unlinkat(dirfd(dir), entry->d_name, 0);
}

int vmm_save_read(const char *path, struct snapshot_head *head, int *file, struct error *err)
{
	CLEANUP(close) int opened = open(path, O_RDONLY | O_CLOEXEC);
	if (opened < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	off_t size = lseek(opened, 0, SEEK_END);
	ssize_t got = pread(opened, head, sizeof(*head), 0);
	if (size < 0 || got < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	const char *why = snapshot_refuse(head, (size_t)got, (uint64_t)size);
	if (!why && !snapshot_text(head, 3))
		why = "it does not say what was booted";
	if (why)
		return error_set(err, -EINVAL, "%s: %s", path, why);
	*file = steal_fd(&opened);
	return 0;
}
