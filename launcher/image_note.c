/* SPDX-License-Identifier: ISC */
#include "launcher/image_note.h"

#include <errno.h>
#include <gelf.h>
#include <stdbool.h>
#include <string.h>

static bool is_it(const struct image_note *wanted, const GElf_Nhdr *note, const char *name)
{
	size_t length = strlen(wanted->name) + 1;
	return note->n_type == wanted->type && note->n_namesz == length &&
	       memcmp(name, wanted->name, length) == 0;
}

static bool find_in(
	Elf *elf, const GElf_Phdr *segment, const struct image_note *wanted, void *out, size_t size)
{
	Elf_Data *notes = elf_getdata_rawchunk(elf, (int64_t)segment->p_offset, segment->p_filesz,
		segment->p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
	GElf_Nhdr note;
	size_t name, description, at = 0;
	while (notes && (at = gelf_getnote(notes, at, &note, &name, &description)) > 0) {
		const char *bytes = notes->d_buf;
		if (note.n_descsz < size || !is_it(wanted, &note, bytes + name))
			continue;
		if (size > 0)
			memcpy(out, bytes + description, size);
		return true;
	}
	return false;
}

static int find(Elf *elf, const struct image_note *wanted, void *out, size_t size)
{
	size_t count = 0;
	if (!elf || elf_kind(elf) != ELF_K_ELF)
		return -ENOEXEC;
	if (elf_getphdrnum(elf, &count) < 0)
		return 0;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr segment;
		if (gelf_getphdr(elf, (int)i, &segment) && segment.p_type == PT_NOTE &&
			segment.p_filesz <= wanted->most &&
			find_in(elf, &segment, wanted, out, size))
			return 1;
	}
	return 0;
}

int image_note_find(int file, const struct image_note *note, void *out, size_t size)
{
	elf_version(EV_CURRENT);
	Elf *elf = elf_begin(file, ELF_C_READ, NULL);
	int r = find(elf, note, out, size);
	elf_end(elf);
	return r;
}
