/* SPDX-License-Identifier: ISC */
#ifndef TESTS_VMM_ELF_MAKER_H
#define TESTS_VMM_ELF_MAKER_H

#include <elf.h>
#include <stddef.h>
#include <string.h>

#include "guest-kernel/include/summon_abi.h"

/* A small executable that is right; tests bend it. */
struct elf_file {
	Elf64_Ehdr header;
	Elf64_Phdr text, data, note;
	struct {
		Elf64_Nhdr header;
		char name[sizeof(SUMMON_NOTE_NAME)];
		struct summon_note note;
	} __attribute__((packed)) notes;
	uint8_t code[16];
};

static inline struct elf_file elf_make(void)
{
	struct elf_file f = {
		.header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				   EV_CURRENT},
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_phoff = offsetof(struct elf_file, text),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 3},
		.text = {.p_type = PT_LOAD,
			.p_flags = PF_R | PF_X,
			.p_offset = offsetof(struct elf_file, code),
			.p_vaddr = SUMMON_IMAGE_MIN,
			.p_filesz = sizeof(f.code),
			.p_memsz = sizeof(f.code)},
		.data = {.p_type = PT_LOAD,
			.p_flags = PF_R | PF_W,
			.p_vaddr = SUMMON_IMAGE_MIN + 0x1000,
			.p_memsz = 0x2800},
		.note = {.p_type = PT_NOTE,
			.p_offset = offsetof(struct elf_file, notes),
			.p_filesz = sizeof(f.notes)},
		.notes = {.header = {sizeof(SUMMON_NOTE_NAME), sizeof(struct summon_note),
				  SUMMON_NOTE_TYPE},
			.name = SUMMON_NOTE_NAME,
			.note = {.version = SUMMON_ABI_VERSION,
				.entry = SUMMON_IMAGE_MIN,
				.guards = {SUMMON_IMAGE_MIN + 0x2000}}},
	};
	memset(f.code, 0x90, sizeof(f.code));
	return f;
}

#endif
