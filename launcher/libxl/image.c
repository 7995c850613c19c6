/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/libxl/libxl.h"

/* Xen, public/elfnote.h: "whether or not the guest supports cooperative suspend cancellation". One
 * that does suspends itself; Linux has it. */
#define NOTE_SUSPEND_CANCEL 14
#define NOTES_MAX           65536

static bool notes_have(Elf *elf, const GElf_Phdr *segment)
{
	Elf_Data *notes = elf_getdata_rawchunk(elf, (int64_t)segment->p_offset, segment->p_filesz,
		segment->p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
	GElf_Nhdr note;
	size_t name, description, at = 0;
	while (notes && (at = gelf_getnote(notes, at, &note, &name, &description)) > 0)
		if (note.n_type == NOTE_SUSPEND_CANCEL && note.n_namesz == sizeof("Xen") &&
			memcmp((const char *)notes->d_buf + name, "Xen", sizeof("Xen")) == 0)
			return true;
	return false;
}

static bool suspends(Elf *elf)
{
	size_t count = 0;
	bool has = false;
	if (elf_getphdrnum(elf, &count) < 0)
		return false;
	for (size_t i = 0; i < count && !has; i++) {
		GElf_Phdr segment;
		has = gelf_getphdr(elf, (int)i, &segment) && segment.p_type == PT_NOTE &&
		      segment.p_filesz <= NOTES_MAX && notes_have(elf, &segment);
	}
	return has;
}

int xl_check_suspends(const char *path, struct error *err)
{
	CLEANUP(close) int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file < 0)
		return error_set(err, -EINVAL, "image: %s: %s", path, strerror(errno));
	elf_version(EV_CURRENT);
	Elf *elf = elf_begin(file, ELF_C_READ, NULL);
	bool can = !elf || elf_kind(elf) != ELF_K_ELF || suspends(elf);
	elf_end(elf);
	return can ? 0
		   : error_set(err, -EINVAL,
			     "image: %s cannot suspend itself (it has no Xen note SUSPEND_CANCEL), "
			     "and its policy keeps it on disk: have it retire=suspend or destroy",
			     path);
}
