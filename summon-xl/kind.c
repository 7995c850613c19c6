/* SPDX-License-Identifier: ISC */
#include "summon-xl/kind.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <xen/elfnote.h>

#include "base/cleanup.h"

#define NOTES_MAX    65536
#define SEGMENTS_MAX 64

static bool read_at(int fd, uint64_t offset, void *data, size_t size)
{
	return offset <= INT64_MAX && pread(fd, data, size, (off_t)offset) == (ssize_t)size;
}

static uint64_t padded(uint32_t size)
{
	return ((uint64_t)size + 3) & ~3ull;
}

static bool notes_have(const uint8_t *notes, uint64_t size, uint32_t type)
{
	Elf64_Nhdr head; /* the same in both classes */
	while (size >= sizeof(head)) {
		memcpy(&head, notes, sizeof(head));
		uint64_t whole = sizeof(head) + padded(head.n_namesz) + padded(head.n_descsz);
		if (whole > size)
			return false;
		if (head.n_type == type && head.n_namesz == sizeof("Xen") &&
			memcmp(notes + sizeof(head), "Xen", sizeof("Xen")) == 0)
			return true;
		notes += whole;
		size -= whole;
	}
	return false;
}

static bool segment_has(int fd, uint64_t offset, uint64_t size, uint32_t type)
{
	CLEANUP(free) uint8_t *notes = size <= NOTES_MAX ? malloc(size + 1) : NULL;
	return notes && read_at(fd, offset, notes, size) && notes_have(notes, size, type);
}

static bool elf64_has(int fd, uint32_t type)
{
	Elf64_Ehdr file;
	if (!read_at(fd, 0, &file, sizeof(file)) || file.e_phentsize != sizeof(Elf64_Phdr))
		return false;
	for (unsigned i = 0; i < file.e_phnum && i < SEGMENTS_MAX; i++) {
		Elf64_Phdr segment;
		if (read_at(fd, file.e_phoff + i * sizeof(segment), &segment, sizeof(segment)) &&
			segment.p_type == PT_NOTE &&
			segment_has(fd, segment.p_offset, segment.p_filesz, type))
			return true;
	}
	return false;
}

static bool elf32_has(int fd, uint32_t type)
{
	Elf32_Ehdr file;
	if (!read_at(fd, 0, &file, sizeof(file)) || file.e_phentsize != sizeof(Elf32_Phdr))
		return false;
	for (unsigned i = 0; i < file.e_phnum && i < SEGMENTS_MAX; i++) {
		Elf32_Phdr segment;
		if (read_at(fd, file.e_phoff + i * sizeof(segment), &segment, sizeof(segment)) &&
			segment.p_type == PT_NOTE &&
			segment_has(fd, segment.p_offset, segment.p_filesz, type))
			return true;
	}
	return false;
}

int kind_of_kernel(const char *path, enum xl_kind *kind, struct error *err)
{
	uint8_t ident[EI_NIDENT];
	struct stat info;
	CLEANUP(close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, &info) < 0)
		return error_set(err, -EINVAL, "image %s: %s", path, strerror(errno));
	if (!S_ISREG(info.st_mode))
		return error_set(err, -EINVAL, "image %s: is no file", path);
	*kind = XL_KIND_PVH;
	if (!read_at(fd, 0, ident, sizeof(ident)) || memcmp(ident, ELFMAG, SELFMAG) != 0)
		return 0;
	bool is_pvh = ident[EI_CLASS] == ELFCLASS32 ? elf32_has(fd, XEN_ELFNOTE_PHYS32_ENTRY)
						    : elf64_has(fd, XEN_ELFNOTE_PHYS32_ENTRY);
	*kind = is_pvh ? XL_KIND_PVH : XL_KIND_PV;
	return 0;
}
