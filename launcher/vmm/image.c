/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest-kernel/include/summon_abi.h"
#include "launcher/image_note.h"
#include "launcher/vmm/vmm.h"

/* As much as summon-vmm reads, too. */
#define NOTES_MAX 4096

int vmm_check_image(const char *path, struct error *err)
{
	CLEANUP(close) int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file < 0)
		return error_set(err, -EINVAL, "image: %s: %s", path, strerror(errno));
	struct stat info;
	if (fstat(file, &info) < 0 || !S_ISREG(info.st_mode))
		return error_set(err, -EINVAL, "image: %s is no regular file", path);
	const struct image_note note = {SUMMON_NOTE_NAME, SUMMON_NOTE_TYPE, NOTES_MAX};
	struct summon_note ours = {0};
	image_note_find(file, &note, &ours, sizeof(ours));
	if (ours.version == 0)
		return error_set(err, -EINVAL,
			"image: %s is not built on guest-kernel, which is all that vmm runs: give "
			"the "
			"service another backend, such as libvirt",
			path);
	if (ours.version != SUMMON_ABI_VERSION)
		return error_set(err, -EINVAL,
			"image: %s is built for version %u of summon-vmm, and this is version %u: "
			"build "
			"it again",
			path, ours.version, SUMMON_ABI_VERSION);
	return 0;
}
