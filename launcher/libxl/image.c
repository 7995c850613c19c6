/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/image_note.h"
#include "launcher/libxl/libxl.h"

/* Xen, public/elfnote.h: "whether or not the guest supports cooperative suspend cancellation". One
 * that does suspends itself; Linux has it. */
#define NOTE_SUSPEND_CANCEL 14
#define NOTES_MAX           65536

int xl_check_suspends(const char *path, struct error *err)
{
	CLEANUP(close) int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file < 0)
		return error_set(err, -EINVAL, "image: %s: %s", path, strerror(errno));
	const struct image_note note = {"Xen", NOTE_SUSPEND_CANCEL, NOTES_MAX};
	return image_note_find(file, &note, NULL, 0) != 0
		       ? 0
		       : error_set(err, -EINVAL,
				 "image: %s cannot suspend itself (it has no Xen note "
				 "SUSPEND_CANCEL), "
				 "and its policy keeps it on disk: have it retire=suspend or "
				 "destroy",
				 path);
}
