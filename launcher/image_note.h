/* SPDX-License-Identifier: ISC */
#ifndef LAUNCHER_IMAGE_NOTE_H
#define LAUNCHER_IMAGE_NOTE_H

#include <stddef.h>
#include <stdint.h>

/* A note of an ELF image, by its name and type. Segments of notes with more than `most` bytes are passed
 * over: whoever boots the image reads no more. */
struct image_note {
	const char *name;
	uint32_t type;
	size_t most;
};

/* Fills `out` (NULL for no bytes) with the beginning of what the first such note says that says so much. 1; 0 where there is
 * none; -ENOEXEC where the file is no ELF image. */
int image_note_find(int file, const struct image_note *note, void *out, size_t size);

#endif
