/* SPDX-License-Identifier: ISC */
#include "summon-vmm/image.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define HEADERS_MAX  64
#define NOTES_MAX    4096
#define CONGRUENT(n) (((n) + 3) & ~3ull) /* notes are padded to words */
/* What KVM without nested paging maps with a page that is touched, if it is backed. */
#define CLUSTER(n)   (((n) + 0x7fff) & ~0x7fffull)

struct reader {
	struct image *image;
	const struct memory *memory;
	int file;
	const char *path;
	struct error *err;
};

static int refuse(const struct reader *r, const char *why)
{
	return error_set(r->err, -EINVAL, "%s: %s", r->path, why);
}

static int read_all(const struct reader *r, void *out, uint64_t size, uint64_t offset)
{
	uint8_t *bytes = out;
	while (size > 0) {
		ssize_t got = pread(r->file, bytes, size, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set(r->err, -errno, "%s: %s", r->path, strerror(errno));
		if (got == 0)
			return refuse(r, "the file is cut short");
		bytes += got;
		offset += (uint64_t)got;
		size -= (uint64_t)got;
	}
	return 0;
}

static bool is_executable(const Elf64_Ehdr *h)
{
	return memcmp(h->e_ident, ELFMAG, SELFMAG) == 0 && h->e_ident[EI_CLASS] == ELFCLASS64 &&
	       h->e_ident[EI_DATA] == ELFDATA2LSB && h->e_type == ET_EXEC &&
	       h->e_machine == EM_X86_64 && h->e_phentsize == sizeof(Elf64_Phdr) &&
	       h->e_phnum <= HEADERS_MAX;
}

static bool overlaps(const struct image *image, const struct image_segment *segment)
{
	for (unsigned i = 0; i < image->count; i++)
		if (segment->start < image->segments[i].end &&
			image->segments[i].start < segment->end)
			return true;
	return false;
}

static int load_segment(const struct reader *r, const Elf64_Phdr *h)
{
	struct image *image = r->image;
	if (h->p_memsz == 0)
		return 0;
	void *place = memory_at(r->memory, h->p_vaddr, h->p_memsz);
	if (!place || h->p_vaddr < SUMMON_IMAGE_MIN)
		return refuse(r, "a segment lies outside of the guest's memory");
	if (h->p_filesz > h->p_memsz || h->p_offset > INT64_MAX)
		return refuse(r, "a segment's sizes contradict each other");
	if ((h->p_flags & (PF_W | PF_X)) == (PF_W | PF_X))
		return refuse(r, "a segment is writable and executable");
	struct image_segment segment = {
		.start = h->p_vaddr & ~(PAGE - 1),
		.end = (h->p_vaddr + h->p_memsz + PAGE - 1) & ~(PAGE - 1),
		.write = h->p_flags & PF_W,
		.execute = h->p_flags & PF_X,
	};
	if (image->count == IMAGE_SEGMENTS || overlaps(image, &segment))
		return refuse(r, "segments share a page, or are too many");
	image->segments[image->count++] = segment;
	if (segment.end > image->end)
		image->end = segment.end;
	uint64_t touched = CLUSTER(h->p_filesz);
	memory_back(r->memory, h->p_vaddr, touched < h->p_memsz ? touched : h->p_memsz);
	return read_all(r, place, h->p_filesz, h->p_offset);
}

/* Notes are {name size, description size, type}, name, description. */
static bool find_note(const uint8_t *notes, uint64_t size, struct summon_note *out)
{
	Elf64_Nhdr h;
	while (size >= sizeof(h)) {
		memcpy(&h, notes, sizeof(h));
		uint64_t name = CONGRUENT((uint64_t)h.n_namesz);
		uint64_t whole = sizeof(h) + name + CONGRUENT((uint64_t)h.n_descsz);
		if (whole > size)
			return false;
		if (h.n_type == SUMMON_NOTE_TYPE && h.n_namesz == sizeof(SUMMON_NOTE_NAME) &&
			h.n_descsz == sizeof(*out) &&
			memcmp(notes + sizeof(h), SUMMON_NOTE_NAME, h.n_namesz) == 0) {
			memcpy(out, notes + sizeof(h) + name, sizeof(*out));
			return true;
		}
		notes += whole;
		size -= whole;
	}
	return false;
}

static int read_notes(const struct reader *r, const Elf64_Phdr *h)
{
	uint8_t notes[NOTES_MAX];
	if (h->p_filesz > sizeof(notes) || h->p_offset > INT64_MAX)
		return refuse(r, "its notes are larger than 4096 bytes");
	int result = read_all(r, notes, h->p_filesz, h->p_offset);
	if (result == 0)
		find_note(notes, h->p_filesz, &r->image->note);
	return result;
}

static int check_note(const struct reader *r)
{
	const struct summon_note *note = &r->image->note;
	if (note->version == 0)
		return refuse(r, "no note says that it can run under summon-vmm (see "
				 "guest-kernel/include/summon_abi.h)");
	if (note->version != SUMMON_ABI_VERSION)
		return refuse(r, "it is made for another version of summon-vmm");
	if (note->entry >= r->memory->size || note->exception_entry >= r->memory->size ||
		note->resume_entry >= r->memory->size || note->thread >= r->memory->size)
		return refuse(r, "its note names an address outside of the guest's memory");
	return 0;
}

int image_load(struct image *image, const struct memory *memory, int file, const char *path,
	struct error *err)
{
	const struct reader r = {image, memory, file, path, err};
	Elf64_Ehdr header;
	Elf64_Phdr segments[HEADERS_MAX];
	*image = (struct image){.end = SUMMON_IMAGE_MIN};
	int result = read_all(&r, &header, sizeof(header), 0);
	if (result == 0 && (!is_executable(&header) || header.e_phoff > INT64_MAX))
		result = refuse(&r, "this is no executable for x86-64 (ELF, at fixed addresses)");
	if (result == 0)
		result = read_all(
			&r, segments, header.e_phnum * sizeof(segments[0]), header.e_phoff);
	for (unsigned i = 0; result == 0 && i < header.e_phnum; i++) {
		if (segments[i].p_type == PT_LOAD)
			result = load_segment(&r, &segments[i]);
		else if (segments[i].p_type == PT_NOTE)
			result = read_notes(&r, &segments[i]);
	}
	return result < 0 ? result : check_note(&r);
}
