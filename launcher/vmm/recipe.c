/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "launcher/vmm/vmm.h"

/* What a guest is made of, in words that another one can be compared by. */

static bool is_own_word(const char *word)
{
	static const char *const names[] = {"ip=", "gw=", "ip6=", "gw6=", "name="};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(word, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

int vmm_copy_words(const char *line, char words[VMM_WORDS])
{
	size_t used = 0;
	while (*(line += strspn(line, " "))) {
		size_t length = strcspn(line, " ");
		if (!is_own_word(line)) {
			if (used + length + 1 >= VMM_WORDS)
				return -E2BIG;
			memcpy(words + used, line, length);
			used += length;
			words[used++] = ' ';
		}
		line += length;
	}
	words[used] = '\0';
	return 0;
}

static uint64_t add_text(uint64_t hash, const char *text)
{
	while (*text)
		hash = (hash ^ (uint8_t)*text++) * 0x100000001b3u; /* FNV-1a */
	return hash;
}

/* A file that was replaced or written to since is another one. */
static int add_file(char key[VMM_KEY], const char *path)
{
	struct stat about = {0};
	if (path && stat(path, &about) < 0)
		return -errno;
	return vmm_key_add(key, &about);
}

int vmm_key_add(char key[VMM_KEY], const struct stat *about)
{
	size_t used = strlen(key);
	int length = snprintf(key + used, VMM_KEY - used, "%ju.%ju %jd %jd.%09ld %jd.%09ld, ",
		(uintmax_t)about->st_dev, (uintmax_t)about->st_ino, (intmax_t)about->st_size,
		(intmax_t)about->st_mtim.tv_sec, about->st_mtim.tv_nsec,
		(intmax_t)about->st_ctim.tv_sec, about->st_ctim.tv_nsec);
	return length > 0 && (size_t)length < VMM_KEY - used ? 0 : -E2BIG;
}

int vmm_recipe_read(const struct guest_spec *spec, struct vmm_recipe *out)
{
	char memory[32];
	out->key[0] = '\0';
	int r = add_file(out->key, spec->kernel);
	if (r == 0)
		r = add_file(out->key, spec->initrd);
	if (r == 0)
		r = vmm_copy_words(spec->cmdline ? spec->cmdline : "", out->words);
	snprintf(memory, sizeof(memory), "%" PRIu64, spec->memory);
	out->hash = add_text(add_text(add_text(0xcbf29ce484222325u, out->key), memory), out->words);
	return r;
}
