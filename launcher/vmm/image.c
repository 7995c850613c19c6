/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "guest-kernel/include/summon_abi.h"
#include "launcher/vmm/vmm.h"

/* As much as summon-vmm reads, too. */
#define NOTES_MAX 4096

/* The version of the ABI that a segment of notes names, or 0. */
static uint32_t version_in(Elf *elf, const GElf_Phdr *segment)
{
	Elf_Data *notes = elf_getdata_rawchunk(elf, (int64_t)segment->p_offset, segment->p_filesz,
		segment->p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
	GElf_Nhdr note;
	size_t name, description, at = 0;
	while (notes && (at = gelf_getnote(notes, at, &note, &name, &description)) > 0) {
		struct summon_note ours;
		if (note.n_type != SUMMON_NOTE_TYPE || note.n_namesz != sizeof(SUMMON_NOTE_NAME) ||
			note.n_descsz < sizeof(ours) ||
			memcmp((const char *)notes->d_buf + name, SUMMON_NOTE_NAME,
				sizeof(SUMMON_NOTE_NAME)) != 0)
			continue;
		memcpy(&ours, (const char *)notes->d_buf + description, sizeof(ours));
		return ours.version;
	}
	return 0;
}

static uint32_t version_of(Elf *elf)
{
	size_t count = 0;
	uint32_t version = 0;
	if (elf_kind(elf) != ELF_K_ELF || elf_getphdrnum(elf, &count) < 0)
		return 0;
	for (size_t i = 0; i < count && version == 0; i++) {
		GElf_Phdr segment;
		if (gelf_getphdr(elf, (int)i, &segment) && segment.p_type == PT_NOTE &&
			segment.p_filesz <= NOTES_MAX)
			version = version_in(elf, &segment);
	}
	return version;
}

int vmm_check_image(const char *path, struct error *err)
{
	CLEANUP(close) int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file < 0)
		return error_set(err, -EINVAL, "image: %s: %s", path, strerror(errno));
	struct stat info;
	if (fstat(file, &info) < 0 || !S_ISREG(info.st_mode))
		return error_set(err, -EINVAL, "image: %s is no regular file", path);
	elf_version(EV_CURRENT);
	Elf *elf = elf_begin(file, ELF_C_READ, NULL);
	uint32_t version = elf ? version_of(elf) : 0;
	elf_end(elf);
	if (version == 0)
		return error_set(err, -EINVAL,
			"image: %s is not built on guest-kernel, which is all that vmm runs: give "
			"the "
			"service another backend, such as libvirt",
			path);
	if (version != SUMMON_ABI_VERSION)
		return error_set(err, -EINVAL,
			"image: %s is built for version %u of summon-vmm, and this is version %u: "
			"build "
			"it again",
			path, version, SUMMON_ABI_VERSION);
	return 0;
}
